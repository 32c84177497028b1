import { setImmediate } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../inband/clock.ts";
import type { Console, RunEnd } from "../console.ts";
import type { Terminal } from "./display.ts";
import { Technician, type TechnicianWorld } from "./technician.ts";

const linked: RunEnd = { outcome: "linked", exitCode: 0, text: "Linked.", durationMs: 1 };
const badFile = Object.assign(new Error("metal-rivet.yaml on the stick: line 3, column 5: a mistake"), {
  name: "ConfigError",
  source: "metal-rivet.yaml on the stick",
});
const refused: RunEnd = { outcome: "error", exitCode: 78, text: badFile.message, durationMs: 1, error: badFile };

class FakeTerminal implements Terminal {
  readonly path: string;
  readonly isLocal: boolean;
  written = "";
  released = false;
  type: (text: string) => void = () => undefined;
  constructor(path: string, isLocal: boolean) {
    this.path = path;
    this.isLocal = isLocal;
  }
  write(text: string) {
    this.written += text;
  }
  listen(typed: (text: string) => void) {
    this.type = typed;
  }
  lent = 0;
  async lend(work: () => Promise<void>) {
    this.lent += 1;
    await work();
  }
  release() {
    this.released = true;
  }
  /** What was written since the last call. */
  news(): string {
    const news = this.written;
    this.written = "";
    return news;
  }
}

const open: Technician[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

function technician(changes: Partial<TechnicianWorld> = {}) {
  const screen = new FakeTerminal("/dev/tty1", true);
  const serial = new FakeTerminal("/dev/ttyS0", false);
  const told: string[] = [];
  const done: string[] = [];
  const log: Console = {
    first: () => told.push("first"),
    note: (text) => told.push(text),
    task: (name) => told.push(name),
    step: ({ step }) => told.push(step),
    problem: (text) => told.push(text),
    end: ({ outcome }) => told.push(outcome),
  };
  const led = {
    show: (state: string) => done.push(`led ${state}`),
    restore: async () => void done.push("led restored"),
  };
  const made = new Technician({
    clock: systemClock,
    terminals: [screen, serial],
    logs: [log],
    version: "0.1.0",
    led,
    readMachine: async () => ({ uuid: "4c4c4544-0042-3510-8052-b4c04f4d4d32", product: "", board: "", serial: "" }),
    inspect: async () => "what was found",
    shell: undefined,
    powerOff: () => done.push("power off"),
    ...changes,
  });
  open.push(made);
  made.begins();
  return { technician: made, screen, serial, told, done };
}

describe("while it runs", () => {
  test("the screen shows it, serial lines keep their log", async () => {
    const { technician: it, screen, serial, told, done } = technician();
    await setImmediate();
    it.console.step({ kind: "started", step: "begin", number: 2, of: 9, limitMs: 315_000 });
    expect(screen.news()).toContain("[..] begin");
    expect(serial.news()).toBe("");
    expect(told).toEqual(["begin"]);
    expect(done).toEqual(["led blinking"]);
  });

  test("only P does something, and asks first", async () => {
    const { screen, serial, done } = technician();
    serial.type("ri");
    screen.news();
    serial.type("p");
    expect(screen.news()).toContain("Power off? Y yes, N no");
    expect(serial.news()).toContain("Power off? Y yes, N no");
    screen.type("n");
    screen.type("py");
    await setImmediate();
    await setImmediate();
    expect(done).toEqual(["led blinking", "led restored", "power off"]);
  });
});

describe("when it is over", () => {
  test("serial lines get the screen once, and the light is steady", async () => {
    const { technician: it, serial, done } = technician();
    await setImmediate();
    it.console.end(linked);
    const frame = serial.news();
    expect(frame.split("\n").filter((line) => line.startsWith("4c4c4544-"))).toHaveLength(1);
    expect(frame.includes("\u001b")).toBe(false);
    expect(done.at(-1)).toBe("led steady");
  });

  test("the end is drawn with its keys; that it waits is told to the log alone", async () => {
    const { technician: it, screen, told } = technician();
    await setImmediate();
    screen.news();
    let drawings = 0;
    const write = screen.write.bind(screen);
    screen.write = (text) => {
      drawings += 1;
      write(text);
    };
    it.console.end(linked);
    expect(drawings).toBe(1);
    expect(screen.news()).toContain("R again  I inspect  P power off");
    it.console.waits?.("waiting (linked, exit code 0)");
    expect(told.at(-1)).toBe("waiting (linked, exit code 0)");
    expect(screen.news()).toBe("");
  });

  test("a question that was asked before it was over stays until it is answered", async () => {
    const { technician: it, screen, done } = technician();
    await setImmediate();
    screen.type("p");
    screen.news();
    it.console.end(linked);
    expect(screen.news()).toContain("Power off? Y yes, N no");
    screen.type("n");
    expect(screen.news()).toContain("R again  I inspect  P power off");
    expect(done).not.toContain("power off");
  });

  test("the light is off where the machine is not linked, also if all is well", async () => {
    const { technician: it, done } = technician();
    it.console.end({ ...linked, outcome: "unverified", text: "The report is on the stick" });
    expect(done.at(-1)).toBe("led off");
  });

  test("R ends the wait at once, another key does not", async () => {
    const { technician: it, screen } = technician();
    it.console.end(linked);
    let over = false;
    const waiting = it.sleep(60_000).then(() => {
      over = true;
    });
    screen.type("x");
    await setImmediate();
    expect(over).toBe(false);
    screen.type("r");
    await waiting;
    it.begins();
    expect(screen.news()).toContain("working");
  });

  test("I shows what inspect finds, until Q", async () => {
    const { technician: it, screen, serial } = technician();
    it.console.end(linked);
    serial.news();
    serial.type("i");
    await setImmediate();
    await setImmediate();
    expect(serial.news()).toContain("what was found");
    expect(screen.news()).toContain("what was found");
    screen.type("q");
    expect(screen.news()).toContain("Nothing is left to do");
  });

  test("C goes on without the document, only where that is what is wrong", async () => {
    const { technician: it, screen } = technician();
    it.console.end(linked);
    screen.type("c");
    expect(it.leavesDocument).toBe(false);
    it.begins();
    it.console.end(refused);
    expect(screen.news()).toContain("C go on");
    screen.type("c");
    await it.again();
    expect(it.leavesDocument).toBe(true);
    it.begins();
    it.console.end(refused);
    screen.type("r");
    await it.again();
    expect(it.leavesDocument).toBe(false);
  });

  test("S gives the terminal on which it was typed to a shell", async () => {
    const given: string[] = [];
    const { technician: it, serial, screen } = technician({ shell: async ({ path }) => void given.push(path) });
    it.console.end(linked);
    expect(screen.news()).toContain("S shell");
    serial.type("s");
    await setImmediate();
    expect(given).toEqual(["/dev/ttyS0"]);
    expect(serial.lent).toBe(1);
  });

  test("what goes wrong with a key is told", async () => {
    const failing = () => Promise.reject(new Error("the BMC is silent"));
    const { technician: it, told, serial } = technician({ inspect: failing });
    it.console.end(linked);
    serial.type("i");
    await setImmediate();
    await setImmediate();
    expect(told.at(-1)).toBe("the BMC is silent");
  });

  test("the machine is left with an empty screen and free terminals", async () => {
    const { technician: it, screen, serial, done } = technician();
    screen.news();
    await it.close();
    expect(screen.news()).toContain("\u001b[?25h");
    expect([screen.released, serial.released]).toEqual([true, true]);
    expect(done.at(-1)).toBe("led restored");
  });
});
