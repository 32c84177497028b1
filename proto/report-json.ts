import { BmcFacts, CommandLatencies, Fru, LanChannel, LatencyBucket } from "./gen/metalstack/bmc/v1/bmc.ts";
import { NoBmc, Tried } from "./gen/metalstack/bmc/v1/enrolment_service.ts";
import {
  Baseboard,
  Bios,
  Chassis,
  Disk,
  Inventory,
  Machine,
  NetworkInterface,
  Processor,
  System,
} from "./gen/metalstack/bmc/v1/machine.ts";
import { EndedEarly, Report, ReportedAccount, SealedPassword } from "./gen/metalstack/bmc/v1/report.ts";

/** The form of reports that this release writes and reads. */
export const reportVersion = 1;

/** The longest report, bytes: a call to the service holds it, and a machine fills a tenth of it. */
export const mostReportBytes = 192 * 1024;

/** A report cannot be read. The message names the place; what stands there is not quoted. */
export class ReportError extends Error {
  override readonly name = "ReportError";
  readonly code = "report";
}

/** What a message holds: an empty one tells the kind of each field, but for messages, lists of messages and times. */
interface Shape {
  readonly empty: object;
  readonly inner: Readonly<Record<string, Shape | "time">>;
}

const shape = (message: { fromPartial(nothing: object): object }, inner: Shape["inner"] = {}): Shape => ({
  empty: message.fromPartial({}),
  inner,
});

const machine = shape(Machine, {
  bios: shape(Bios),
  system: shape(System),
  board: shape(Baseboard),
  chassis: shape(Chassis),
});

const bmc = shape(BmcFacts, {
  fru: shape(Fru, { boardManufacturedAt: "time" }),
  channels: shape(LanChannel),
  commandLatencies: shape(CommandLatencies, { buckets: shape(LatencyBucket) }),
});

const report = shape(Report, {
  machine,
  writtenAt: "time",
  bmc,
  noBmc: shape(NoBmc, { tried: shape(Tried) }),
  inventory: shape(Inventory, {
    processors: shape(Processor),
    disks: shape(Disk),
    networkInterfaces: shape(NetworkInterface),
  }),
  accounts: shape(ReportedAccount, { createdAt: "time", sealedPassword: shape(SealedPassword) }),
  endedEarly: shape(EndedEarly),
});

/**
 * The report as JSON, indented: people look at what a stick holds.
 * @throws ReportError if it is longer than a report may be
 */
export function writeReport(content: Report): Buffer {
  const bytes = Buffer.from(`${JSON.stringify(toJson(content), null, 2)}\n`);
  if (bytes.length <= mostReportBytes) return bytes;
  throw new ReportError(`the report has ${bytes.length} bytes, more than the ${mostReportBytes} that a service takes`);
}

/** Empty fields are left out. */
function toJson(value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== "object" || value === null) return value;
  const filled = Object.entries(value).filter(([, each]) => !isEmpty(each));
  return Object.fromEntries(filled.map(([name, each]) => [snakeCase(name), toJson(each)]));
}

function isEmpty(value: unknown): boolean {
  if (value instanceof Uint8Array || Array.isArray(value)) return value.length === 0;
  return value === undefined || value === "" || value === 0 || value === 0n || value === false;
}

/**
 * Reads a report. Fields that a newer release has added are passed over; a newer version is refused.
 * @throws ReportError naming the place: line and column where it is no JSON, else the field
 */
export function readReport(bytes: Uint8Array): Report {
  if (bytes.length > mostReportBytes) {
    throw new ReportError(`${bytes.length} bytes, more than the ${mostReportBytes} of a report`);
  }
  const json = parseJson(bytes);
  const version = typeof json === "object" && json !== null && "version" in json ? json.version : undefined;
  if (version === undefined) throw new ReportError("version: it is missing; is this a report of metal-rivet?");
  if (version !== reportVersion) {
    const shown = typeof version === "number" ? ` ${version}` : "";
    throw new ReportError(`version: this release reads version ${reportVersion}, not${shown || " that"}`);
  }
  return messageOf(report, json, "") as unknown as Report;
}

function parseJson(bytes: Uint8Array): unknown {
  if (bytes.length === 0) throw new ReportError("the file is empty");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ReportError("it is no UTF-8 text; is the file damaged?", { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    // V8 says where, in characters, but for some texts that end too early; and it quotes what stands there.
    const at = Number(/ at position (\d+)/.exec((cause as Error).message)?.[1] ?? text.length);
    const before = text.slice(0, at).split("\n");
    const place = `line ${before.length}, column ${(before.at(-1) ?? "").length + 1}`;
    const problem = at >= text.trimEnd().length ? "the text ends here, too early" : "this is no JSON";
    throw new ReportError(`${place}: ${problem}; is the file damaged?`);
  }
}

function messageOf({ empty, inner }: Shape, json: unknown, path: string): Record<string, unknown> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw wrong(path, "it is no object");
  const message: Record<string, unknown> = { ...empty };
  for (const [key, value] of Object.entries(json)) {
    const name = camelCase(key);
    if (!Object.hasOwn(empty, name) || value === null) continue;
    const field = path === "" ? key : `${path}.${key}`;
    const within = inner[name];
    const was = message[name];
    if (Array.isArray(was)) {
      if (!Array.isArray(value)) throw wrong(field, "it is no list");
      message[name] = value.map((each, index) =>
        within === undefined ? scalarOf("", each, `${field}[${index}]`) : innerOf(within, each, `${field}[${index}]`),
      );
    } else message[name] = within === undefined ? scalarOf(was, value, field) : innerOf(within, value, field);
  }
  return message;
}

function innerOf(within: Shape | "time", json: unknown, field: string): unknown {
  if (within !== "time") return messageOf(within, json, field);
  const time = typeof json === "string" ? new Date(json) : undefined;
  if (time === undefined || Number.isNaN(time.getTime())) throw wrong(field, "it is no time in the form of RFC 3339");
  return time;
}

/** @param like a value of the kind that is wanted */
function scalarOf(like: unknown, json: unknown, field: string): unknown {
  if (like instanceof Uint8Array) {
    const isBase64 =
      typeof json === "string" && /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(json);
    if (!isBase64) throw wrong(field, "it is no base64");
    return Buffer.from(json, "base64");
  }
  switch (typeof like) {
    case "bigint":
      if (typeof json !== "string" || !/^\d{1,19}$/.test(json)) throw wrong(field, "it is no whole number as a text");
      return BigInt(json);
    case "number":
      if (typeof json !== "number" || !Number.isInteger(json) || json < 0 || json > 0xffff_ffff) {
        throw wrong(field, "it is no whole number from 0 to 4294967295");
      }
      return json;
    case "boolean":
      if (typeof json !== "boolean") throw wrong(field, "it is neither true nor false");
      return json;
    default:
      if (typeof json !== "string") throw wrong(field, "it is no text");
      return json;
  }
}

const wrong = (path: string, problem: string): ReportError =>
  new ReportError(`${path === "" ? "the report" : path}: ${problem}`);

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const camelCase = (name: string): string => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
