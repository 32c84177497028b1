import { encode } from "uqr";
import { halfBlock } from "./big-letters.ts";

export interface QrContent {
  readonly state: string;
  readonly uuid: string;
  readonly mac: string;
  readonly address: string;
}

/** Modules on a side, light border included: 41 characters wide and 21 high, two modules in one character. */
export const qrModules = 41;

/** Version 5: 37 modules on a side. ISO/IEC 18004 §6.3.1. */
const maxVersion = 5;

/** What the phone shows: a line each, for what is known. */
export function qrText({ state, uuid, mac, address }: QrContent): string {
  const labelled = [
    ["UUID", uuid],
    ["MAC", mac],
    ["IP", address],
  ] as const;
  return [state, ...labelled.filter(([, value]) => value !== "").map(([name, value]) => `${name} ${value}`)].join("\n");
}

/**
 * The QR code as lines of half blocks. Light modules are the drawn ones, because the screen is dark. With a long IPv6 address
 * the text is in capitals, which take less room.
 */
export function qrLines(content: QrContent): string[] {
  const text = qrText(content);
  const { data, size } =
    encodeWithin(text) ?? encode(text.toUpperCase().replaceAll("\n", " "), { maxVersion, border: 0 });
  const before = Math.floor((qrModules - size) / 2);
  const isLight = (row: number, column: number): boolean =>
    row < qrModules && data[row - before]?.[column - before] !== true;
  return Array.from({ length: Math.ceil(qrModules / 2) }, (_, line) =>
    Array.from({ length: qrModules }, (_, column) =>
      halfBlock(isLight(2 * line, column), isLight(2 * line + 1, column)),
    ).join(""),
  );
}

function encodeWithin(text: string) {
  try {
    return encode(text, { maxVersion, border: 0, boostEcc: true });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
