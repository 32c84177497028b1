import { existsSync, readFileSync, writeFileSync } from "node:fs";

/** proc(5): four numbers, the first of which is the level below which messages reach the console. */
const printk = "/proc/sys/kernel/printk";

let before: string | undefined;

/**
 * Lets only emergencies of the kernel (a panic) reach the console: a message of its own in the middle of a JSON line breaks
 * that line for the program that reads it. The kernel's log keeps all of them.
 */
export function quietKernel(path = printk): void {
  // a kernel that was built without messages has no such file
  if (!existsSync(path)) return;
  before ??= readFileSync(path, "latin1");
  writeFileSync(path, "1\n");
}

/** Undoes quietKernel, for the program that takes our place. */
export function letKernelSpeak(path = printk): void {
  if (before !== undefined) writeFileSync(path, before);
  before = undefined;
}
