import "./loaded-late.ts";
import type { RunEnd } from "../../agent/console.ts";
import { performRun } from "../../agent/perform-run.ts";
import { defaultLimits, type EnrolmentClient, type World } from "../../agent/world.ts";
import { shapedName } from "../../inband/account/shaped-name.fixture.ts";
import type { Clock } from "../../inband/clock.ts";
import type { Transport } from "../../ipmi/transport.ts";
import { profiles } from "../simulator/profiles.ts";
import { createBmc, type SimulatedBmc } from "../simulator/simulated-bmc.ts";
import { SimulatedTransport } from "../simulator/simulated-transport.ts";
import { emptyUser, nameText } from "../simulator/users.ts";
import { virtualClock } from "../simulator/virtual-clock.ts";
import { FakeService } from "./fake-service.ts";
import { machineUuid } from "./machine.ts";
import { faultyClient, faultyTransport, type Instants } from "./property-faults.ts";
import { Invariants, Violation } from "./property-invariants.ts";
import type { Boot, HistoryEvent, Scenario, ScenarioBmc } from "./property-scenario.ts";
import { smbiosTables } from "./smbios-tables.ts";

/** What a test breaks on purpose, to see whether it is noticed. */
export interface Doubles {
  readonly client?: (inner: EnrolmentClient, service: FakeService) => EnrolmentClient;
  readonly transport?: (inner: Transport, bmc: SimulatedBmc) => Transport;
  readonly ended?: (ended: RunEnd) => RunEnd;
}

/** How long after its limit a run may still take to end: the grace of a step, and telling the service. */
const graceMs = 2_000 + defaultLimits.abortMs + 1_000;

/** Longer than anything that ends. */
const foreverMs = 7 * 24 * 3_600_000;

const calm: Boot = {
  rotate: false,
  userSlot: undefined,
  harden: false,
  retry: true,
  limitMs: 900_000,
  ipmiFaults: [],
  wireFaults: [],
  serviceFaults: [],
  powerCutAfter: undefined,
};

/**
 * Plays a scenario and holds the agent against what must be so at every instant and after every run.
 * @returns the outcome of each run, for a test that wants to know whether anything happened
 * @throws Violation
 */
export async function play(scenario: Scenario, doubles: Doubles = {}): Promise<string[]> {
  const player = new Player(scenario, doubles);
  for (const event of scenario.history) await player.happen(event);
  for (const boot of scenario.boots) await player.boot(boot);
  await player.recover();
  return player.outcomes;
}

class Player {
  readonly outcomes: string[] = [];
  readonly #clock = virtualClock();
  readonly #bmc: SimulatedBmc;
  readonly #service: FakeService;
  readonly #invariants: Invariants;
  readonly #random: (below: number) => number;
  readonly #doubles: Doubles;

  constructor({ seed, bmc }: Scenario, doubles: Doubles) {
    this.#bmc = makeBmc(bmc);
    this.#service = new FakeService(this.#bmc);
    this.#invariants = new Invariants(this.#bmc, this.#service);
    this.#random = randomNumbers(seed);
    this.#doubles = doubles;
  }

  async happen(event: HistoryEvent): Promise<void> {
    const [ours] = this.#invariants.ours();
    switch (event) {
      case "run":
      case "rotate":
        await this.boot({ ...calm, rotate: event === "rotate" });
        return;
      case "account deleted":
        if (ours !== undefined) Object.assign(ours, emptyUser(ours.id));
        break;
      case "account disabled":
        if (ours !== undefined) ours.enabled = false;
        break;
      case "orphan":
      case "forgotten orphan":
        this.#orphan(event === "forgotten orphan");
        break;
      default:
        event satisfies never;
    }
    this.#invariants.accept();
  }

  /** An account of ours in another slot, from a run that got no further. */
  #orphan(isForgotten: boolean): void {
    const isFree = ({ id, name }: { id: number; name: Uint8Array }) =>
      id > this.#bmc.fixedNameCount + 1 && name[0] === 0;
    const user = this.#bmc.users.findLast(isFree);
    // Before a run has reported the BMC no account can be in escrow.
    if (user === undefined || this.#service.facts === undefined) return;
    const id = String(this.#service.accounts.length + 1);
    const userName = isForgotten ? shapedName(user.id) : `rivetorphan${id}`;
    const password = Buffer.from(`Orphan-${id}-pass`);
    user.name.set(Buffer.from(userName));
    user.password = new Uint8Array(20);
    user.password.set(password);
    if (!isForgotten) {
      this.#service.accounts.push({ id, userName, password, slot: user.id, confirmed: false, verified: false });
      return;
    }
    Object.assign(user, { enabled: true, ipmiMessaging: true, privilege: 4 });
    this.#invariants.forgotten(user.id);
  }

  /** One run. */
  async boot(boot: Boot): Promise<RunEnd> {
    const when = `run ${this.outcomes.length + 1}`;
    const clock = this.#clock;
    this.#invariants.begin(boot.wireFaults.some(({ effects }) => effects.some(({ execute }) => execute === "pretend")));
    this.#bmc.replaceFaults(boot.wireFaults);
    const cut = new PowerCut(boot.powerCutAfter, () => this.#invariants.check(when));
    const said: unknown[] = [];
    const world = this.#world(boot, cut, said);
    const startedAt = clock.now();
    const console = { step: (event: unknown) => said.push(event), end: (end: unknown) => said.push(end) };
    const ended = await this.#notForEver(when, performRun({ limitMs: boot.limitMs }, console, world));
    this.outcomes.push(cut.dead ? "power cut" : ended.outcome);
    cut.rethrow();
    this.#invariants.check(`after ${when}`);
    this.#noSecret(when, said);
    const tookMs = clock.now() - startedAt;
    if (tookMs > boot.limitMs + graceMs)
      throw new Violation(`${when}: took ${tookMs} ms, its limit is ${boot.limitMs} ms`);
    const enabled = this.#invariants.enabledOurs();
    const isCalm = boot.ipmiFaults.length === 0 && boot.wireFaults.length === 0;
    if (isCalm && !cut.dead && ended.outcome === "linked" && enabled > 1) {
      throw new Violation(`${when}: ${enabled} accounts of ours are enabled in the end`);
    }
    if (!cut.dead) this.#agrees(when, boot, this.#doubles.ended?.(ended) ?? ended);
    return ended;
  }

  /**
   * An hour later nothing goes wrong any more: the machine is linked, unless there is no place. It may take two runs: the
   * first one may find its account as it was, have the service log in, and learn that somebody had disabled it.
   */
  async recover(): Promise<void> {
    await this.#clock.sleep(3_600_000);
    const first = await this.boot(calm);
    const { outcome, exitCode, text } = first.outcome === "failed" ? await this.boot(calm) : first;
    if (!this.#hasPlace() && exitCode === 77) return;
    if (outcome !== "linked" && outcome !== "recognised") {
      throw new Violation(`nothing goes wrong any more, but the last run ended with ${outcome}: ${text}`);
    }
    // A machine that is recognised is not scanned: the next new account closes what else there is of ours.
    if (this.#invariants.enabledOurs() > 1) await this.boot({ ...calm, rotate: true });
  }

  #hasPlace(): boolean {
    const { users, fixedNameCount, profile } = this.#bmc;
    const isFixed = (id: number) => id < 2 || id <= fixedNameCount || profile.users.fixedSlots.includes(id);
    return this.#invariants.ours().length > 0 || users.some((user) => !isFixed(user.id) && nameText(user) === "");
  }

  #world(boot: Boot, instants: Instants, said: unknown[]): World {
    const { client = (inner: EnrolmentClient) => inner, transport = (inner: Transport) => inner } = this.#doubles;
    const clock: Clock = this.#clock;
    const { rotate, userSlot, harden } = boot;
    const way = () => transport(new SimulatedTransport(this.#bmc, [], clock), this.#bmc);
    return {
      readSmbios: async () => smbiosTables(machineUuid),
      openBmc: async () => faultyTransport(way(), this.#bmc, boot, clock, instants),
      connectService: async () => faultyClient(client(this.#service.client(), this.#service), boot, clock, instants),
      readBootId: async () => "boot",
      gatherInventory: async () => ({ processors: [], memoryBytes: 0n, disks: [], networkInterfaces: [], gaps: [] }),
      randomBelow: this.#random,
      clock,
      note: (text) => said.push(text),
      settings: { agentVersion: "metal-rivet test", rotate, userSlot, harden, limits: defaultLimits },
    };
  }

  async #notForEver<T>(when: string, work: Promise<T>): Promise<T> {
    const over = new AbortController();
    const forever = this.#clock.sleep(foreverMs, over.signal).then(() => {
      throw new Violation(`${when}: it never ends`);
    });
    try {
      return await Promise.race([work, forever]);
    } finally {
      forever.catch(() => undefined);
      over.abort();
    }
  }

  #agrees(when: string, boot: Boot, { outcome, exitCode, text }: RunEnd): void {
    const no = (problem: string): never => {
      throw new Violation(`${when}: ${problem}: ${outcome}, exit code ${exitCode}: ${text}`);
    };
    const good = ["linked", "recognised", "unverified", "unmanaged", "locked"].includes(outcome);
    if (good !== (exitCode === 0)) no("outcome and exit code do not agree");
    if (exitCode === 70) no("a bug");
    if (exitCode === 64 || exitCode === 78) no("nothing is wrong with the configuration");
    if (outcome === "unmanaged") no("there is a BMC");
    if (outcome === "linked" || outcome === "recognised") {
      if (this.#service.opens() === undefined) no("the service does not get in");
      if (this.#invariants.enabledOurs() === 0) no("no account of ours is enabled");
    }
    if (exitCode === 69 && boot.serviceFaults.length === 0) no("the service was there");
  }

  /** No note, event, error or outcome holds a password, as text or as bytes. */
  #noSecret(when: string, said: readonly unknown[]): void {
    const shown = JSON.stringify(said);
    for (const { password } of this.#service.accounts) {
      const bytes = Buffer.from(password);
      const forms = [bytes.toString("latin1"), bytes.toString("hex"), bytes.toString("base64"), bytes.join()];
      if (forms.some((form) => shown.includes(form))) throw new Violation(`${when}: a password was shown`);
    }
  }
}

/** Looks at every instant, and lets nothing happen any more from the chosen one on. */
class PowerCut implements Instants {
  readonly #after: number;
  readonly #look: () => void;
  #passed = 0;
  #violation: unknown;
  dead = false;

  constructor(after: number | undefined, look: () => void) {
    this.#after = after ?? Number.POSITIVE_INFINITY;
    this.#look = look;
  }

  pass(): void {
    try {
      this.#look();
    } catch (error) {
      // Thrown here it would be the agent's to handle.
      this.#violation ??= error;
    }
    this.#passed += 1;
    if (this.#passed > this.#after) this.dead = true;
    if (this.dead) throw new Error("the power is cut");
  }

  rethrow(): void {
    if (this.#violation !== undefined) throw this.#violation;
  }
}

function makeBmc({ profile, userIds, fixedNameCount, emptyName, users, channels, open }: ScenarioBmc): SimulatedBmc {
  const named = profiles.get(profile);
  if (named === undefined) throw new Error(`no profile "${profile}"`);
  const given = emptyName === undefined ? named : { ...named, users: { ...named.users, emptyName } };
  const lans = channels.map((channel, index) => ({
    channel,
    mac: `52:54:00:b1:00:${channel.toString(16).padStart(2, "0")}`,
    ipv4Address: index === channels.length - 1 ? "10.0.0.7" : "0.0.0.0",
  }));
  const bmc = createBmc(given, { userIds, fixedNameCount, users, lans, machineUuid });
  if (!open) {
    const closed = { accessMode: 0, privilegeLevelLimit: 2 };
    bmc.channelAccess = { volatile: { ...closed }, nonVolatile: { ...closed } };
  }
  return bmc;
}

/** The same numbers for the same seed (mulberry32). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
