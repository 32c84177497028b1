import type { Console } from "../console.ts";
import { type StepEvent, stepNames } from "../step.ts";
import type { BmcLine, MachineFacts, ScreenModel, StepRow } from "./model.ts";
import { verdictOf } from "./verdict.ts";

/** What comes before the first step: drivers, network, configuration. */
const preparing = "prepare";

const unknownBmc: BmcLine = { mac: "", address: "", firmware: "" };

/** Turns what a console is told into what the screen shows. */
export class RunFollower implements Console {
  #model: ScreenModel;
  readonly #now: () => number;
  #changed: () => void = () => undefined;
  #runStartedMs = 0;

  /** @param changed called after each change */
  constructor(version: string, now: () => number, changed: () => void) {
    this.#now = now;
    this.#model = {
      version,
      machine: undefined,
      site: "",
      bmc: unknownBmc,
      network: "",
      steps: [],
      remark: "",
      verdict: undefined,
      keys: [],
      question: "",
    };
    this.newRun();
    this.#changed = changed;
  }

  get model(): ScreenModel {
    return this.#model;
  }

  /** Everything from the top; what is known of the machine stays known. */
  newRun(): void {
    this.#runStartedMs = this.#now();
    const waiting = { state: "waiting", startedMs: 0, durationMs: 0, limitMs: 0 } as const;
    const steps: StepRow[] = [preparing, ...stepNames].map((name) => ({ ...waiting, name }));
    steps[0] = { ...waiting, name: preparing, state: "running", startedMs: this.#runStartedMs };
    this.#set({ steps, verdict: undefined, remark: "", network: "" });
  }

  machine(machine: MachineFacts): void {
    this.#set({ machine });
  }

  /** What the keys do now, and a question in their place. */
  offer(keys: ScreenModel["keys"], question = ""): void {
    this.#set({ keys, question });
  }

  first(): void {}

  note(text: string): void {
    this.#set({ remark: text });
  }

  problem(text: string): void {
    this.#set({ remark: text });
  }

  begins(name: string, limitMs: number): void {
    const startedMs = this.#now();
    this.#update(preparing, (row) => ({ ...row, startedMs, limitMs }));
    this.#set({ remark: name });
  }

  task(name: string, _durationMs: number, detail = ""): void {
    this.#set({ remark: `${name}: done` });
    if (name === "network") this.#set({ network: detail });
  }

  site(site: string): void {
    this.#set({ site });
  }

  bmc(bmc: BmcLine): void {
    this.#set({ bmc });
  }

  step(event: StepEvent): void {
    const nowMs = this.#now();
    this.#update(preparing, (row) =>
      row.state === "running" ? { ...row, state: "done", durationMs: nowMs - this.#runStartedMs } : row,
    );
    if (event.kind === "started") {
      const { step: name, limitMs = 0 } = event;
      const row: StepRow = { name, state: "running", startedMs: nowMs, durationMs: 0, limitMs };
      if (this.#model.steps.some((each) => each.name === name)) this.#update(name, () => row);
      else this.#set({ steps: [...this.#model.steps.slice(1), row] }); // 10 lines of steps have room
      this.#set({ remark: name });
      return;
    }
    const { kind: state, durationMs } = event;
    this.#update(event.step, (row) => ({ ...row, state, durationMs }));
    if (event.kind === "failed") this.#set({ remark: event.reason });
  }

  end(ended: Parameters<Console["end"]>[0]): void {
    const { bmc, machine } = this.#model;
    if (ended.bmc !== undefined) {
      const { mac, address = "" } = ended.bmc;
      // What was read before is kept where the end tells less.
      this.#set({ bmc: { ...bmc, mac: mac || bmc.mac, address: address || bmc.address } });
    }
    if (machine !== undefined && ended.machineUuid !== undefined && machine.uuid !== ended.machineUuid) {
      this.#set({ machine: { ...machine, uuid: ended.machineUuid } }); // a derived one
    }
    this.#set({ verdict: verdictOf(ended), remark: "" });
  }

  #update(name: string, change: (row: StepRow) => StepRow): void {
    this.#set({ steps: this.#model.steps.map((row) => (row.name === name ? change(row) : row)) });
  }

  #set(changes: Partial<ScreenModel>): void {
    this.#model = { ...this.#model, ...changes };
    this.#changed();
  }
}
