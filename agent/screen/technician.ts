import type { Clock } from "../../inband/clock.ts";
import type { Console } from "../console.ts";
import type { ChassisLed } from "./chassis-led.ts";
import { LocalScreen, type Terminal } from "./display.ts";
import { RunFollower } from "./follow-run.ts";
import { type Key, keysIn } from "./keys.ts";
import type { KeyOffer, MachineFacts, Tone } from "./model.ts";
import { Pager } from "./pager.ts";
import { render } from "./render.ts";

/** What the keys do, and what the screen is made of; a test stands in for it. */
export interface TechnicianWorld {
  readonly clock: Clock;
  readonly terminals: readonly Terminal[];
  /** For the lines of the log, beside the screen: one for each serial line. */
  readonly logs: readonly Console[];
  readonly version: string;
  readonly led: Pick<ChassisLed, "show" | "restore"> | undefined;
  readMachine(): Promise<MachineFacts | undefined>;
  inspect(): Promise<string>;
  /** Undefined if there is no shell. */
  readonly shell: ((terminal: Terminal) => Promise<void>) | undefined;
  powerOff(): void;
}

const question = "Power off? Y yes, N no";
const redrawMs = 1_000;
const reading = ["", " Reading machine and BMC. This takes a moment."];

/** The screen with its keys: a console for the run, and what a person in front of the machine wants of it. */
export class Technician {
  /** For the run. */
  readonly console: Console;
  readonly #world: TechnicianWorld;
  readonly #follower: RunFollower;
  readonly #screens: readonly LocalScreen[];
  /** Set while a run is over: what it resolves is that another one is wanted. */
  #rest: PromiseWithResolvers<void> | undefined;
  #pager: Pager | undefined;
  #isAsking = false;
  /** A shell has a terminal, or something is being read. */
  #busy = false;
  #leavesDocument = false;
  readonly #over = new AbortController();

  constructor(world: TechnicianWorld) {
    this.#world = world;
    this.#screens = world.terminals.filter(({ isLocal }) => isLocal).map((each) => new LocalScreen(each));
    this.#follower = new RunFollower(
      world.version,
      () => world.clock.now(),
      () => this.#draw(),
    );
    this.console = this.#consoleOfRun();
    for (const terminal of world.terminals) {
      terminal.listen((text) => {
        for (const key of keysIn(text)) this.#press(key, terminal);
      });
    }
    void this.#keepTime();
    void world.readMachine().then((machine) => machine && this.#follower.machine(machine));
  }

  /** Whether the next run is to do without the document on the stick. */
  get leavesDocument(): boolean {
    return this.#leavesDocument;
  }

  /** Whether anybody can type. */
  get hasKeys(): boolean {
    return this.#world.terminals.length > 0;
  }

  /** A run begins. */
  begins(): void {
    this.#rest = undefined;
    this.#closePager();
    this.#follower.newRun();
    this.#offer();
    this.#world.led?.show("blinking");
  }

  /** Waits so long, or until another run is wanted; and until nobody reads or types any more. */
  async sleep(ms: number): Promise<void> {
    const over = new AbortController();
    await Promise.race([this.again(), this.#world.clock.sleep(ms, over.signal).catch(() => undefined)]);
    over.abort();
    while (this.#busy || this.#pager !== undefined || this.#isAsking) await this.#world.clock.sleep(redrawMs);
  }

  /** Resolves when a person wants another run. */
  async again(): Promise<void> {
    this.#rest ??= Promise.withResolvers<void>();
    await this.#rest.promise;
  }

  /** Leaves the machine as it was, for what comes next. */
  async close(): Promise<void> {
    this.#over.abort();
    await this.#world.led?.restore();
    for (const screen of this.#screens) screen.close();
    for (const terminal of this.#world.terminals) terminal.release();
  }

  #consoleOfRun(): Console {
    const all = [...this.#world.logs, this.#follower];
    const toAll = (tell: (console: Console) => void) => {
      for (const each of all) tell(each);
    };
    return {
      first: (...words) => toAll((each) => each.first(...words)),
      note: (text) => toAll((each) => each.note(text)),
      task: (...words) => toAll((each) => each.task(...words)),
      step: (event) => toAll((each) => each.step(event)),
      problem: (text) => toAll((each) => each.problem(text)),
      waits: (text) => {
        for (const each of this.#world.logs) each.note(text);
      },
      begins: (...words) => this.#follower.begins(...words),
      site: (name) => this.#follower.site(name),
      bmc: (bmc) => this.#follower.bmc(bmc),
      end: (ended) => {
        this.#rest ??= Promise.withResolvers<void>();
        this.#drawOnce(() => {
          toAll((each) => each.end(ended));
          this.#offer();
        });
        this.#world.led?.show(this.#follower.model.verdict?.word === "LINKED" ? "steady" : "off");
        this.#print(render(this.#follower.model, this.#world.clock.now()));
      },
    };
  }

  async #keepTime(): Promise<void> {
    const { clock } = this.#world;
    while (!this.#over.signal.aborted) {
      await clock.sleep(redrawMs, this.#over.signal).catch(() => undefined);
      if (this.#follower.model.verdict === undefined) this.#draw();
    }
  }

  #draw(): void {
    if (this.#busy || this.#over.signal.aborted) return;
    const { model } = this.#follower;
    const lines = this.#pager?.page() ?? render(model, this.#world.clock.now());
    this.#drawLines(lines, this.#pager === undefined ? model.verdict?.tone : undefined);
  }

  /** Changes several things that belong together: nobody sees one without the others. */
  #drawOnce(change: () => void): void {
    const wasBusy = this.#busy;
    this.#busy = true;
    change();
    this.#busy = wasBusy;
    this.#draw();
  }

  #drawLines(lines: readonly string[], tone?: Tone): void {
    for (const screen of this.#screens) screen.draw(lines, tone);
  }

  /** On serial lines, below what stands there. */
  #print(lines: readonly string[]): void {
    for (const terminal of this.#world.terminals) {
      if (!terminal.isLocal) terminal.write(`\n${lines.join("\n")}\n`);
    }
  }

  /** The keys; in their place the question, until it is answered. */
  #offer(): void {
    const asked = this.#isAsking ? question : "";
    const { verdict } = this.#follower.model;
    const whenOver: KeyOffer[] = [
      { key: "R", does: "again" },
      { key: "I", does: "inspect" },
      ...(verdict?.canLeaveDocument === true ? [{ key: "C", does: "go on" }] : []),
      ...(this.#world.shell === undefined ? [] : [{ key: "S", does: "shell" }]),
    ];
    this.#follower.offer([...(verdict === undefined ? [] : whenOver), { key: "P", does: "power off" }], asked);
  }

  #press(key: Key, terminal: Terminal): void {
    if (this.#busy || this.#over.signal.aborted) return;
    if (this.#isAsking) this.#answer(key);
    else if (this.#pager !== undefined) this.#turn(key);
    else if (key === "power off") this.#ask();
    else this.#choose(key, terminal);
  }

  #choose(key: Key, terminal: Terminal): void {
    const { verdict } = this.#follower.model;
    if (verdict === undefined) return;
    const goesOn = key === "continue" && verdict.canLeaveDocument === true;
    if (key === "again" || goesOn) {
      this.#leavesDocument = goesOn;
      this.#rest?.resolve();
    }
    if (key === "inspect") void this.#alone(() => this.#inspect());
    if (key === "shell" && this.#world.shell !== undefined) {
      const { shell } = this.#world;
      void this.#alone(() => terminal.lend(() => shell(terminal)));
    }
  }

  #ask(): void {
    this.#isAsking = true;
    this.#offer();
    this.#print([question]);
  }

  #answer(key: Key): void {
    this.#isAsking = false;
    this.#offer();
    if (key === "yes") void this.#alone(() => this.#powerOff());
  }

  #turn(key: Key): void {
    const isOpen = this.#pager?.press(key);
    if (isOpen === true) this.#print(this.#pager?.page() ?? []);
    else this.#closePager();
    this.#draw();
  }

  #closePager(): void {
    this.#pager = undefined;
  }

  /** Does something that nothing else may draw over; what goes wrong is shown. */
  async #alone(work: () => Promise<void>): Promise<void> {
    this.#busy = true;
    try {
      await work();
    } catch (error) {
      this.console.problem(error instanceof Error ? error.message : String(error));
    } finally {
      this.#busy = false;
      for (const screen of this.#screens) screen.forget();
      this.#draw();
    }
  }

  async #inspect(): Promise<void> {
    this.#drawLines(reading);
    this.#print(reading);
    const pager = new Pager(await this.#world.inspect());
    this.#pager = pager;
    this.#print(pager.page());
  }

  async #powerOff(): Promise<void> {
    this.#drawLines(["", " Powering off."]);
    await this.#world.led?.restore();
    this.#world.powerOff();
  }
}
