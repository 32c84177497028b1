import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";

/** A foreign program that a suite cannot do without. */
export interface ForeignProgram {
  readonly name: string;
  readonly debianPackage: string;
  /** A command that ends at once, with 0 if the program is there. */
  readonly probe: readonly [command: string, ...args: string[]];
}

/** "ipmi_sim" is found on the PATH. */
export function onPath(name: string, debianPackage: string): ForeignProgram {
  return { name, debianPackage, probe: ["/bin/sh", "-c", `command -v ${name}`] };
}

/** A suite that is skipped, with the reason in its title, where the program is missing; with CI set it fails instead. */
export function describeWith(program: ForeignProgram, title: string, suite: () => void): void {
  const [command, ...args] = program.probe;
  const there = spawnSync(command, args, { stdio: "ignore", timeout: 20_000 }).status === 0;
  if (there) {
    describe(title, suite);
    return;
  }
  const reason = `${program.name} is missing: apt-get install ${program.debianPackage}`;
  if (process.env.CI) it(title, () => expect.fail(reason));
  else describe.skip(`${title} (skipped: ${reason})`, suite);
}
