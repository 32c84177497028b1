import { expect, test } from "vitest";
import type { Exit } from "./child.ts";
import { watchForEarlyEnd } from "./early-end.ts";

function program(name: string) {
  const { promise, resolve } = Promise.withResolvers<Exit>();
  return { child: { name, logFile: "/dev/null", exited: promise }, end: resolve };
}

test("a program that ends too early is named, with how it ended", async () => {
  const [service, bmc] = [program("bmc-service"), program("ipmi_sim")];
  using watch = watchForEarlyEnd([service.child, bmc.child]);
  expect(watch.signal.aborted).toBe(false);
  bmc.end({ code: null, signal: "SIGKILL" });
  await bmc.child.exited;
  expect(watch.signal.reason.message).toMatch(/^ipmi_sim ended in the middle of the lab \(SIGKILL\)/);
});

test("what is stopped after the watch is no early end", async () => {
  const service = program("bmc-service");
  const watch = watchForEarlyEnd([service.child]);
  watch[Symbol.dispose]();
  service.end({ code: 0, signal: null });
  await service.child.exited;
  expect(watch.signal.aborted).toBe(false);
});
