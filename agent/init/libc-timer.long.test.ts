import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

const timer = JSON.stringify(new URL("./libc-timer.ts", import.meta.url).href);

/** A process whose only thread of JavaScript is held for `heldMs`, in a way that no timer of Node's ends. */
function held(program: string, heldMs: number) {
  const source = `
    import { LibcTimer } from ${timer};
    const hold = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    ${program}
    hold(${heldMs});
    process.exit(1);`;
  const { status } = spawnSync(process.execPath, ["--input-type=module", "--eval", source], { timeout: 9_000 });
  return status;
}

test("the call is made while this thread is held", () => {
  expect(held(`new LibcTimer({ name: "_exit", argument: 42 }).set(50);`, 8_000)).toBe(42);
});

test("a timer that is set again begins anew", () => {
  const again = `
    const timer = new LibcTimer({ name: "_exit", argument: 42 });
    for (let i = 0; i < 4; i += 1) {
      timer.set(400);
      hold(150);
    }`;
  expect(held(again, 0)).toBe(1);
});
