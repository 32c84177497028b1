import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Reaper, zombiesOf } from "./reaper.ts";

let proc: string | undefined;
afterEach(() => proc && rmSync(proc, { recursive: true, force: true }));

test("finds the zombies of one parent, whatever their command is called", () => {
  proc = mkdtempSync(join(tmpdir(), "rivet-proc-"));
  const add = (pid: string, stat: string) => {
    mkdirSync(join(proc as string, pid));
    writeFileSync(join(proc as string, pid, "stat"), stat);
  };
  add("1", "1 (init) S 0 1 1");
  add("7", "7 (sh) Z 1 7 7");
  add("8", "8 (a) Z 5) (b) Z 1 8 8");
  add("9", "9 (other) Z 7 9 9");
  add("10", "10 (alive) S 1 10 10");
  mkdirSync(join(proc, "11"));
  mkdirSync(join(proc, "self"));
  expect(zombiesOf(1, proc).sort()).toEqual([7, 8]);
});

test("a child that Node reaps itself is left to it; an orphan is reaped at the second look", () => {
  const zombies = new Set([20, 30]);
  const reaped: number[] = [];
  const reaper = new Reaper(
    () => [...zombies],
    (pid) => {
      reaped.push(pid);
      return zombies.delete(pid);
    },
  );
  expect(reaper.look()).toBe(true);
  expect(reaped).toEqual([]);
  zombies.delete(20); // Node was told of its child meanwhile
  zombies.add(40);
  expect(reaper.look()).toBe(true);
  expect(reaped).toEqual([30]);
  expect(reaper.look()).toBe(false);
  expect(reaped).toEqual([30, 40]);
});

test("one that cannot be reaped is tried again", () => {
  const reaper = new Reaper(
    () => [5],
    () => false,
  );
  reaper.look();
  expect(reaper.look()).toBe(true);
});
