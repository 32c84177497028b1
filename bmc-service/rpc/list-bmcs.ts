import { status } from "@grpc/grpc-js";
import { Bmc } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { ListBmcsRequest, ListBmcsResponse } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import type { BmcOutline, BmcRow, Store } from "../store/store.ts";
import { invalid, RpcError } from "./rpc-error.ts";

const mebibyte = 1_048_576;
/** After so many bytes a page ends, and a list that is not asked for in pages is refused: a client takes 64 MiB, a row can have 300 KiB. */
const mostBytes = { page: 16 * mebibyte, list: 60 * mebibyte };

/** How a row is told. */
export interface ToldRow {
  readonly bmc: Bmc;
  /** How many bytes it takes in the answer, or somewhat more. */
  readonly bytes: number;
}

/** Counted without encoding: of thousands of rows that would take as long as all the rest. */
export function briefRow(bmc: Bmc): ToldRow {
  const { mac, address, vendor, machineUuid, stateReason, key, drivers, warnings, facts } = bmc;
  const texts = [mac, address, vendor, machineUuid, stateReason, key, ...drivers];
  for (const { text } of warnings) texts.push(text);
  if (facts !== undefined) texts.push(facts.ipv4Address, ...facts.ipv6Addresses);
  return { bmc, bytes: texts.reduce((sum, text) => sum + Buffer.byteLength(text) + bytesAroundText, bytesOfRow) };
}

/** Tags and lengths of a text that is a message's only field, with a number beside it as a warning has; of a row and its numbers. */
const bytesAroundText = 16;
const bytesOfRow = 64;

export function wholeRow(bmc: Bmc): ToldRow {
  return { bmc, bytes: Bmc.encode(bmc).finish().length };
}

/**
 * A page of the rows, or all of them.
 * @param tell undefined: the row has gone since
 * @throws RpcError INVALID_ARGUMENT for a token that is none, RESOURCE_EXHAUSTED if all rows are too many for one answer
 */
export async function listBmcs(
  store: Store,
  { pageSize = 0, pageToken = "" }: Omit<ListBmcsRequest, "brief">,
  tell: (outline: BmcOutline) => Promise<ToldRow | undefined>,
  most: { readonly page: number; readonly list: number } = mostBytes,
): Promise<ListBmcsResponse> {
  const isAfter = pageToken === "" ? () => true : afterToken(pageToken);
  const bmcs: Bmc[] = [];
  let bytes = 0;
  let last: BmcOutline["row"] | undefined;
  for (const outline of await store.bmcOutlines()) {
    if (!isAfter(outline.row)) continue;
    if (pageSize > 0 && last !== undefined && (bmcs.length >= pageSize || bytes >= most.page)) {
      return { bmcs, nextPageToken: tokenOf(last) };
    }
    const told = await tell(outline);
    if (told === undefined) continue;
    bmcs.push(told.bmc);
    bytes += told.bytes;
    last = outline.row;
    if (pageSize === 0 && bytes > most.list) {
      const text = `the rows are more than ${most.list} bytes: ask for pages (page_size), or for WatchBmcs`;
      throw new RpcError(status.RESOURCE_EXHAUSTED, text);
    }
  }
  return { bmcs };
}

/** By what lists are ordered. The row may be gone when the token comes back. */
const tokenOf = ({ mac, key }: Pick<BmcRow, "mac" | "key">) => `${mac} ${key}`;

/** Rows without a MAC address come last, see `listOrder`. */
function afterToken(token: string): (row: Pick<BmcRow, "mac" | "key">) => boolean {
  const [mac = "", key, ...more] = token.split(" ");
  if (key === undefined || more.length > 0) throw invalid("page_token", "it is none that this service gave");
  return (row) => {
    if ((row.mac === "") !== (mac === "")) return row.mac === "";
    return row.mac === mac ? row.key > key : row.mac > mac;
  };
}
