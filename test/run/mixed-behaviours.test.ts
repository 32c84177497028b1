import fc from "fast-check";
import { expect, test } from "vitest";
import { exitCodeOf } from "../../agent/outcome.ts";
import { ExitCode } from "../../proto/exit-code.ts";
import { mainLan } from "../simulator/main-lan.ts";
import { noPolicy } from "../simulator/password-policy.ts";
import type {
  EmptyName,
  PasswordsProfile,
  Profile,
  SimulatedLan,
  TimingProfile,
  UsersProfile,
} from "../simulator/profile.ts";
import { spec } from "../simulator/profiles.ts";
import { virtualClock } from "../simulator/virtual-clock.ts";
import { Machine } from "./machine.ts";

/** How many boards are made up; more by RUNS in the environment. */
const runs = Number(process.env.RUNS ?? 25);
const limitMs = 10_000 + runs * 100;

const one = <const T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);

const users: fc.Arbitrary<UsersProfile> = fc
  .record({
    ids: one(7, 10, 12, 15, 16, 20, 63),
    fixedNameCount: one(0, 1, 2),
    fixedSlots: one<readonly number[]>([], [2]),
    given: one(
      spec.users.given,
      [{ id: 2, name: "root", password: "calvin" }],
      [
        { id: 3, name: "ADMIN", password: "ADMIN" },
        { id: 4, name: "guest", password: "guest", enabled: false },
      ],
    ),
    emptyName: one<EmptyName>("zeros", "ones", "(Empty User)", { refused: 0xcc }, { refused: 0xcb }),
    codes: fc.record(
      {
        sameName: one(0xcc),
        unnamedAccess: one(0xff, 0xcc),
        unnamedPassword: one(0xff, 0xcc),
        shortAccess: one(0xc7),
        sessionLimit: one(0xcc),
        messagingNeedsPrivilege: one(true),
        accessNeedsEnable: one(true),
        payloadRefused: one(0xc1, 0xcc),
      },
      { requiredKeys: [] },
    ),
  })
  .map(({ codes, ...rest }) => ({ ...spec.users, ...rest, ...codes }));

const passwords: fc.Arbitrary<PasswordsProfile> = fc
  .record({
    form: one<Partial<PasswordsProfile>>({}, { sizes: [16], sizeRefused: 0xc8 }, { sizes: [20], sizeRefused: 0xc7 }),
    enable: one<Partial<PasswordsProfile>>(
      {},
      { enableSizes: [16, 20], enableSizeRefused: 0x81 },
      { enableSizes: [0], enableSizeRefused: 0xc7 },
      { enableWithout: 0xd5 },
      { redundantEnable: 0xcc },
    ),
    test: one<Partial<PasswordsProfile>>({}, { wrongTestSize: 0x80 }, { wrongTestSize: "compare" }, { test: 0xc1 }),
    policy: one(
      undefined,
      { ...noPolicy, minLength: 8, upper: 1, lower: 1, digits: 1, specials: 1, unique: true as const },
      { ...noPolicy, minLength: 13, upper: 1, lower: 1, digits: 1, specials: 1, allowedSpecials: "^%$@!~_" },
      {
        ...noPolicy,
        minLength: 8,
        maxLength: 16,
        upper: 2,
        lower: 2,
        digits: 2,
        noRepeats: true as const,
        refused: 0x8f,
      },
    ),
  })
  .map(({ form, enable, test: tested, policy }) => ({
    ...spec.passwords,
    ...form,
    ...enable,
    ...tested,
    ...(policy === undefined ? {} : { policy }),
  }));

const lans: fc.Arbitrary<readonly SimulatedLan[]> = fc
  .tuple(fc.uniqueArray(fc.integer({ min: 1, max: 11 }), { minLength: 1, maxLength: 3 }), fc.nat(2), fc.boolean())
  .map(([channels, live, four]) =>
    channels
      .toSorted((a, b) => a - b)
      .map((channel, i, { length }) => ({
        channel,
        mac: `52:54:00:b1:00:0${channel.toString(16)}`,
        ipv4Address: i === live % length && four ? "10.0.0.7" : "0.0.0.0",
        ...(i === live % length && !four ? { ipv6Address: "2001:db8::7" } : {}),
      })),
  );

const timing: fc.Arbitrary<TimingProfile> = fc.record(
  {
    boot: one(
      { ms: 5_000, codes: [0xff] },
      { ms: 60_000, codes: [0xd2, "silence", 0xce] },
      { ms: 90_000, codes: ["update", 0xc3] },
    ),
    busyAfterWriteMs: one(100, 3_000, 5_000),
    resetAtWrite: fc.record({ number: fc.integer({ min: 1, max: 6 }), kept: fc.boolean(), downMs: one(5_000, 60_000) }),
  },
  { requiredKeys: [] },
);

/** A board that nobody has seen: behaviours that were seen, in any mixture. */
const board: fc.Arbitrary<Profile> = fc
  .record({
    users,
    passwords,
    lans,
    timing,
    medium: one(0x04, 0x06),
    noSuchChannel: one(0xcc, 0xc9, 0xcb),
    infoRefused: fc.option(one(0xc1), { nil: undefined, freq: 5 }),
    unsupported: one(0x80, 0xc9, 0xcc),
    fru: fc.record({ unit: one("bytes", "words"), mostBytes: one(8, 16, 32, 255), tooMuch: one(0xc7, 0xc8, 0xca) }),
  })
  .map(({ lans: given, medium, noSuchChannel, infoRefused, unsupported, fru, ...rest }) => ({
    ...spec,
    ...rest,
    name: "nobody's",
    channels: {
      ...spec.channels,
      lans: given,
      medium,
      noSuchChannel,
      ...(infoRefused === undefined ? {} : { infoRefused }),
    },
    lan: { ...spec.lan, unsupported },
    fru: { ...spec.fru, ...fru },
  }));

test(
  "a board with any mixture of behaviours is linked, and the accounts of others stay as they were",
  async () => {
    await fc.assert(
      fc.asyncProperty(board, async (profile) => {
        const machine = new Machine({ profile });
        const ids = new Set(profile.users.given.map(({ id }) => id));
        const others = () => JSON.stringify(machine.bmc.users.filter(({ id }) => ids.has(id)));
        const before = others();
        const clock = virtualClock();
        const outcome = await machine.boot({ clock }).catch((error: Error) => {
          // A reset in the middle of a write may be one for the next run.
          if (exitCodeOf(error) !== ExitCode.temporary || profile.timing.resetAtWrite === undefined) throw error;
          return machine.boot({ clock });
        });
        const { channel } = mainLan(machine.bmc.lans);
        expect(outcome).toMatchObject({ kind: "linked", bmc: { channel } });
        expect(others()).toBe(before);
        expect(machine.ours()).toHaveLength(1);
        expect(machine.service.opens()).toBe(machine.service.accounts.at(-1));
      }),
      { numRuns: runs },
    );
  },
  limitMs,
);
