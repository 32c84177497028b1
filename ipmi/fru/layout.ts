/**
 * Where things stand in a FRU image. Platform Management FRU Information Storage Definition v1.0 rev 1.3.
 */

/** §8: version, five offsets in units of 8 bytes (0: no such area), a pad byte, a checksum. */
export const headerBytes = 8;

/** §8, §10-12: the low nibble of the first byte of header and areas. */
export const formatVersion = 1;

/** Offsets of header, areas and area lengths count in these. */
export const unitBytes = 8;

/** The areas that are read, with the position of their offset in the header. */
export const areaOffsetPosition = { chassis: 2, board: 3, product: 4 } as const;

export type FruAreaName = keyof typeof areaOffsetPosition;

export const fruAreaNames = ["chassis", "board", "product"] as const satisfies readonly FruAreaName[];

/** One field that each area has, in order, before its custom fields. */
export interface FruFieldLayout {
  readonly name: string;
  /** Encoded as English whatever the area's language is. */
  readonly alwaysEnglish?: true;
}

/** §10, §11, §12: the fixed bytes before the first type/length byte, then the fields. */
export const areaLayouts = {
  chassis: { fixedBytes: 3, fields: [{ name: "partNumber" }, { name: "serialNumber" }] },
  board: {
    fixedBytes: 6,
    fields: [
      { name: "manufacturer" },
      { name: "productName" },
      { name: "serialNumber", alwaysEnglish: true },
      { name: "partNumber" },
      { name: "fruFileId", alwaysEnglish: true },
    ],
  },
  product: {
    fixedBytes: 3,
    fields: [
      { name: "manufacturer" },
      { name: "productName" },
      { name: "partNumber" },
      { name: "version" },
      { name: "serialNumber", alwaysEnglish: true },
      { name: "assetTag" },
      { name: "fruFileId", alwaysEnglish: true },
    ],
  },
} as const satisfies Record<FruAreaName, { fixedBytes: number; fields: readonly FruFieldLayout[] }>;

type FieldName<A extends FruAreaName> = (typeof areaLayouts)[A]["fields"][number]["name"];

/** The texts of an area; one that the image does not have is left out, an empty one is "". */
export type FruTexts<A extends FruAreaName, T = string> = { readonly [K in FieldName<A>]?: T } & {
  /** Fields after those that the specification names. */
  readonly custom?: readonly T[];
};

/** Board manufacturing dates count minutes from here. §11. */
export const dateEpochMs = Date.UTC(1996, 0, 1);

/** Zero checksum (§8): all bytes, the checksum included, sum up to 0. */
export function checksumRemainder(data: Uint8Array): number {
  return data.reduce((sum, each) => (sum + each) & 0xff, 0);
}
