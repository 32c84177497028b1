import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EnrolmentClient } from "../../agent/world.ts";
import { connectEnrolment } from "../../outband-client/service/enrolment.ts";
import { artifacts, ensureBuilt } from "../lab/artifacts.ts";
import { plainEnvironment, startChild } from "../lab/child.ts";
import { until } from "../lab/deadline.ts";
import { freeTcpPort } from "../lab/ports.ts";
import { initPki } from "../lab/service.ts";
import { Machine } from "../run/machine.ts";
import { listenOnLan } from "../simulator/bmc-faces.ts";
import { strict } from "../simulator/profiles.ts";
import { ProcessWatch } from "./process-watch.ts";
import { filesHolding, textsHolding, valuesHolding } from "./search.ts";

/*
 * The programs as they are shipped, told by their environment to trace all that they can: gRPC calls, HTTP/2 frames, TLS,
 * streams. Node would print bytes of passwords then. They do not trace, and no password and no token is anywhere.
 */

const mac = "52:54:00:b1:00:01";
const traces = { GRPC_TRACE: "all", GRPC_VERBOSITY: "DEBUG", NODE_DEBUG: "*" };
const env = { ...plainEnvironment(), ...traces, NO_COLOR: "1" };
const given = "Gv7-canary.Wk2@mP";

const stack = new AsyncDisposableStack();
const secrets = new Set<string>([given]);
let directory: string;
let watch: ProcessWatch;
let service: { readonly address: string; readonly pki: string; readonly log: string };

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "metal-rivet-canary-"));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  await ensureBuilt(join(directory, "build.log"));
  watch = stack.use(new ProcessWatch());
  const machine = new Machine({ profile: strict, bmc: { lans: [{ channel: 1, mac, ipv4Address: "10.0.0.7" }] } });
  const bmc = stack.use(await listenOnLan(machine.bmc));
  const [port, health] = [await freeTcpPort(), await freeTcpPort()];
  service = { address: `127.0.0.1:${port}`, pki: join(directory, "pki"), log: join(directory, "service.log") };
  await initPki(service.pki);
  const data = join(directory, "data");
  mkdirSync(data);
  const command = ["serve", "--listen", service.address, "--health", `127.0.0.1:${health}`, "--log-level", "debug"];
  const where = ["--data", data, "--pki", service.pki, "--bmc-address", `${mac}=127.0.0.1:${bmc.port}`];
  const args = [...command, ...where];
  const child = stack.use(
    await startChild({ command: artifacts.bmcService, args, logFile: service.log, cwd: directory, env }),
  );
  await until("bmc-service to listen", 30_000, () => {
    if (!child.running) throw new Error(readFileSync(service.log, "utf8").slice(-2_000));
    return readFileSync(service.log, "utf8").includes('"msg":"listening"');
  });
  const read = (name: string) => readFileSync(join(service.pki, name));
  const pem = { ca: read("ca.pem"), cert: read("agent.pem"), key: read("agent.key") };
  const connectService = async () => overheard(connectEnrolment({ address: service.address, ...pem }));
  expect(await machine.boot({ world: { connectService } })).toMatchObject({ kind: "linked" });
}, 300_000);
afterAll(() => stack.disposeAsync());

function overheard(inner: EnrolmentClient): EnrolmentClient {
  const { begin, escrowAccount, reportBmc, reportInventory, confirmAccount, abort, watchHandOff } = inner;
  return {
    begin: async (request, signal) => {
      const begun = await begin.call(inner, request, signal);
      secrets.add(begun.sessionToken);
      return begun;
    },
    escrowAccount: (request, signal) => {
      secrets.add(request.password.toString("latin1"));
      return escrowAccount.call(inner, request, signal);
    },
    reportBmc: reportBmc.bind(inner),
    reportInventory: reportInventory.bind(inner),
    confirmAccount: confirmAccount.bind(inner),
    abort: abort.bind(inner),
    watchHandOff: watchHandOff.bind(inner),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

async function bmcctl(args: readonly string[], input = "") {
  const connection = ["--service", service.address, "--pki", service.pki];
  const options = { reject: false, extendEnv: false, env, input, cwd: directory, timeout: 60_000 } as const;
  const { exitCode, stdout, stderr } = await execa(artifacts.bmcctl, [...args, ...connection], options);
  return { exitCode, stdout, stderr };
}

test("the Node that they are built of traces with this environment", async () => {
  const code = 'require("node:stream").Readable.from(["x"]).resume()';
  const { stderr } = await execa(process.execPath, ["--eval", code], { extendEnv: false, env, timeout: 60_000 });
  expect(stderr).toMatch(/^STREAM \d+: /m);
});

describe("bmcctl that is told to trace", () => {
  test("shows secrets on standard output, if asked for, and nowhere else", async () => {
    const { exitCode, stdout, stderr } = await bmcctl(["describe", mac, "--show-secrets", "--output", "json"]);
    expect(exitCode).toBe(0);
    expect(stderr).not.toMatch(/^(D |HTTP2|STREAM)/m);
    expect(valuesHolding([...secrets], { stdout })).not.toEqual([]);
    expect(valuesHolding([...secrets], { stderr })).toEqual([]);
  });

  test("says nothing of the password that it is given, nor of the token that it makes", async () => {
    const update = await bmcctl(["update", mac, "--user", "ADMIN", "--password-file", "-"], `${given}\n`);
    expect(update.exitCode).toBe(77);
    const { exitCode, stdout, stderr } = await bmcctl(["token", "create", "--output", "json"]);
    expect(exitCode).toBe(0);
    const token = /rvt_[0-9a-f]{48}/.exec(stdout)?.[0] ?? "";
    secrets.add(token);
    const file = join(directory, "password-in-a-file");
    writeFileSync(file, `password: ${given}\n`, { mode: 0o600 });
    const wrong = await bmcctl(["update", mac, "--user", "ADMIN", "--password-file", file]);
    rmSync(file);
    expect(wrong.exitCode).toBe(78);
    expect(valuesHolding([...secrets], { update, wrong, stderr })).toEqual([]);
  });
});

test("bmc-service that is told to trace says and stores nothing of any of them", () => {
  const log = readFileSync(service.log, "utf8");
  expect(log).toMatch(/^MODULE \d+: /);
  expect([/server_call \| Request to/, /^(HTTP2|STREAM) \d+: /m].map((trace) => trace.test(log))).toEqual([
    false,
    false,
  ]);
  expect(secrets.size).toBeGreaterThan(3);
  expect(filesHolding([...secrets], directory)).toEqual([]);
  expect(textsHolding([...secrets], watch.seen)).toEqual([]);
});
