import { channelNumber } from "../channel.ts";
import { byte, flag, inByte, nameOrNumber, rest, uint } from "../codec.ts";
import { command } from "../command.ts";
import { DecodeError } from "../errors.ts";
import { NetFn } from "../net-fn.ts";

/** Bytes of the record list in one answer; fewer means that the list has ended. */
export const cipherSuiteBytesPerAnswer = 16;

/**
 * Get Channel Cipher Suites: 16 bytes of the list of suites, by index. Needs no session.
 * IPMI 2.0 §22.15.
 *
 * Ask with list index 0, 1, ... until an answer holds fewer than 16 bytes, put them together and read them with
 * `parseCipherSuiteRecords`. Counts are wrong on HP DL145; iLO 5 3.05 hides suites that work; OpenBMC has only 17.
 */
export const getChannelCipherSuites = command({
  name: "Get Channel Cipher Suites",
  netFn: NetFn.app,
  cmd: 0x54,
  repeatable: true,
  request: {
    channelNumber,
    payloadType: inByte(nameOrNumber({ ipmi: 0, sol: 1 }, 5, 0)),
    list: byte({
      /** True lists by cipher suite, false lists the supported algorithms. */
      byCipherSuite: flag(7),
      index: uint(5, 0),
    }),
  },
  response: {
    channelNumber,
    records: rest(0, cipherSuiteBytesPerAnswer),
  },
});

/** One cipher suite. The numbers are those of IPMI 2.0 tables 13-17 (authentication), 13-18, 13-19. */
export interface CipherSuiteRecord {
  readonly id: number;
  /** IANA enterprise number of who defined it; undefined for a standard suite. */
  readonly oem?: number;
  readonly authentication: number;
  readonly integrity: readonly number[];
  readonly confidentiality: readonly number[];
}

/**
 * Reads the list of records. IPMI 2.0 §22.15.1, tables 22-18 and 22-19.
 * A record that is cut off at the end is left out: some BMCs miscount.
 * @throws DecodeError if the bytes do not begin with a record
 */
export function parseCipherSuiteRecords(data: Uint8Array): CipherSuiteRecord[] {
  const what = "cipher suite records";
  const records: CipherSuiteRecord[] = [];
  let at = 0;
  while (at < data.length) {
    const start = data[at];
    if (start !== 0xc0 && start !== 0xc1) throw new DecodeError(what, at, "neither C0h nor C1h begins a record");
    const header = start === 0xc0 ? 2 : 5;
    let end = at + header;
    const algorithms: number[] = [];
    for (; end < data.length && (data[end] ?? 0) < 0xc0; end += 1) algorithms.push(data[end] ?? 0);
    const numbersOf = (tag: number) => algorithms.filter((each) => each >> 6 === tag).map((each) => each & 0x3f);
    const authentication = numbersOf(0)[0];
    const id = data[at + 1];
    if (authentication === undefined || id === undefined) {
      if (end >= data.length) break;
      throw new DecodeError(what, at, "the record names no authentication algorithm");
    }
    const oem = (data[at + 2] ?? 0) | ((data[at + 3] ?? 0) << 8) | ((data[at + 4] ?? 0) << 16);
    records.push({
      id,
      ...(start === 0xc1 ? { oem } : {}),
      authentication,
      integrity: numbersOf(1),
      confidentiality: numbersOf(2),
    });
    at = end;
  }
  return records;
}
