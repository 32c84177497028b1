import fc from "fast-check";
import { hasOurShape } from "../../inband/account/credentials.ts";
import type { FaultEffect, FaultRule } from "../simulator/fault-rule.ts";
import type { EmptyName } from "../simulator/profile.ts";
import type { GivenUser } from "../simulator/users.ts";

/** One course of things: a BMC, what happened to it before, and runs in which things go wrong. Plain data, so that it shrinks. */
export interface Scenario {
  /** Of the agent's random numbers. */
  readonly seed: number;
  readonly bmc: ScenarioBmc;
  readonly history: readonly HistoryEvent[];
  readonly boots: readonly Boot[];
}

export interface ScenarioBmc {
  /** Name of a profile of the simulated BMC. */
  readonly profile: string;
  readonly userIds: number;
  readonly fixedNameCount: number;
  /** How user IDs without a name answer; as the profile says if left out. */
  readonly emptyName: EmptyName | undefined;
  readonly users: readonly GivenUser[];
  /** LAN channels; the last one has an address. */
  readonly channels: readonly number[];
  readonly open: boolean;
}

/**
 * Runs in which nothing goes wrong, what others do to our account, and accounts of ours beside it: one that the service has
 * in escrow, and one of which it has forgotten.
 */
export type HistoryEvent = "run" | "rotate" | "account deleted" | "account disabled" | "orphan" | "forgotten orphan";

/** One run of the agent. */
export interface Boot {
  readonly rotate: boolean;
  /** The user ID that the configuration asks for; somebody else may have it. */
  readonly userSlot: number | undefined;
  readonly harden: boolean;
  /** Whether calls to the service that fail are tried again, as the program does. */
  readonly retry: boolean;
  readonly limitMs: number;
  readonly ipmiFaults: readonly IpmiFault[];
  /** What the BMC's answers meet on the wire. */
  readonly wireFaults: readonly FaultRule[];
  readonly serviceFaults: readonly ServiceFault[];
  /** The machine loses its power after so many commands and calls. */
  readonly powerCutAfter: number | undefined;
}

/** Something that goes wrong with commands of one name, or with any. */
export interface IpmiFault {
  readonly command: string | undefined;
  /** The first of them that is hit, counted from 0. */
  readonly from: number;
  readonly count: number;
  readonly effect: IpmiEffect;
}

export type IpmiEffect =
  /** Answered with the code, executed or not. */
  | { readonly kind: "code"; readonly code: number; readonly executed: boolean }
  /** Never answered, executed or not. */
  | { readonly kind: "lost"; readonly executed: boolean }
  /** Only the first bytes of the answer come. */
  | { readonly kind: "cut"; readonly bytes: number }
  | { readonly kind: "late"; readonly ms: number }
  /** The BMC restarts and answers nothing for so long; a write is kept or not. */
  | { readonly kind: "reset"; readonly ms: number; readonly executed: boolean };

/** Something that goes wrong with a call to the service. */
export interface ServiceFault {
  readonly call: ServiceCall;
  readonly from: number;
  readonly count: number;
  readonly effect:
    | "unreachable"
    | "refused"
    | "broken"
    /** Done, but the answer is lost. */
    | "reply lost"
    /** No answer until the caller gives up. */
    | "silent"
    /** No answer, and the caller's giving up is not heard either. */
    | "deaf";
}

export const serviceCalls = [
  "begin",
  "reportBmc",
  "reportInventory",
  "escrowAccount",
  "confirmAccount",
  "abort",
  "watchHandOff",
] as const;
export type ServiceCall = (typeof serviceCalls)[number];

const commandNames = [
  "Get Device ID",
  "Get Channel Info",
  "Get LAN Configuration Parameters",
  "Get System GUID",
  "Get User Access",
  "Get User Name",
  "Get Channel Access",
  "Set User Name",
  "Set User Password",
  "Set User Access",
  "Set Channel Access",
  "Set User Payload Access",
  "Read FRU Data",
] as const;

/** Those with a meaning of their own for somebody, then any. */
const code = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(0xc0, 0xc1, 0xc3, 0xc6, 0xc7, 0xc8, 0xc9, 0xcb, 0xcc, 0xce, 0xd2, 0xd4) },
  { weight: 2, arbitrary: fc.constantFrom(0xd5, 0xd6, 0xff, 0x80, 0x81, 0x8f) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 255 }) },
);

const ipmiEffect: fc.Arbitrary<IpmiEffect> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("code" as const), code, executed: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("lost" as const), executed: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("cut" as const), bytes: fc.integer({ min: 0, max: 6 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("late" as const), ms: fc.constantFrom(20, 4_000, 50_000, 70_000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("reset" as const),
      ms: fc.constantFrom(0, 1_000, 30_000, 120_000, 600_000),
      executed: fc.boolean(),
    }),
  },
);

/** An answer that is late, double, for another command, too short or too long; a write that is answered and forgotten. */
const wireEffect: fc.Arbitrary<FaultEffect> = fc.oneof(
  fc.constant({ late: true as const }),
  fc.constant({ duplicate: true as const }),
  fc.record({ otherCommand: fc.constantFrom(0x01, 0x44, 0x46, 0x47) }),
  fc.record({ truncate: fc.integer({ min: 0, max: 18 }) }),
  fc.record({ tooLong: fc.constantFrom(1, 3, 20, 300) }),
  fc.record({ delayMs: fc.constantFrom(20, 4_000, 70_000), late: fc.constant(true as const) }),
  fc.constant({ execute: "pretend" as const }),
  fc.record({ resetMs: fc.constantFrom(0, 5_000, 90_000), execute: fc.constantFrom("yes" as const, "no" as const) }),
);

const wireFault: fc.Arbitrary<FaultRule> = fc.record(
  {
    netFn: fc.constant(0x06),
    cmd: fc.constantFrom(0x43, 0x44, 0x45, 0x46, 0x47),
    from: fc.integer({ min: 1, max: 20 }),
    count: fc.constantFrom(1, 2, 6),
    effects: fc.array(wireEffect, { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: ["from", "count", "effects"] },
);

const ipmiFault: fc.Arbitrary<IpmiFault> = fc.oneof(
  // Somewhere in the run of about 45 commands.
  fc.record({
    command: fc.constant(undefined),
    from: fc.nat(60),
    count: fc.constantFrom(1, 1, 2, 8),
    effect: ipmiEffect,
  }),
  // A write, or what it depends on.
  fc.record({
    command: fc.constantFrom(...commandNames),
    from: fc.nat(4),
    count: fc.constantFrom(1, 2, 8, 1_000),
    effect: ipmiEffect,
  }),
);

const serviceFault: fc.Arbitrary<ServiceFault> = fc.record({
  call: fc.constantFrom(...serviceCalls),
  from: fc.nat(2),
  count: fc.constantFrom(1, 1, 3, 1_000),
  effect: fc.constantFrom("unreachable", "refused", "broken", "reply lost", "silent", "deaf"),
});

/** One time of four. */
const seldom = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

const boot: fc.Arbitrary<Boot> = fc.record({
  rotate: fc.boolean(),
  userSlot: seldom(fc.integer({ min: 2, max: 20 })),
  harden: fc.boolean(),
  retry: fc.boolean(),
  limitMs: fc.constantFrom(900_000, 900_000, 60_000),
  ipmiFaults: fc.array(ipmiFault, { maxLength: 3 }),
  wireFaults: fc.array(wireFault, { maxLength: 2 }),
  serviceFaults: fc.array(serviceFault, { maxLength: 2 }),
  powerCutAfter: seldom(fc.nat(80)),
});

/** Letters and digits, as every BMC takes them; some look like ours, but none ends with a right checksum. */
const foreignName = fc
  .oneof(
    fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,14}$/),
    fc.stringMatching(/^rivet[a-z0-9]{1,11}$/),
    fc.stringMatching(/^rivet[a-zA-Z0-9_]{10}$/),
    fc.stringMatching(/^rivet[a-z]{10}$/),
    fc.constantFrom("rivetjoe", "riveter", "rivetsupervisor", "Rivet0a1b2c3d4e"),
    fc.constantFrom("rivetoperator01", "rivetadmin12345", "rivetbackup2024"),
    fc.stringMatching(/^rivet[a-z0-9]{10}$/),
  )
  .filter((name) => !hasOurShape("rivet", name));

const users = (userIds: number): fc.Arbitrary<GivenUser[]> =>
  fc.uniqueArray(
    fc.record({
      id: fc.integer({ min: 1, max: userIds }),
      name: foreignName,
      password: fc.stringMatching(/^[!-~]{1,16}$/),
      enabled: fc.boolean(),
      privilege: fc.constantFrom(2, 3, 4),
    }),
    {
      maxLength: userIds,
      comparator: (a, b) => a.id === b.id || a.name === b.name,
    },
  );

/** As many as there are seldom, because each costs a command. */
const userIdCount = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(2, 3, 5, 10, 15, 16, 16, 20) },
  { weight: 1, arbitrary: fc.integer({ min: 2, max: 63 }) },
);

const bmc = (profiles: readonly string[]): fc.Arbitrary<ScenarioBmc> =>
  userIdCount.chain((userIds) =>
    fc.record({
      profile: fc.constantFrom(...profiles),
      userIds: fc.constant(userIds),
      fixedNameCount: fc.constantFrom(0, 1, 1, 2, 4),
      emptyName: seldom(
        fc.constantFrom<EmptyName>("zeros", "ones", "(Empty User)", { refused: 0xcc }, { refused: 0xcb }),
      ),
      users: users(userIds),
      channels: fc.uniqueArray(fc.integer({ min: 1, max: 11 }), { minLength: 1, maxLength: 3 }),
      open: fc.boolean(),
    }),
  );

const history: fc.Arbitrary<HistoryEvent[]> = fc.array(
  fc.constantFrom("run", "run", "rotate", "account deleted", "account disabled", "orphan", "forgotten orphan"),
  { maxLength: 3 },
);

/** @param profiles names of the simulated BMC's profiles to choose from; the first one is the simplest */
export function scenarios(profiles: readonly string[]): fc.Arbitrary<Scenario> {
  return fc.record({
    seed: fc.nat(),
    bmc: bmc(profiles),
    history,
    boots: fc.array(boot, { minLength: 1, maxLength: 2 }),
  });
}
