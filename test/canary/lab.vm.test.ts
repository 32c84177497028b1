import { existsSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectBmcService } from "../../outband-client/service/bmc.ts";
import { until } from "../lab/deadline.ts";
import type { LabResult } from "../lab/lab-result.ts";
import { readCertificates } from "../lab/service.ts";
import { ProcessWatch } from "./process-watch.ts";
import { filesHolding, textsHolding, valuesHolding } from "./search.ts";

/* `npm run lab -- --keep --token` as a user types it: a boot, a power cycle, and then a rotation from remote. */

const lab = join(import.meta.dirname, "../lab/main.ts");
const stack = new AsyncDisposableStack();
let watch: ProcessWatch;
let said: { readonly stdout: string; readonly stderr: string };
let result: LabResult;

beforeAll(async () => {
  watch = stack.use(new ProcessWatch());
  const args = ["--disable-warning=ExperimentalWarning", lab, "--keep", "--token", "--output", "json"];
  const done = await execa(process.execPath, args, { reject: false, timeout: 280_000 });
  said = { stdout: done.stdout, stderr: done.stderr };
  expect(done.exitCode, done.stderr).toBe(0);
  result = JSON.parse(done.stdout) as LabResult;
  stack.defer(async () => {
    if (result.kept !== undefined && existsSync(result.kept.directory)) process.kill(result.kept.pid, "SIGTERM");
  });
}, 300_000);
afterAll(() => stack.disposeAsync());

test("the lab that stays up says how to look around, and ends when it is told to; no secret is anywhere", async () => {
  const { kept, machines } = result;
  if (kept === undefined) throw new Error("nothing was kept");
  const mac = machines[0]?.bmc_mac ?? "";
  const [, url = ""] = /curl (\S+\/metrics)/.exec(said.stderr) ?? [];
  const before = await accountsOf(kept, mac);
  await using operator = connectOperator(kept);
  await operator.rotateAccount({ mac }, AbortSignal.timeout(30_000));
  const after = await accountsOf(kept, mac);
  const token = await tokenOf(result);
  const secrets = [token, ...new Set([...before, ...after])];
  expect(token).not.toBe("");
  expect(secrets).toHaveLength(3);
  const metrics = await (await fetch(url)).text();
  expect(metrics).toContain("bmc_service_");
  expect(valuesHolding(secrets, { said, metrics })).toEqual([]);
  expect(filesHolding(secrets, kept.directory, ["bmc-flash"])).toEqual([]);

  process.kill(kept.pid, "SIGTERM");
  await until("the lab to end", 20_000, () => !existsSync(kept.directory), { everyMs: 200 });
  expect(textsHolding(secrets, watch.seen)).toEqual([]);
});

type Kept = NonNullable<LabResult["kept"]>;

function connectOperator({ service, pki }: Kept) {
  return connectBmcService({ address: service, ...readCertificates(pki, "operator") });
}

async function accountsOf(kept: Kept, mac: string): Promise<string[]> {
  await using operator = connectOperator(kept);
  const { accounts } = await operator.listAccounts({ mac, showSecrets: true }, AbortSignal.timeout(10_000));
  return accounts.map(({ password }) => password);
}

/** The machine's document is served to whoever asks, with its token; the kernel command line of the machine says where. */
async function tokenOf({ machines }: LabResult): Promise<string> {
  const name = machines[0]?.name ?? "";
  const line = [...watch.seen.keys()].find((each) => each.includes(`/${name}.yaml`)) ?? "";
  const [, port] = /rivet\.config=http:\/\/[\d.]+:(\d+)\//.exec(line) ?? [];
  const document = await (await fetch(`http://127.0.0.1:${port}/${name}.yaml`)).text();
  return /rvt_[0-9a-f]{48}/.exec(document)?.[0] ?? "";
}
