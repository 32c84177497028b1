import { factsToProto } from "../../../agent/to-proto.ts";
import { checkSizes, requireFacts } from "../../../bmc-service/rpc/fields.ts";
import { NoAnswerError } from "../../../inband/conversation.ts";
import { inspectBmc } from "../../../inband/inspect-bmc.ts";
import { NoLanChannelError } from "../../../inband/lan-channel.ts";
import { type ScriptedAnswer, scriptedBmc } from "../../../inband/scripted-bmc.fixture.ts";
import { NotReadyError, unknownDevice } from "../../../inband/wait-until-ready.ts";
import { TransportError } from "../../../ipmi/errors.ts";
import { encodeFru } from "../../../ipmi/fru/encode.ts";
import type { FuzzedDecoder } from "../fuzzed-decoder.ts";
import { fromHex } from "./corpus.ts";

const address = (text: string): number[] => [...fromHex(text)];

/** LAN parameters of a BMC that has all of them, without the revision byte. IPMI 2.0 table 23-4. */
const parameters: Readonly<Record<number, readonly number[]>> = {
  3: [10, 0, 0, 7],
  4: [1],
  5: [0x52, 0x54, 0, 0xb1, 0, 1],
  6: [255, 255, 0, 0],
  8: [0x6f, 0x02],
  12: [10, 0, 0, 1],
  20: [0x64, 0x80],
  22: [3],
  23: [0, 0, 3, 17, ...new Array<number>(13).fill(0)],
  24: [0, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44],
  50: [6],
  51: [2],
  55: [1, 2, 3],
  56: [0, 0x80, ...address("fd000000000000000000000000000007"), 64, 0],
  59: [0, 2, ...address("fd000000000000000000000000000008"), 64, 0],
};

const fru = encodeFru({
  chassis: { serialNumber: "CH-1" },
  board: { manufacturer: "Acme", productName: "X1", serialNumber: "B-1" },
  product: { manufacturer: "Acme", productName: "Rack One", serialNumber: "P-1" },
});

/** What a good BMC says. */
function goodAnswer(name: string, [first = 0, second = 0, third = 0, fourth = 0]: readonly number[]): ScriptedAnswer {
  switch (name) {
    case "Get Channel Info":
      return first <= 2 ? [first, 4, 1, 0x80, 0xf2, 0x1b, 0, 0, 0] : 0xcc;
    case "Get LAN Configuration Parameters":
      return parameters[second] === undefined ? 0x80 : [0x11, ...parameters[second]];
    case "Get System GUID":
      return Array.from({ length: 16 }, (_, i) => 0x40 + i);
    case "Get Channel Authentication Capabilities":
      return [1, 0x80, 0x14, 2, 0, 0, 0, 0];
    case "Get FRU Inventory Area Info":
      return [fru.length & 0xff, fru.length >> 8, 0];
    case "Read FRU Data": {
      const from = second | (third << 8);
      const data = fru.subarray(from, from + fourth);
      return data.length === 0 ? 0xc9 : [data.length, ...data];
    }
    default:
      return 0xc1;
  }
}

/**
 * A BMC that lies where the input says so, one byte for each command: below E0h it tells the truth; below F4h one byte of its
 * answer is another one, below F8h its answer is made of the input, below FDh it is a completion code; else there is none.
 */
function spoiled(input: Uint8Array): (name: string, data: readonly number[]) => ScriptedAnswer {
  let at = 0;
  const next = (): number => input[at++] ?? 0;
  return (name, data) => {
    const control = next();
    const good = goodAnswer(name, data);
    if (control < 0xe0) return good;
    if (control < 0xf4) return typeof good === "object" ? good.with(next() % good.length, next()) : next();
    if (control < 0xf8) return Array.from({ length: next() & 0x1f }, next);
    return control < 0xfd ? next() : "no answer";
  };
}

/** Whatever a BMC tells, the service takes the report of it: a BMC that is refused there is never linked. */
async function inspectAndReport(input: Uint8Array): Promise<unknown> {
  const { conversation } = scriptedBmc(spoiled(input));
  const inspection = await inspectBmc(conversation, unknownDevice, { extent: "all", waitMs: 0, note: () => undefined });
  const facts = requireFacts("bmc", factsToProto(inspection));
  checkSizes(facts);
  return facts;
}

export const inspectionDecoders: readonly FuzzedDecoder[] = [
  {
    name: "inspection of a BMC",
    decode: inspectAndReport,
    refusals: [NoLanChannelError, TransportError, NotReadyError, NoAnswerError],
    corpus: () => [new Uint8Array(60), Uint8Array.from({ length: 60 }, (_, i) => (i % 7 === 6 ? 0xe0 : 0))],
    growth: 256,
    maxBytes: 160,
    share: 0.3,
  },
];
