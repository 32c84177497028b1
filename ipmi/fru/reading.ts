import { CompletionCode } from "../completion-code.ts";
import { type CompletionCodeError, DecodeError } from "../errors.ts";
import { areaOffsetPosition, fruAreaNames, headerBytes, unitBytes } from "./layout.ts";
import { type Fru, parseFruFrom } from "./parse.ts";

/** A piece to ask for, in the unit of Read FRU Data (bytes or words). */
export interface FruPiece {
  readonly offset: number;
  readonly count: number;
}

/** The first size of a piece, in bytes; ipmi_sim refuses more than 34, KCS of some boards more than 33. */
const firstPieceBytes = 32;

/** Below this a smaller piece is not tried. */
const smallestPieceBytes = 8;

/** The codes with which BMCs say "too much at once"; C6h is the kernel driver's for a reply that came cut short. */
const tooMuch: ReadonlySet<number> = new Set([
  CompletionCode.timeout,
  CompletionCode.requestTruncated,
  CompletionCode.requestLengthInvalid,
  CompletionCode.requestLengthLimitExceeded,
  CompletionCode.parameterOutOfRange,
  CompletionCode.cannotReturnRequestedBytes,
  CompletionCode.unspecified,
]);

/**
 * Decides which pieces of a FRU to read: the header and the areas that are parsed, nothing else. The caller does the I/O:
 *
 *     const reading = new FruReading(await send(transport, getFruInventoryAreaInfo, { fruDeviceId }, signal));
 *     for (let piece = reading.next(); piece !== undefined; piece = reading.next()) {
 *       try {
 *         reading.received(await send(transport, readFruData, { fruDeviceId, ...piece }, signal));
 *       } catch (error) {
 *         if (!(error instanceof CompletionCodeError || error instanceof DecodeError)) throw error;
 *         reading.refused(error);
 *       }
 *     }
 *     const fru = reading.result();
 *
 * It ends for any BMC: each answer brings new bytes, makes the pieces smaller, or gives an area up. A busy BMC
 * (C0h, 81h) is to be waited for before `refused` is called.
 */
export class FruReading {
  readonly #image: Uint8Array;
  readonly #known: boolean[];
  readonly #unit: 1 | 2;
  readonly #unreadable = new Set<number>();
  #pieceBytes = firstPieceBytes;
  #asked: { start: number; end: number } | undefined;

  /** @param info the answer to Get FRU Inventory Area Info */
  constructor(info: { readonly areaSizeBytes: number; readonly access: { readonly unit: "bytes" | "words" } }) {
    this.#image = new Uint8Array(info.areaSizeBytes);
    this.#known = new Array<boolean>(info.areaSizeBytes).fill(false);
    this.#unit = info.access.unit === "words" ? 2 : 1;
  }

  /** What to ask for next; undefined when all is read that can be. */
  next(): FruPiece | undefined {
    const wanted = this.#wanted();
    if (wanted === undefined) return undefined;
    const start = wanted.start - (wanted.start % this.#unit);
    const size = Math.min(this.#pieceBytes, wanted.end - start);
    const count = Math.ceil(size / this.#unit);
    this.#asked = { start, end: Math.min(start + count * this.#unit, this.#image.length) };
    return { offset: start / this.#unit, count };
  }

  /** Takes the answer to the piece that `next` named last. */
  received(response: { readonly countReturned: number; readonly data: Uint8Array }): void {
    const asked = this.#takeAsked();
    const size = Math.min(response.countReturned * this.#unit, response.data.length, asked.end - asked.start);
    let fresh = 0;
    for (let i = 0; i < size; i += 1) {
      if (this.#known[asked.start + i] !== true) fresh += 1;
      this.#known[asked.start + i] = true;
      this.#image[asked.start + i] = response.data[i] ?? 0;
    }
    if (fresh === 0) this.#giveUp(asked);
  }

  /**
   * The BMC refused the piece that `next` named last, or sent less than it announced: a smaller one is tried, or the area is
   * given up.
   * @throws the same error if that was the header: then nothing is known about this FRU
   */
  refused(error: CompletionCodeError | DecodeError): void {
    const asked = this.#takeAsked();
    const size = asked.end - asked.start;
    if ((error instanceof DecodeError || tooMuch.has(error.completionCode)) && size > smallestPieceBytes) {
      this.#pieceBytes = Math.max(smallestPieceBytes, Math.floor(size / 2 / this.#unit) * this.#unit);
      return;
    }
    if (asked.start < headerBytes) throw error;
    this.#giveUp(asked);
  }

  /**
   * The FRU as far as it was read; what could not be read is listed in its problems.
   * @throws DecodeError if it is no FRU
   */
  result(): Fru {
    return parseFruFrom((start, end) => this.#readable(start, end), this.#image.length);
  }

  #takeAsked(): { start: number; end: number } {
    if (this.#asked === undefined) throw new Error("FruReading: an answer without a question");
    const asked = this.#asked;
    this.#asked = undefined;
    return asked;
  }

  #giveUp({ start, end }: { start: number; end: number }): void {
    for (let i = start; i < end; i += 1) if (this.#known[i] !== true) this.#unreadable.add(i);
  }

  #readable(start: number, end: number): Uint8Array {
    const stop = Math.min(end, this.#image.length);
    let at = start;
    while (at < stop && this.#known[at] === true) at += 1;
    return this.#image.slice(start, at);
  }

  /** The first byte that is needed and not known, and the end of what is worth reading with it. */
  #wanted(): { start: number; end: number } | undefined {
    const size = this.#image.length;
    const header = this.#firstGap(0, Math.min(headerBytes, size));
    if (header !== undefined) return { start: header, end: Math.min(firstPieceBytes, size) };
    const areas = this.#areas();
    const end = Math.max(0, ...areas.map((area) => area.end));
    for (const area of areas) {
      const start = this.#firstGap(area.start, area.end);
      if (start !== undefined) return { start, end };
    }
    return undefined;
  }

  /** The areas in the order of the image; an area of unknown length counts as one piece. */
  #areas(): { start: number; end: number }[] {
    const size = this.#image.length;
    const header = this.#readable(0, headerBytes);
    if (header.length < headerBytes || ((header[0] ?? 0) & 0x0f) !== 1) return [];
    return fruAreaNames
      .map((name) => (header[areaOffsetPosition[name]] ?? 0) * unitBytes)
      .filter((start) => start > 0 && start < size)
      .toSorted((a, b) => a - b)
      .map((start) => {
        const [, units] = this.#readable(start, start + 2);
        return { start, end: Math.min(size, start + (units === undefined ? firstPieceBytes : units * unitBytes)) };
      });
  }

  /** The first unknown byte; undefined if there is none, or if it could not be read and the rest is of no use. */
  #firstGap(start: number, end: number): number | undefined {
    for (let i = start; i < end; i += 1) {
      if (this.#known[i] !== true) return this.#unreadable.has(i) ? undefined : i;
    }
    return undefined;
  }
}
