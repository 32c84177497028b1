import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { send } from "../../ipmi/command.ts";
import { getUserName, setUserPassword } from "../../ipmi/commands/index.ts";
import { Secret } from "../../ipmi/secret.ts";
import { connectLan } from "../../outband-client/lan/index.ts";
import { until } from "../lab/deadline.ts";
import { connectAsMachine } from "../lab/machine-side.ts";
import { everyProfile } from "../simulator/variants.ts";
import { simProgram } from "./program.ts";

const directory = mkdtempSync(join(tmpdir(), "metal-rivet-sim-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const soon = () => AbortSignal.timeout(5_000);

/** The program until it ends by itself. */
async function run(...args: string[]) {
  const said = { out: "", error: "" };
  const exitCode = await simProgram(args, {
    write: (text) => {
      said.out += text;
    },
    writeError: (text) => {
      said.error += text;
    },
    ended: Promise.resolve(130),
  });
  return { ...said, exitCode };
}

/** The program with a user: `use` gets what it says of itself; when that is done, Ctrl-C comes. */
async function running(args: readonly string[], use: (ready: { kcs: number; lan: number }) => Promise<void>) {
  let out = "";
  const end = Promise.withResolvers<number>();
  const ended = simProgram([...args, "--kcs", "0", "--lan", "0", "--output", "json"], {
    write: (text) => {
      out += text;
    },
    writeError: (text) => expect.unreachable(text),
    ended: end.promise,
  });
  const events = () =>
    out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  await until("the BMC to be ready", 5_000, () => out.includes("\n"), { everyMs: 2 });
  const port = (address: string) => Number(address.split(":")[1]);
  try {
    await use({ kcs: port(events()[0].kcs), lan: port(events()[0].lan) });
  } finally {
    end.resolve(130);
  }
  expect(await ended).toBe(130);
  return { events: events(), commands: events().filter(({ event }) => event === "command"), out };
}

test("both faces have one state, every command is told, and no password", async () => {
  const password = "Canary-Passw0rd!";
  const { events, commands, out } = await running(["--profile", "spec"], async ({ kcs, lan }) => {
    await using machine = await connectAsMachine(kcs);
    const form = { user: { twentyBytes: false, id: 2 }, action: { operation: "set" } } as const;
    await send(machine, setUserPassword, { ...form, password: Secret.fromBytes(Buffer.from(password)) }, soon());
    const account = { user: "ADMIN", password: Buffer.from(password) };
    await using session = await connectLan({ host: "127.0.0.1", port: lan, ...account, signal: soon() });
    expect(await send(session, getUserName, { userId: 2 }, soon())).toEqual({ userName: "ADMIN" });
  });
  expect(out).not.toContain("Canary");
  expect(events[0]).toMatchObject({ event: "ready", profile: "spec", expected_outcome: "linked" });
  const told = commands.map(({ via, command, detail, answers }) => [via, command, detail, answers[0].code]);
  expect(told).toContainEqual(["in-band", "Set User Password", "user 2, set, 16 bytes", "00h"]);
  expect(told).toContainEqual(["lan", "Get User Name", "user 2", "00h"]);
  expect(events).toContainEqual(expect.objectContaining({ event: "machine", what: "connected" }));
});

test("fault rules come from a file", async () => {
  const file = join(directory, "faults.json");
  writeFileSync(file, '[{ "netFn": 6, "cmd": 70, "user": 3, "effects": [{ "completionCode": 192 }] }]');
  const { commands } = await running(["--faults", file], async ({ kcs }) => {
    await using machine = await connectAsMachine(kcs);
    await expect(send(machine, getUserName, { userId: 3 }, soon())).rejects.toMatchObject({ completionCode: 0xc0 });
    expect(await send(machine, getUserName, { userId: 3 }, soon())).toEqual({ userName: "" });
  });
  expect(commands[0].answers).toEqual([{ code: "C0h", meaning: "node busy", after_ms: 0 }]);
});

test("text says how to use it, 80 columns wide but for what is to be copied", async () => {
  const { out, exitCode } = await run("--profile", "hpe-ilo", "--kcs", "0", "--lan", "0");
  expect(exitCode).toBe(130);
  expect(out).toContain("ipmi-bmc-extern");
  expect(out).toMatch(/ipmitool -I lanplus -C 3 .* user list 2\n/);
  for (const line of out.split("\n").filter((each) => !each.includes("ipmitool -I"))) {
    expect(line.length).toBeLessThanOrEqual(80);
  }
});

describe("--list", () => {
  test("every profile with its outcome and sources", async () => {
    const { out, exitCode } = await run("--list");
    expect(exitCode).toBe(0);
    for (const [name, { expected }] of everyProfile) expect(out).toContain(`${name}: a run ends "${expected}"\n`);
  });

  test("as JSON", async () => {
    const { out } = await run("--list", "--output", "json");
    const listed = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(listed.map(({ name }) => name)).toEqual([...everyProfile.keys()]);
  });
});

describe("what cannot be used", () => {
  test.each([
    ["an unknown profile", ["--profile", "acme"], "hpe-ilo"],
    ["an address that is none", ["--kcs", "127.0.0.1:99999"], "127.0.0.1:PORT"],
    ["an address for all the world", ["--lan", "0.0.0.0:623"], "127.0.0.1 only"],
    ["an unknown option", ["--machine", "2"], "unknown option"],
  ])("%s", async (_title, args, words) => {
    const { exitCode, error } = await run(...args);
    expect(exitCode).toBe(64);
    expect(error).toContain(words);
  });

  test("a port that is taken", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const address = other.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const { exitCode, error } = await run("--kcs", `127.0.0.1:${port}`, "--lan", "0");
    other.close();
    expect(exitCode).toBe(69);
    expect(error).toContain(`TCP port ${port} of 127.0.0.1 is taken`);
  });

  test.each([
    ["that is not there", undefined, "ENOENT"],
    ["that is no JSON", "{", "faults.json"],
    ["with a rule that is none", '[{ "netFn": "six", "effects": [] }]', "faults.json"],
  ])("a file of fault rules %s", async (_title, content, words) => {
    const file = join(mkdtempSync(join(directory, "x")), "faults.json");
    if (content !== undefined) writeFileSync(file, content);
    const { exitCode, error } = await run("--faults", file, "--kcs", "0", "--lan", "0");
    expect(exitCode).toBe(78);
    expect(error).toContain(words);
  });
});
