import "./loaded-late.ts";
import type { Outcome } from "../../agent/outcome.ts";
import { run } from "../../agent/run.ts";
import { makeStep, type StepEvent, type StepOptions } from "../../agent/step.ts";
import { defaultLimits, type World } from "../../agent/world.ts";
import { cryptoRandomBelow } from "../../inband/account/credentials.ts";
import type { Clock } from "../../inband/clock.ts";
import { NoBmcError } from "../../inband/openipmi/open-bmc.ts";
import { encodeFru } from "../../ipmi/fru/encode.ts";
import type { Profile } from "../simulator/profile.ts";
import { strict } from "../simulator/profiles.ts";
import { createBmc, type SimulatedBmc, type SimulatedBmcOptions } from "../simulator/simulated-bmc.ts";
import { type Fault, SimulatedTransport } from "../simulator/simulated-transport.ts";
import { fakeClock } from "./fake-clock.ts";
import { FakeService } from "./fake-service.ts";
import { smbiosTables } from "./smbios-tables.ts";

export const machineUuid = "4c4c4544-0042-3510-8052-b4c04f4d4d32";

/** 240 bytes, as much as on boards with talkative makers. */
export const fru = encodeFru({
  chassis: { chassisType: 23, partNumber: "CH-0815", serialNumber: "CHS-4711-0001" },
  board: {
    manufacturer: "Acme Computers and Instruments",
    productName: "Board One X1",
    serialNumber: "BS-0123456789",
    partNumber: "BP-42-00-17",
    manufacturingDate: new Date("2021-03-04T05:06:00Z"),
  },
  product: {
    manufacturer: "Acme Computers and Instruments",
    productName: "Rack One, twelve bays, two units high",
    partNumber: "RO-1",
    version: "1.0 revision C of 2021",
    serialNumber: "PS-998877",
    assetTag: "A-1",
  },
});

export const foreignUsers = [
  { id: 2, name: "ADMIN", password: "ADMIN-pw-1" },
  { id: 4, name: "operator1", password: "op-pw-2", privilege: 3 },
  { id: 5, name: "rivetlookalike", password: "not ours", enabled: false },
];

export interface MachineOptions {
  readonly bmc?: SimulatedBmcOptions;
  /** Default: the strictest answers of all. Another one comes with its own users and FRU. */
  readonly profile?: Profile;
  readonly noBmc?: boolean;
}

/** A machine with its BMC, and the service. Each `boot` is one run of the agent from the top. */
export class Machine {
  readonly bmc: SimulatedBmc;
  readonly service: FakeService;
  readonly notes: string[] = [];
  events: StepEvent[] = [];
  transport: SimulatedTransport | undefined;
  readonly #noBmc: boolean;

  constructor(options: MachineOptions = {}) {
    const own = options.profile === undefined ? { users: foreignUsers, fru } : { machineUuid };
    this.bmc = createBmc(options.profile ?? strict, { ...own, ...options.bmc });
    this.#noBmc = options.noBmc ?? false;
    this.service = new FakeService(this.bmc);
  }

  /** The BMC's users that are nobody of ours, as bytes. */
  foreign(): string {
    const slots = new Set(this.service.accounts.map(({ slot }) => slot));
    return JSON.stringify(this.bmc.users.filter(({ id }) => !slots.has(id)));
  }

  /** User IDs that hold a name which the service has in escrow. */
  ours(): number[] {
    const names = new Set(this.service.accounts.map(({ userName }) => userName));
    return this.bmc.users
      .filter(({ name }) => names.has(Buffer.from(name).toString("latin1").replace(/\0+$/, "")))
      .map(({ id }) => id);
  }

  async boot(options: BootOptions = {}): Promise<Outcome> {
    const { clock = fakeClock() } = options;
    this.events = [];
    const world: World = {
      readSmbios: async () => smbiosTables(options.uuid ?? machineUuid),
      openBmc: async () => {
        if (this.#noBmc) throw new NoBmcError(tried);
        this.transport = new SimulatedTransport(this.bmc, options.faults, options.clock);
        return this.transport;
      },
      connectService: async () => this.service.client(),
      readBootId: async () => "boot-1",
      gatherInventory: async () => ({ processors: [], memoryBytes: 0n, disks: [], networkInterfaces: [], gaps: [] }),
      randomBelow: cryptoRandomBelow,
      clock,
      note: (text) => this.notes.push(text),
      settings: { agentVersion: "metal-rivet test", rotate: options.rotate ?? false, limits: defaultLimits },
      ...options.world,
    };
    const onEvent = (event: StepEvent) => this.events.push(event);
    return await run(world, makeStep({ clock, onEvent, ...options.step }), options.step?.signal);
  }
}

export const tried = [{ way: "/dev/ipmi0", reason: "it does not exist" }];

export interface BootOptions {
  readonly rotate?: boolean;
  readonly uuid?: string;
  readonly faults?: readonly Fault[];
  /** Passes the BMC's delays on too. Default: one that jumps, on which answers take no time. */
  readonly clock?: Clock;
  readonly step?: Pick<StepOptions, "hook" | "signal">;
  readonly world?: Partial<World>;
}
