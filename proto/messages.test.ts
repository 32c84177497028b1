import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as bmc from "./gen/metalstack/bmc/v1/bmc.ts";
import * as bmcService from "./gen/metalstack/bmc/v1/bmc_service.ts";
import * as enrolment from "./gen/metalstack/bmc/v1/enrolment_service.ts";
import * as machine from "./gen/metalstack/bmc/v1/machine.ts";

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const uint64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const text = fc.string({ unit: "grapheme" });
// Timestamps carry nanoseconds, JavaScript milliseconds; years 1 to 9999 are what the contract's type allows.
const date = fc.date({ min: new Date("1970-01-01"), max: new Date("9999-12-31"), noInvalidDate: true });
const absent = fc.constant(undefined);

const fru = fc.record({
  chassisPartNumber: text,
  chassisSerial: text,
  boardManufacturer: text,
  boardProductName: text,
  boardSerial: text,
  boardPartNumber: text,
  productManufacturer: text,
  productName: text,
  productPartNumber: text,
  productVersion: text,
  productSerial: text,
  productAssetTag: text,
  boardManufacturedAt: fc.oneof(absent, date),
  defects: fc.array(text),
}) satisfies fc.Arbitrary<bmc.Fru>;

const facts = fc.record({
  mac: text,
  channel: uint32,
  ipv4Address: text,
  ipv4Source: fc.constantFrom(...values(bmc.AddressSource)),
  ipv4Mask: text,
  ipv4Gateway: text,
  vlanId: uint32,
  ipv6Addresses: fc.array(text),
  rmcpPort: uint32,
  manufacturerId: uint32,
  productId: uint32,
  firmwareVersion: text,
  ipmiVersion: text,
  guid: text,
  fru: fc.oneof(absent, fru),
  channels: fc.array(fc.record({ channel: uint32, mac: text, ipv4Address: text, remark: text })),
  transport: text,
  findings: fc.array(text),
  commandLatencies: fc.oneof(
    absent,
    fc.record({ buckets: fc.array(fc.record({ upToMs: uint32, count: uint32 })), longestMs: uint32 }),
  ),
}) satisfies fc.Arbitrary<bmc.BmcFacts>;

const inventory = fc.record({
  processors: fc.array(fc.record({ vendor: text, model: text, cores: uint32, threads: uint32 })),
  memoryBytes: uint64,
  disks: fc.array(
    fc.record({ name: text, model: text, serialNumber: text, sizeBytes: uint64, rotational: fc.boolean() }),
  ),
  networkInterfaces: fc.array(
    fc.record({ name: text, mac: text, driver: text, speedMbps: uint32, link: fc.boolean() }),
  ),
  gaps: fc.array(text),
}) satisfies fc.Arbitrary<machine.Inventory>;

const account = fc.record({
  id: text,
  mac: text,
  userName: text,
  password: text,
  slot: uint32,
  state: fc.constantFrom(...values(bmc.AccountState)),
  createdAt: fc.oneof(absent, date),
  verifiedAt: fc.oneof(absent, date),
  stateReason: text,
}) satisfies fc.Arbitrary<bmc.Account>;

const row = fc.record({
  mac: text,
  address: text,
  vendor: text,
  drivers: fc.array(text),
  machineUuid: text,
  state: fc.constantFrom(...values(bmc.State)),
  stateReason: text,
  createdAt: fc.oneof(absent, date),
  changedAt: fc.oneof(absent, date),
  verifiedAt: fc.oneof(absent, date),
  facts: fc.oneof(absent, facts),
  machine: absent,
  inventory: fc.oneof(absent, inventory),
  account: fc.oneof(absent, account),
  chassis: absent,
  agentVersion: text,
  remoteGuid: text,
  warnings: fc.array(fc.record({ kind: fc.constantFrom(...values(bmc.WarningKind)), text })),
  key: text,
}) satisfies fc.Arbitrary<bmc.Bmc>;

// Bytes come back as a view of what was received, hence the copies.
const password = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes));
const escrow = fc.record({
  sessionToken: text,
  mac: text,
  userName: text,
  password,
  slot: uint32,
}) satisfies fc.Arbitrary<enrolment.EscrowAccountRequest>;

const handOff = fc.record({
  at: fc.oneof(absent, date),
  event: fc.oneof(
    absent,
    fc.record({ $case: fc.constant("queued" as const), value: fc.record({ ahead: uint32 }) }),
    fc.record({ $case: fc.constant("connecting" as const), value: fc.record({ address: text }) }),
    fc.record({ $case: fc.constant("loggedIn" as const), value: fc.record({ cipherSuite: uint32, userName: text }) }),
    fc.record({ $case: fc.constant("handedOff" as const), value: fc.record({ driver: text }) }),
    fc.record({
      $case: fc.constant("failed" as const),
      value: fc.record({ kind: fc.constantFrom(...values(enrolment.FailureKind)), reason: text }),
    }),
  ),
}) satisfies fc.Arbitrary<enrolment.WatchHandOffResponse>;

const change = fc.record({
  change: fc.oneof(
    absent,
    fc.record({ $case: fc.constant("bmc" as const), value: row }),
    fc.record({ $case: fc.constant("deletedKey" as const), value: text }),
    fc.record({ $case: fc.constant("snapshotComplete" as const), value: fc.boolean() }),
  ),
}) satisfies fc.Arbitrary<bmcService.WatchBmcsResponse>;

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

describe("what is encoded is decoded again", () => {
  law("Bmc", bmc.Bmc, row);
  law("BmcFacts", bmc.BmcFacts, facts);
  law("Inventory", machine.Inventory, inventory);
  law("EscrowAccountRequest", enrolment.EscrowAccountRequest, escrow);
  law("WatchHandOffResponse", enrolment.WatchHandOffResponse, handOff);
  law("WatchBmcsResponse", bmcService.WatchBmcsResponse, change);

  function law<T>(name: string, codec: Codec<T>, messages: fc.Arbitrary<T>): void {
    test(name, () => {
      fc.assert(
        fc.property(messages, (message) => {
          expect(codec.decode(codec.encode(message).finish())).toEqual(message);
        }),
        { numRuns: 50 },
      );
    });
  }
});

test("fields that only a newer peer knows are skipped", () => {
  const newer = Buffer.concat([
    bmc.LanChannel.encode({ channel: 1, mac: "m", ipv4Address: "", remark: "" }).finish(),
    Buffer.from([0xa2, 0x06, 3, 1, 2, 3]), // field 100, three bytes
  ]);
  expect(bmc.LanChannel.decode(newer)).toEqual({ channel: 1, mac: "m", ipv4Address: "", remark: "" });
});

test("a message that is cut short is refused", () => {
  const whole = bmc.LanChannel.encode({ channel: 1, mac: "52:54:00:00:00:01", ipv4Address: "", remark: "" }).finish();
  expect(() => bmc.LanChannel.decode(whole.subarray(0, whole.length - 1))).toThrow();
});

function values<T extends Record<string, number>>(literals: T): Exclude<T[keyof T], -1>[] {
  return Object.values(literals).filter((value): value is Exclude<T[keyof T], -1> => value !== -1);
}
