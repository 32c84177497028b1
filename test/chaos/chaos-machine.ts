import "../run/loaded-late.ts";
import { exitCodeOf, type Outcome } from "../../agent/outcome.ts";
import { run } from "../../agent/run.ts";
import { makeStep, type StepName } from "../../agent/step.ts";
import { defaultLimits, type EnrolmentClient, type World } from "../../agent/world.ts";
import { shapedName } from "../../inband/account/shaped-name.fixture.ts";
import type { Clock } from "../../inband/clock.ts";
import { allCommands } from "../../ipmi/commands/index.ts";
import { CompletionCode } from "../../ipmi/completion-code.ts";
import type { Message, Reply, Transport } from "../../ipmi/transport.ts";
import { ServiceError } from "../../outband-client/service/service-error.ts";
import { ExitCode } from "../../proto/exit-code.ts";
import { foreignUsers, fru } from "../run/machine.ts";
import { smbiosTables } from "../run/smbios-tables.ts";
import { lanFace } from "../simulator/bmc-faces.ts";
import { strict } from "../simulator/profiles.ts";
import { createBmc, type SimulatedBmc } from "../simulator/simulated-bmc.ts";
import { SimulatedTransport } from "../simulator/simulated-transport.ts";
import { givenUser } from "../simulator/users.ts";
import { runInProcess } from "./agent-process.ts";
import { type FaultName, type Instant, type InstantKind, instant, type PlacedFault } from "./fault.ts";
import { hurriedClock } from "./hurried-clock.ts";
import { Invariants } from "./invariants.ts";
import { OutsideClock } from "./outside-clock.ts";
import { clientWithInstants, connectPatiently, type Pass } from "./service-client.ts";
import { momentMs, type Site } from "./site.ts";

/** How long the kernel's driver waits for a BMC that does not answer, and a BMC for its own start, ms. */
const driverLimitMs = 5_000;
const resetMs = 8_000;

/** What a test breaks on purpose in the agent. */
export interface Doubles {
  readonly client?: (inner: EnrolmentClient) => EnrolmentClient;
  readonly transport?: (inner: Transport, bmc: SimulatedBmc) => Transport;
}

export interface Boot {
  readonly rotate: boolean;
  readonly faults: readonly PlacedFault[];
  /** The agent is a process of its own. */
  readonly ownProcess?: boolean;
}

/** How a boot ended, and what went wrong in it. */
export interface Booted {
  readonly ended: Outcome | Error;
  readonly linked: boolean;
  /** All instants that were passed, in order. */
  readonly instants: readonly { readonly at: Instant; readonly step: StepName }[];
  readonly hits: readonly Hit[];
}

/** A fault that came to pass. */
export interface Hit extends PlacedFault {
  readonly step: StepName;
  /** When: real time and the machine's, ms. */
  readonly realMs: number;
  readonly virtualMs: number;
}

/** A machine with a simulated BMC, at a real service. */
export class ChaosMachine {
  readonly bmc: SimulatedBmc;
  readonly clock = new OutsideClock();
  readonly invariants: Invariants;
  readonly mac: string;
  readonly #uuid: string;
  readonly #site: Site;
  readonly #randomBelow: (below: number) => number;
  readonly #doubles: Doubles;
  #boots = 0;
  #bootId = "";

  constructor(site: Site, mac: string, randomBelow: (below: number) => number, doubles: Doubles = {}) {
    this.mac = mac;
    this.#site = site;
    this.#uuid = `4c4c4544-0042-3510-8052-${mac.replaceAll(":", "")}`;
    this.#randomBelow = randomBelow;
    this.#doubles = doubles;
    const lans = [{ channel: 1, mac, ipv4Address: "10.0.0.7" }];
    this.bmc = createBmc(strict, { users: foreignUsers, fru, lans });
    this.invariants = new Invariants(this.bmc, site.disk, mac);
    site.lan = lanFace(this.bmc, { now: () => this.clock.now() });
  }

  /** Puts an account of ours on the BMC that the service does not know, as one that has lost its database. */
  leaveOrphan(slot: number): void {
    const orphan = givenUser({ id: slot, name: shapedName(slot), password: "forgotten" });
    Object.assign(this.bmc.user(slot), orphan);
    this.invariants.addOrphan(slot);
  }

  /** One run of the agent. A BMC that was reset comes back during the run. */
  async boot(boot: Boot): Promise<Booted> {
    this.#boots += 1;
    if (this.#bootId === "") this.#bootId = `boot-${this.#boots}`;
    const run = new FaultyRun(this, this.#site, boot, this.#boots);
    const booted = await run.play({
      bootId: this.#bootId,
      uuid: this.#uuid,
      randomBelow: this.#randomBelow,
      doubles: this.#doubles,
    });
    // Only an agent that was killed alone is started again in the same boot of its machine.
    if (!run.sameBoot) this.#bootId = "";
    return booted;
  }
}

interface Surroundings {
  readonly bootId: string;
  readonly uuid: string;
  readonly randomBelow: (below: number) => number;
  readonly doubles: Doubles;
}

/** The agent is no more. */
class Dead extends Error {
  override readonly name = "Dead";
}

/** One run of the agent in which the faults of its boot come to pass. */
class FaultyRun {
  readonly #machine: ChaosMachine;
  readonly #site: Site;
  readonly #boot: Boot;
  readonly #number: number;
  readonly #death = new AbortController();
  /** Ends waiting for a service that stays away. */
  readonly #patience = new AbortController();
  readonly #counts = new Map<string, number>();
  readonly #instants: { at: Instant; step: StepName }[] = [];
  readonly #hits: Hit[] = [];
  #step: StepName = "identify machine";
  #violation: unknown;
  /** Brings back what the BMC was before its last write. */
  #undo: () => void = () => undefined;
  sameBoot = false;
  /** The machine's time, for who cannot be seen waiting. */
  readonly #hurried: Clock = { now: () => this.#machine.clock.now(), sleep: hurriedClock.sleep };

  constructor(machine: ChaosMachine, site: Site, boot: Boot, number: number) {
    this.#machine = machine;
    this.#site = site;
    this.#boot = boot;
    this.#number = number;
  }

  async play({ bootId, uuid, randomBelow, doubles }: Surroundings): Promise<Booted> {
    const { bmc, clock } = this.#machine;
    const { transport = (inner: Transport) => inner, client = (inner: EnrolmentClient) => inner } = doubles;
    const pass: Pass = (...at) => this.#pass(...at);
    const onStep = (step: StepName) => {
      this.#step = step;
    };
    const { rotate } = this.#boot;
    const { port } = this.#site.relay;
    const { pem } = this.#site;
    let ended: Outcome | Error;
    if (this.#boot.ownProcess === true) {
      const way = this.#transport(new SimulatedTransport(bmc, [], this.#hurried), this.#hurried);
      const around = { pass, onStep, transport: way, death: this.#death.signal };
      ended = await clock.outside(() => runInProcess({ uuid, bootId, rotate, port, pem }, around));
    } else {
      const service = () =>
        clientWithInstants(client(connectPatiently(port, pem, this.#patience.signal)), pass, (work) =>
          clock.outside(work),
        );
      const world: World = {
        readSmbios: async () => smbiosTables(uuid),
        openBmc: async () => this.#transport(transport(new SimulatedTransport(bmc, [], clock), bmc), clock),
        connectService: async () => service(),
        readBootId: async () => bootId,
        gatherInventory: async () => ({ processors: [], memoryBytes: 0n, disks: [], networkInterfaces: [], gaps: [] }),
        randomBelow,
        clock,
        note: () => undefined,
        settings: { agentVersion: "metal-rivet test", rotate, limits: defaultLimits },
      };
      const step = makeStep({
        clock,
        signal: this.#death.signal,
        onEvent: (event) => event.kind === "started" && onStep(event.step),
        hook: (when, name) => pass(when, "step", name),
      });
      ended = await run(world, step).catch((error: unknown) =>
        error instanceof Error ? error : new Error(String(error)),
      );
      if (exitCodeOf(ended) === ExitCode.bug && !this.#death.signal.aborted) throw ended;
    }
    this.#look("after the run");
    if (this.#violation !== undefined) throw this.#violation;
    // The last step may fail and the machine is linked all the same: but who died told nobody.
    const linked =
      !this.#death.signal.aborted &&
      !(ended instanceof Error) &&
      (ended.kind === "linked" || ended.kind === "recognised");
    return { ended, linked, instants: this.#instants, hits: this.#hits };
  }

  /** Commands to the BMC, with an instant before and after each that changes something. */
  #transport(inner: Transport, clock: Clock): Transport {
    const { bmc } = this.#machine;
    return {
      name: inner.name,
      maxRequestBytes: inner.maxRequestBytes,
      exchange: async (message, signal): Promise<Reply> => {
        const name = writeName(message);
        if (name !== undefined) await this.#pass("before", "write", name);
        else this.#death.signal.throwIfAborted();
        const { users, channelAccess } = structuredClone({ users: bmc.users, channelAccess: bmc.channelAccess });
        const reply = await inner.exchange(message, signal);
        this.#look(`after ${name ?? "a command"}`);
        if (name === undefined) return reply;
        this.#undo = () => {
          for (const [i, user] of users.entries()) Object.assign(bmc.users[i] ?? {}, user);
          bmc.channelAccess = channelAccess;
        };
        await this.#pass("after", "write", name);
        if (bmc.isAlive(clock.now())) return reply;
        // It was reset over the write: nobody hears the answer.
        await clock.sleep(driverLimitMs, signal);
        return { completionCode: CompletionCode.unspecified, data: new Uint8Array() };
      },
      [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    };
  }

  /** An instant. @throws Dead */
  async #pass(when: "before" | "after", what: InstantKind, name: string): Promise<void> {
    this.#death.signal.throwIfAborted();
    const key = `${when} ${what} ${name}`;
    const nth = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, nth);
    const at = instant(when, what, name, nth);
    this.#instants.push({ at, step: this.#step });
    this.#look(at);
    const faults = this.#boot.faults.filter((each) => each.at === at);
    for (const each of faults) {
      this.#hits.push({ ...each, step: this.#step, realMs: performance.now(), virtualMs: this.#machine.clock.now() });
      await this.#machine.clock.outside(() => this.#strike(each.fault));
      this.#look(`after ${each.fault}`);
    }
    this.#death.signal.throwIfAborted();
  }

  async #strike(fault: FaultName): Promise<void> {
    const { relay, service } = this.#site;
    const { bmc, clock } = this.#machine;
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
        this.#undo();
        return bmc.reset(clock.now(), resetMs);
      case "service-killed":
        return await this.#site.killService(true);
      case "service-gone":
        await this.#site.killService(false);
        return this.#loseHope();
      case "network-cut":
        await relay.down();
        return this.#site.forAMoment(() => relay.up());
      case "network-gone":
        await relay.down();
        return this.#loseHope();
      case "requests-lost":
      case "replies-lost":
        relay.pass(fault === "requests-lost" ? "no requests" : "no replies");
        return this.#site.forAMoment(() => relay.up());
      case "requests-gone":
      case "replies-gone":
        relay.pass(fault === "requests-gone" ? "no requests" : "no replies");
        return this.#loseHope();
      case "disk-full":
        await service.fillDisk(true);
        return this.#site.forAMoment(() => service.fillDisk(false));
      case "disk-stays-full":
        await service.fillDisk(true);
        return this.#loseHope();
      case "lan-cut":
        this.#site.lanIsCut = true;
        return this.#site.forAMoment(() => {
          this.#site.lanIsCut = false;
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

  /** A violation ends the case, not the run: thrown here it would be the agent's to handle. */
  #look(when: string): void {
    try {
      this.#machine.invariants.check(`boot ${this.#number}, ${when}`);
    } catch (error) {
      this.#violation ??= error;
    }
  }
}

/** The name of a command that changes what the BMC keeps; undefined for one that reads, or tests a password. */
function writeName({ netFn, cmd, data }: Message): string | undefined {
  const name = allCommands.find((each) => each.netFn === netFn && each.cmd === cmd)?.name;
  const isTest = cmd === 0x47 && ((data[1] ?? 0) & 0x03) === 3;
  return name?.startsWith("Set ") && !isTest ? name : undefined;
}
