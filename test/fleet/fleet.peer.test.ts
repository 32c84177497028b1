import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { play } from "./play.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "metal-rivet-fleet-"));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("a service that is killed in the middle of 200 enrolments has lost none", async () => {
  const played = await play("remote login, killed", { machines: 200, concurrency: 32, directory });
  expect(played.lost).toEqual([]);
  expect(played.downMs).toBeGreaterThan(0);
  expect(played.retries).toBeGreaterThan(0);
});

test("so has one that gives each machine a certificate for its token", async () => {
  const played = await play("enrolment tokens", { machines: 100, concurrency: 32, directory });
  expect(played.lost).toEqual([]);
  expect(played.retries).toBe(0);
});
