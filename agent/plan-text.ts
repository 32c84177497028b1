import type { Plan } from "./plan.ts";
import { wrap } from "./wrap.ts";

/** The plan for people, in 80 columns. */
export function planText(plan: Plan): string {
  const { machineUuid, bmc, account, commands, notNeeded, remarks } = plan;
  const lines = [
    ...row("outcome", plan.outcome),
    ...(machineUuid === undefined ? [] : row("machine", machineUuid)),
    ...(bmc === undefined ? [] : row("BMC", `${bmc.mac}, ${bmc.address || "no address"}, channel ${bmc.channel}`)),
    ...(account === undefined ? [] : row("account", `"${account.userName}" in slot ${account.slot}`)),
    "",
    ...wrap(plan.text, "", ""),
  ];
  if (commands.length > 0) {
    lines.push("", "The run would send, after the service has stored name and password:");
    for (const [index, { command, effect, bestEffort }] of commands.entries()) {
      const number = String(index + 1).padStart(3);
      lines.push(`${number}  ${command}${bestEffort ? " (best effort)" : ""}`, ...wrap(effect, "       ", "       "));
    }
    if (account?.userName.includes("*")) lines.push("", "The stars are random lower-case letters and digits.");
  }
  if (notNeeded.length > 0) {
    lines.push("", "Not needed:", ...notNeeded.flatMap((each) => item(`${each.command}: ${each.reason}`)));
  }
  if (remarks.length > 0) lines.push("", "Remarks:", ...remarks.flatMap(item));
  lines.push("", `Nothing was written; ${plan.ipmiCommands} commands that only read were sent.`);
  return `${lines.map(printable).join("\n")}\n`;
}

const row = (key: string, value: string): string[] => wrap(value, key.padEnd(9), " ".repeat(9));
const item = (text: string): string[] => wrap(text, "  - ", "    ");

/** A BMC's names must not steer a terminal. */
const printable = (line: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  line.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
