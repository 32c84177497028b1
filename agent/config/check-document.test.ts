import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkDocument } from "./check-document.ts";
import { ConfigError } from "./config-error.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rivet-check-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function check(text: string): Promise<string> {
  const path = join(folder, "site.yaml");
  await writeFile(path, text);
  return await checkDocument(path);
}

test("a good document, also one that leaves out what comes from elsewhere", async () => {
  expect(await check("service: bmc.example.org:4443\nthen: poweroff\n")).toMatch(/good; it has service, then\n$/);
});

test.each([
  ["service: 'bmc.example.org:4443\n", /line \d+, column \d+: neither JSON nor YAML/],
  ["servise: bmc.example.org:4443\n", /line 1, column 1: unknown key/],
  ["then: explode\n", /then: .* is not allowed/],
  ["ca: no certificate\n", /ca: /],
  ["cert: /etc/agent.pem\n", /cert: is not a PEM text .*paths are for flags/],
  ["key: /etc/agent.key\n", /key: is not a PEM text/],
])("%j is refused", async (text, message) => {
  await expect(check(text)).rejects.toThrow(ConfigError);
  await expect(check(text)).rejects.toThrow(message);
});
