import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NetworkError } from "../../agent/init/network/bring-up.ts";
import { failedEnd, outcomeEnd } from "../../agent/perform-run.ts";
import { bigLetters } from "../../agent/screen/big-letters.ts";
import { RunFollower } from "../../agent/screen/follow-run.ts";
import { type KeyOffer, rows, states } from "../../agent/screen/model.ts";
import { pictureOf, readQr } from "../../agent/screen/read-qr.fixture.ts";
import { render } from "../../agent/screen/render.ts";
import { FakeStick } from "../../agent/stick/fake-stick.fixture.ts";
import { readStickDocument } from "../../agent/stick/stick-document.ts";
import { StickError } from "../../agent/stick/stick-error.ts";
import { systemClock } from "../../inband/clock.ts";
import { connectEnrolment } from "../../outband-client/service/enrolment.ts";
import { type Authority, makeAuthority } from "../../outband-client/service/fixture/pki.ts";
import { serve } from "../../outband-client/service/fixture/server.ts";
import { ServiceError } from "../../outband-client/service/service-error.ts";
import { EnrolmentServiceService } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { fakeClock } from "../run/fake-clock.ts";
import { type BootOptions, Machine, type MachineOptions, machineUuid } from "../run/machine.ts";
import { profiles } from "../simulator/profiles.ts";
import { variants } from "../simulator/variants.ts";
import { virtualClock } from "../simulator/virtual-clock.ts";

/** The time of all screens, ms: they are the same each time. */
const nowMs = 12_000;

function follower(): RunFollower {
  const made = new RunFollower(
    "0.1.0",
    () => nowMs,
    () => undefined,
  );
  made.machine({ uuid: machineUuid, product: "Acme Rack One", board: "BS-0123456789", serial: "PS-998877" });
  made.task("network", 1200, "eth0 10.0.0.31/24, gateway 10.0.0.1");
  return made;
}

/** Plays a run of the real agent on a simulated BMC, and shows what came of it. */
async function play(machine: Machine, options: BootOptions = {}): Promise<string[]> {
  const screen = follower();
  try {
    const world = { showBmc: (bmc: Parameters<RunFollower["bmc"]>[0]) => screen.bmc(bmc), ...options.world };
    const outcome = await machine.boot({ clock: virtualClock(), ...options, world });
    screen.end(outcomeEnd(outcome, 0));
  } catch (error) {
    screen.end(failedEnd(error, 0));
  }
  return shown(screen);
}

const failed = (error: unknown): string[] => {
  const screen = follower();
  screen.end(failedEnd(error, 0));
  return shown(screen);
};

function shown(screen: RunFollower): string[] {
  const { verdict } = screen.model;
  const extra = verdict?.canLeaveDocument === true ? [{ key: "C", does: "go on" }] : [];
  screen.offer([
    ...(verdict === undefined ? [] : [{ key: "R", does: "again" }, { key: "I", does: "inspect" }, ...extra]),
    { key: "P", does: "power off" },
  ]);
  return render(screen.model, nowMs);
}

const allKeys: readonly KeyOffer[] = [
  { key: "R", does: "again" },
  { key: "I", does: "inspect" },
  { key: "C", does: "go on" },
  { key: "S", does: "shell" },
  { key: "P", does: "power off" },
];

/** What a phone reads, by lines. */
const read = (lines: readonly string[]) => readQr(pictureOf(lines))?.split("\n");

/** What stands left of the QR code. */
const words = (lines: readonly string[]): string => lines.map((line) => line.slice(0, 38).trimEnd()).join(" ");

const keep = (lines: readonly string[], name: string) =>
  expect(`${lines.join("\n")}\n`).toMatchFileSnapshot(`../../agent/screen/screens/${name}.txt`);

const caught = async (work: Promise<unknown>): Promise<Error> =>
  work.then(
    () => expect.unreachable("it did not fail"),
    (error: Error) => error,
  );

const profileOf = (name: string): MachineOptions => {
  const profile = profiles.get(name) ?? variants.get(name);
  if (profile === undefined) throw new Error(`there is no profile ${name}`);
  return { profile };
};

let authority: Authority;
let stranger: Authority;
const servers: AsyncDisposable[] = [];
beforeAll(async () => {
  [authority, stranger] = await Promise.all([makeAuthority("our CA"), makeAuthority("another CA")]);
});
afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
});

const begin = (machine: Machine, connect: () => ReturnType<typeof connectEnrolment>) =>
  play(machine, { clock: systemClock, world: { connectService: async () => connect() } });

describe("screens of outcomes", () => {
  test("linked", async () => {
    const machine = new Machine();
    const lines = await play(machine);
    await keep(lines, "linked");
    expect(read(lines)).toEqual([
      "LINKED",
      `UUID ${machineUuid}`,
      `MAC ${machine.service.facts?.mac}`,
      expect.any(String),
    ]);
    await keep(await play(machine), "recognised");
  });

  test.each([
    ["locked", profileOf("supermicro-x12-locked"), "LOCKED"],
    ["full-table", profileOf("full-table"), "NEEDS OPERATOR"],
    ["bmc-booting", profileOf("lenovo-xcc-kcs-disabled"), "BMC BOOTING"],
    ["no-bmc", { noBmc: true }, "NO BMC"],
  ] as const)("%s", async (name, options, state) => {
    const lines = await play(new Machine(options));
    await keep(lines, name);
    expect(read(lines)?.[0]).toBe(state);
  });

  test("a UUID that many machines have", async () => {
    const lines = await play(new Machine({ noBmc: true }), { uuid: "03000200-0400-0500-0006-000700080009" });
    await keep(lines, "bogus-uuid");
    expect(read(lines)?.[0]).toBe("NEEDS OPERATOR");
  });
});

describe("screens of a service that cannot be had", () => {
  test("a wrong address", async () => {
    const agent = { ...(await authority.client("agent")), ca: authority.ca };
    const lines = await begin(new Machine(), () => connectEnrolment({ address: "127.0.0.1:1", ...agent }));
    await keep(lines, "wrong-address");
    expect(read(lines)?.[0]).toBe("NO SERVICE");
  });

  test("a wrong CA", async () => {
    const server = await serve(EnrolmentServiceService, {}, authority.ca, await authority.server(["127.0.0.1"]));
    servers.push(server);
    const agent = { ...(await authority.client("agent")), ca: stranger.ca };
    const lines = await begin(new Machine(), () => connectEnrolment({ address: `127.0.0.1:${server.port}`, ...agent }));
    expect(read(lines)?.[0]).toBe("NEEDS OPERATOR");
    expect(words(lines)).toContain("do not trust each other's certificates");
  });

  test("a token that is too old", async () => {
    const machine = new Machine();
    machine.service.hook = (when, call) => {
      if (when === "after" || call !== "begin") return;
      throw new ServiceError(
        "unauthenticated",
        "BMC service 10.0.0.1:4443: Begin: enrolment_token: its time is over; make another one (bmcctl token create)",
      );
    };
    const lines = await play(machine);
    await keep(lines, "expired-token");
    expect(read(lines)?.[0]).toBe("NEEDS OPERATOR");
  });
});

describe("screens of what comes before the run", () => {
  test.each([
    ["no-link", "eth0: no link (cable, switch port); eth1: no link (cable, switch port)"],
    ["no-dhcp", "eth0: no DHCP answer; eth1: no link (cable, switch port)"],
  ])("%s", async (name, lacks) => {
    const lines = failed(new NetworkError(`network: no address within 180 s: ${lacks}`));
    await keep(lines, name);
    expect(read(lines)?.[0]).toBe("NO NETWORK");
  });

  test.each([
    "eth0: DHCP server 10.0.0.1 refuses 10.0.0.7: not on this network; eth1: no link (cable, switch port)",
    "eth0: no router of IPv6",
  ])("not a missing cable: %s", (lacks) => {
    const lines = failed(new NetworkError(`network: no address within 180 s: ${lacks}`));
    expect(read(lines)?.[0]).toBe("NO NETWORK");
    expect(words(lines)).toContain("The cable is in");
    expect(words(lines)).not.toContain("has a link");
  });

  test("a document with a mistake", async () => {
    const stick = new FakeStick();
    stick.files.set("metal-rivet.yaml", Buffer.from("service: 10.0.0.1:4443\nthen: wait\nlog: [json\n"));
    const lines = failed(await caught(readStickDocument(stick, fakeClock())));
    await keep(lines, "bad-file");
    expect(words(lines)).toMatch(/line \d+, column \d+/);
    expect(words(lines)).toContain("C go on");
  });

  test.each(["absent", "gone", "read-only", "full", "damaged"] as const)("a stick that is %s", (problem) => {
    const lines = failed(new StickError(problem, "stick: writing reports/x.json: it is not well"));
    expect(read(lines)?.[0]).toMatch(/STICK/);
  });
});

test("the place is shown while it works and when it has ended, also by its longest name", async () => {
  const screen = follower();
  screen.site("Rack 12, Hall B");
  expect(shown(screen)).toContain(" Site      Rack 12, Hall B");
  expect(shown(screen)).toHaveLength(rows);
  await keep(shown(screen), "working-at-site");
  screen.end(failedEnd(new NetworkError("network: no address within 180 s: eth0: no DHCP answer"), 0));
  expect(words(shown(screen))).toContain("site Rack 12, Hall B");
  screen.site("The long name of a place in a building of a campus in a far land");
  expect(words(shown(screen))).toContain("site The long name of a place in a building of a campus in a far land BMC");
  expect(words(shown(screen))).toContain("R tries again at once.");
});

test.each(states)("what to do is told to its end, however much there is to say: %s", (word) => {
  const long = "something was not as it has to be, and this is told with many words. ".repeat(12);
  const next = "Correct metal-rivet.yaml on a laptop, put the stick back, press R. C goes on without the file.";
  const screen = follower();
  screen.site("x".repeat(64));
  screen.bmc({ mac: "52:54:00:b1:00:01", address: "2001:db8:1234:5678:9abc:def0:1234:5678", firmware: "9.08" });
  const verdict = { word, tone: "bad", why: long, next, detail: long } as const;
  const lines = render({ ...screen.model, verdict, keys: allKeys }, nowMs);
  expect(lines).toHaveLength(rows);
  expect(words(lines).replace(/ +/g, " ")).toContain(`> ${next}`);
  expect(lines.slice(-2).map((line) => line.slice(0, 38).trimEnd())).toEqual([
    "R again  I inspect  C go on  S shell",
    "P power off",
  ]);
});

test("a run that is under way", async () => {
  const screen = follower();
  const machine = new Machine();
  const step = {
    hook: (_when: string, name: string) => {
      if (name === "escrow account") throw new Error("stop here");
    },
  };
  await machine.boot({ step, world: { showBmc: (bmc) => screen.bmc(bmc) } }).catch(() => undefined);
  for (const event of machine.events.filter(({ kind }) => kind !== "failed")) screen.step(event);
  await keep(shown(screen), "working");
  expect(shown(screen).join("\n")).toMatch(/\[\.\.\] escrow account +0 s, at most 5 min more/);
});

test("every screen is 25 lines of at most 80 columns, in characters that text consoles have", async () => {
  const folder = new URL("../../agent/screen/screens/", import.meta.url);
  const names = readdirSync(folder);
  expect(names.length).toBeGreaterThanOrEqual(12);
  for (const name of names) {
    const text = readFileSync(new URL(name, folder), "utf8");
    const lines = text.replace(/\n$/, "").split("\n");
    expect(lines, name).toHaveLength(25);
    for (const line of lines) expect(line, name).toMatch(/^[\u0020-\u007e\u2580\u2584\u2588]{0,80}$/);
  }
});

test("every state can be drawn in big letters, and is explained to the technician", () => {
  const page = readFileSync(new URL("../../docs/technician.md", import.meta.url), "utf8");
  for (const state of states) {
    for (const line of bigLetters(state)) expect(line.length, state).toBeLessThanOrEqual(80);
    expect(page).toContain(`\`${state}\``);
  }
  expect(() => bigLetters("linked")).toThrow('no big letter "l"');
});
