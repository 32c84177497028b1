import type { Outcome } from "../../agent/outcome.ts";
import { shapedName } from "../../inband/account/shaped-name.fixture.ts";
import { State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { foreignUsers, fru } from "../run/machine.ts";
import { lanFace } from "../simulator/bmc-faces.ts";
import { mainLan } from "../simulator/main-lan.ts";
import type { Profile } from "../simulator/profile.ts";
import { strict } from "../simulator/profiles.ts";
import { givenUser } from "../simulator/users.ts";
import { type Doubles, runAgent } from "./agent-run.ts";
import type { PlacedFault } from "./fault.ts";
import { Invariants } from "./invariants.ts";
import { LanWatchedBmc } from "./lan-watched-bmc.ts";
import { makeToken } from "./make-token.ts";
import { OutsideClock } from "./outside-clock.ts";
import { rotateFromRemote } from "./remote-rotation.ts";
import type { Pem } from "./service-client.ts";
import type { Site } from "./site.ts";
import { type Hit, type Passed, Trouble } from "./trouble.ts";

export interface ChaosMachineOptions {
  /** What its BMC is like. */
  readonly profile: Profile;
  /** Of its BMC. */
  readonly mac: string;
  readonly randomBelow: (below: number) => number;
  readonly doubles: Doubles;
  /** It has no certificate, but an enrolment token for one use. */
  readonly withToken: boolean;
}

export interface Boot {
  readonly rotate: boolean;
  readonly faults: readonly PlacedFault[];
  /** The agent is a process of its own. */
  readonly ownProcess?: boolean;
}

/** How a run ended, and what went wrong in it. */
export interface Ran {
  readonly ended: Outcome | Error | undefined;
  /** What it was to do is done. */
  readonly linked: boolean;
  readonly instants: readonly Passed[];
  readonly hits: readonly Hit[];
}

/** A machine with a simulated BMC, at a real service. */
export class ChaosMachine {
  readonly bmc: LanWatchedBmc;
  readonly clock = new OutsideClock();
  readonly invariants: Invariants;
  readonly mac: string;
  readonly site: Site;
  readonly #uuid: string;
  readonly #options: ChaosMachineOptions;
  #runs = 0;
  #bootId = "";
  #token: Uint8Array | undefined;

  constructor(site: Site, options: ChaosMachineOptions) {
    const { profile, mac } = options;
    this.site = site;
    this.mac = mac;
    this.#uuid = `4c4c4544-0042-3510-8052-${mac.replaceAll(":", "")}`;
    this.#options = options;
    const main = mainLan(profile.channels.lans);
    const lans = profile.channels.lans.map((lan) => (lan === main ? { ...lan, mac } : lan));
    // The strictest one has the users and the FRU of the tests of the run; any other one its own.
    const own = profile === strict ? { users: foreignUsers, fru } : {};
    this.bmc = new LanWatchedBmc(profile, { lans, machineUuid: this.#uuid, ...own });
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
  async boot({ rotate, faults, ownProcess = false }: Boot): Promise<Ran> {
    const { randomBelow, doubles } = this.#options;
    const trouble = this.#trouble("boot", faults, "identify machine");
    if (this.#bootId === "") this.#bootId = `boot-${this.#runs}`;
    const pem = await this.#credentials();
    const agent = { uuid: this.#uuid, bootId: this.#bootId, rotate, ownProcess, randomBelow, doubles, pem };
    const ended = await runAgent(agent, this, trouble);
    await trouble.end();
    // Only an agent that was killed alone is started again in the same boot of its machine.
    if (!trouble.sameBoot) this.#bootId = "";
    // The last step may fail and the machine is linked all the same: but who died told nobody.
    const isGood = !(ended instanceof Error) && (ended.kind === "linked" || ended.kind === "recognised");
    const linked = isGood && !trouble.death.aborted;
    return { ended, linked, instants: trouble.instants, hits: trouble.hits };
  }

  /** The same token in each boot. One that was linked before it died has spent it: it gets another one from an operator. */
  async #credentials(): Promise<Pem> {
    const { pem, disk } = this.site;
    if (!this.#options.withToken) return pem;
    const isLinked = disk.row(this.mac)?.state === State.STATE_LINKED;
    if (this.#token === undefined || isLinked) this.#token = await makeToken(this.#uuid, this);
    return { ca: pem.ca, token: this.#token };
  }

  /** One `bmcctl rotate`. */
  async rotateFromRemote(faults: readonly PlacedFault[]): Promise<Ran> {
    const trouble = this.#trouble("rotation", faults, "rotation from remote");
    const ended = await rotateFromRemote(this.mac, this, trouble);
    await trouble.end();
    return { ended, linked: ended === undefined, instants: trouble.instants, hits: trouble.hits };
  }

  #trouble(what: string, faults: readonly PlacedFault[], place: Hit["step"]): Trouble {
    this.#runs += 1;
    return new Trouble(this, faults, `${what} ${this.#runs}`, place);
  }
}
