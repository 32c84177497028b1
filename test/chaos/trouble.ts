import type { StepName } from "../../agent/step.ts";
import { ServiceError } from "../../outband-client/service/service-error.ts";
import { type FaultName, type Instant, type InstantKind, instant, type PlacedFault } from "./fault.ts";
import type { Invariants } from "./invariants.ts";
import type { LanWatchedBmc } from "./lan-watched-bmc.ts";
import type { OutsideClock } from "./outside-clock.ts";
import { momentMs, type Site } from "./site.ts";

/** How long a BMC takes for its own start, ms. */
const resetMs = 8_000;

/** Where a run stands: in a step of the agent's, or in no agent's. */
export type Place = StepName | "rotation from remote";

/** A fault that came to pass. */
export interface Hit extends PlacedFault {
  readonly step: Place;
  /** When: real time and the machine's, ms. */
  readonly realMs: number;
  readonly virtualMs: number;
}

/** An instant that was passed. */
export interface Passed {
  readonly at: Instant;
  readonly step: Place;
}

/** What can be hit. */
export interface Surroundings {
  readonly site: Site;
  readonly bmc: LanWatchedBmc;
  readonly clock: OutsideClock;
  readonly invariants: Invariants;
}

/** The agent is no more. */
class Dead extends Error {
  override readonly name = "Dead";
}

/** The faults of one run, each of which comes to pass at its instant. */
export class Trouble {
  /** All instants that were passed, in order. */
  readonly instants: Passed[] = [];
  readonly hits: Hit[] = [];
  place: Place;
  /** Only the agent was killed: its machine is in the same boot still. */
  sameBoot = false;
  /** Brings back what the BMC was before its last write. */
  undo: () => void = () => undefined;
  readonly #around: Surroundings;
  readonly #faults: readonly PlacedFault[];
  readonly #title: string;
  readonly #death = new AbortController();
  readonly #patience = new AbortController();
  readonly #counts = new Map<string, number>();
  readonly #strikes: Promise<void>[] = [];
  #violation: unknown;

  /** @param title of the run, for whoever reads of a violation */
  constructor(around: Surroundings, faults: readonly PlacedFault[], title: string, place: Place) {
    this.#around = around;
    this.#faults = faults;
    this.#title = title;
    this.place = place;
  }

  /** Aborted with the agent's death. */
  get death(): AbortSignal {
    return this.#death.signal;
  }

  /** Ends waiting for a service that stays away. */
  get patience(): AbortSignal {
    return this.#patience.signal;
  }

  /** An instant. @throws Dead */
  async pass(when: "before" | "after", what: InstantKind, name: string): Promise<void> {
    this.death.throwIfAborted();
    for (const fault of this.#arrive(when, what, name)) {
      await this.#around.clock.outside(() => this.#strike(fault));
      this.look(`after ${fault}`);
    }
    this.death.throwIfAborted();
  }

  /** An instant at which nobody can wait. What ends or cuts something does so at once; the rest of it is waited for in the end. */
  passNow(when: "before" | "after", what: InstantKind, name: string): void {
    for (const fault of this.#arrive(when, what, name)) {
      const struck = this.#strike(fault);
      struck.catch(() => undefined);
      this.#strikes.push(struck);
      this.look(`after ${fault}`);
    }
  }

  /** A violation ends the case, not the run: thrown here it would be the agent's to handle. */
  look(when: string): void {
    try {
      this.#around.invariants.check(`${this.#title}, ${when}`);
    } catch (error) {
      this.#violation ??= error;
    }
  }

  /** A login from remote has shown that the BMC has kept what was written: no reset loses it any more. */
  keepWrites(): void {
    this.undo = () => undefined;
  }

  /** The run is over. @throws Violation */
  async end(): Promise<void> {
    await Promise.all(this.#strikes);
    this.look("after the run");
    if (this.#violation !== undefined) throw this.#violation;
  }

  /** What strikes now. */
  #arrive(when: "before" | "after", what: InstantKind, name: string): FaultName[] {
    const key = `${when} ${what} ${name}`;
    const nth = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, nth);
    const at = instant(when, what, name, nth);
    const step = this.place;
    this.instants.push({ at, step });
    this.look(at);
    const now = this.#faults.filter((each) => each.at === at);
    const times = { realMs: performance.now(), virtualMs: this.#around.clock.now() };
    this.hits.push(...now.map((each) => ({ ...each, step, ...times })));
    return now.map(({ fault }) => fault);
  }

  async #strike(fault: FaultName): Promise<void> {
    const { site, bmc, clock } = this.#around;
    const { relay, service } = site;
    switch (fault) {
      case "none":
        return;
      case "agent-killed":
        this.sameBoot = true;
        this.#death.abort(new Dead("the agent was killed"));
        return relay.cut();
      case "machine-reset":
        this.#death.abort(new Dead("the machine was reset"));
        return relay.forgetAgents();
      case "bmc-reset-kept":
        return bmc.reset(clock.now(), resetMs);
      case "bmc-reset-lost":
        this.undo();
        this.#around.invariants.loseWrite();
        return bmc.reset(clock.now(), resetMs);
      case "service-killed":
        return await site.killService(true);
      case "service-gone":
        await site.killService(false);
        return this.#loseHope();
      case "network-cut":
        await relay.down();
        return site.forAMoment(() => relay.up());
      case "network-gone":
        await relay.down();
        return this.#loseHope();
      case "requests-lost":
      case "replies-lost":
        relay.pass(fault === "requests-lost" ? "no requests" : "no replies");
        return site.forAMoment(() => relay.up());
      case "requests-gone":
      case "replies-gone":
        relay.pass(fault === "requests-gone" ? "no requests" : "no replies");
        return this.#loseHope();
      case "disk-full":
        service.fillDisk(true);
        return site.forAMoment(() => service.fillDisk(false));
      case "disk-stays-full":
        service.fillDisk(true);
        return this.#loseHope();
      case "lan-cut":
      case "lan-replies-lost":
        site.lanPassage = fault === "lan-cut" ? "nothing" : "no replies";
        return site.forAMoment(() => {
          site.lanPassage = "both ways";
        });
      default:
        return fault satisfies never;
    }
  }

  /** The limits of a run are minutes; what they end is the same after a moment. */
  #loseHope(): void {
    setTimeout(
      () => this.#patience.abort(new ServiceError("unavailable", "the BMC service did not answer; gave up")),
      2 * momentMs,
    );
  }
}
