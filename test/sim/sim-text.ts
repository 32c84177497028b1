import { wrap } from "../lab/screen.ts";
import { mainLan } from "../simulator/main-lan.ts";
import type { Profile } from "../simulator/profile.ts";
import type { GivenUser } from "../simulator/users.ts";
import type { SimEvent } from "./sim-run.ts";

type Ready = Extract<SimEvent, { event: "ready" }>;

const indented = (text: string, by: number) => wrap(text, 79 - by).map((line) => `${" ".repeat(by)}${line}`);

/** The profiles with their expected outcomes and sources. */
export function listText(profiles: Iterable<Profile>): string {
  const lines: string[] = [];
  for (const { name, expected, sources } of profiles) {
    lines.push(`${name}: a run ends ${quoted(expected)}`);
    for (const source of sources) lines.push(...indented(source, 4));
  }
  return `${lines.join("\n")}\n`;
}

export function listJson(profiles: Iterable<Profile>): string {
  return [...profiles]
    .map(({ name, expected, sources }) => `${JSON.stringify({ name, expected_outcome: expected, sources })}\n`)
    .join("");
}

const quoted = (outcome: string) => `"${outcome}"`;

/** What it is and how to use it. */
export function readyText(profile: Profile, { kcs, lan, machine_uuid: uuid }: Ready): string {
  const { channel, mac, ipv4Address, ipv6Address } = mainLan(profile.channels.lans);
  const [host = "", port = ""] = lan.split(":");
  const admin = profile.users.given.find(
    ({ privilege, enabled, password }) => mayAdminister({ privilege, enabled }) && password,
  );
  const suite = profile.lan.cipherSuites.includes(17) ? 17 : 3;
  const login =
    admin === undefined
      ? []
      : [
          "",
          "ipmitool, as the account that it has from the factory:",
          `  ipmitool -I lanplus -C ${suite} -H ${host} -p ${port} -U ${admin.name} -P ${admin.password} user list ${channel}`,
        ];
  const address = [ipv4Address, ...(ipv6Address === undefined ? [] : [ipv6Address])].join(", ");
  return `${[
    `Simulated BMC "${profile.name}"; metal-rivet's run on it ends ${quoted(profile.expected)}.`,
    ...profile.sources.flatMap((source) => indented(source, 2)),
    `It tells MAC ${mac} and address ${address} on channel ${channel}; ${profile.users.ids} user IDs.`,
    "",
    "QEMU, so that the machine finds it as its BMC:",
    `  -uuid ${uuid} \\`,
    `  -chardev socket,id=ipmi0,host=127.0.0.1,port=${kcs.split(":")[1]},reconnect=1 \\`,
    "  -device ipmi-bmc-extern,id=bmc0,chardev=ipmi0 -device isa-ipmi-kcs,bmc=bmc0",
    ...login,
    "",
    "Commands as they come; Ctrl-C ends it:",
  ].join("\n")}\n`;
}

function mayAdminister({
  privilege = 4,
  enabled = true,
}: {
  privilege: GivenUser["privilege"];
  enabled: GivenUser["enabled"];
}) {
  return enabled && privilege === 4;
}

const machineWords = {
  connected: "connected: it is on",
  gone: "gone: it is off",
  reset: "reset",
} as const;

/** One line. */
export function eventText(event: Exclude<SimEvent, Ready>): string {
  const time = event.at.slice(11, 23);
  if (event.event === "power") {
    const what = event.machine ? "the machine was told" : "no machine there to be told";
    return `${time}  power    ${event.operation}: ${what}\n`;
  }
  if (event.event === "machine") return `${time}  machine  ${machineWords[event.what]}\n`;
  const { via, command, detail, answers } = event;
  const request = detail === "" ? command : `${command}: ${detail}`;
  const codes = answers.map(({ code, after_ms: ms }) => (ms === 0 ? code : `${code} after ${ms} ms`)).join(", ");
  const meanings = answers.flatMap(({ meaning }) => (meaning === "" ? [] : [meaning])).join(", ");
  return `${time}  ${via.padEnd(7)}  ${(codes || "--").padEnd(3)}  ${request}${meanings && ` (${meanings})`}\n`;
}
