import { wrap } from "../wrap.ts";
import { bigLetterLines, bigLetters } from "./big-letters.ts";
import { columns, type KeyOffer, rows, type ScreenModel, type StepRow, type Verdict } from "./model.ts";
import { qrLines, qrModules } from "./qr.ts";

/** Left of the QR code. */
const textColumns = columns - qrModules - 1;
const labelColumns = 10;
const marks = { waiting: "[  ]", running: "[..]", done: "[ok]", failed: "[!!]" } as const;

/**
 * The screen: 25 lines of at most 80 columns, in characters that the fonts of text consoles have.
 * @param nowMs on the clock of the model's steps
 */
export function render(model: ScreenModel, nowMs: number): string[] {
  const lines = model.verdict === undefined ? working(model, nowMs) : ended(model, model.verdict);
  return Array.from({ length: rows }, (_, at) => plain(lines[at] ?? "").slice(0, columns));
}

/** How many lines at the top are to be coloured. */
export const colouredLines = bigLetterLines;

/** What others say (a BMC, the service) must not steer the terminal, nor use characters that its font lacks. */
const plain = (text: string): string => text.replace(/[^\u0020-\u007e\u2580\u2584\u2588]/gu, "?").trimEnd();

function working(model: ScreenModel, nowMs: number): string[] {
  const { machine, site, bmc, network, steps, remark, version } = model;
  const line = "-".repeat(columns);
  const place = site === "" ? [] : [label("Site", site)];
  const nowLines = 5 - place.length;
  const now = wrapped(remark, columns - labelColumns - 1, nowLines);
  return [
    `${` metal-rivet ${version}`.padEnd(columns - 8)}working`,
    line,
    label("Machine", machine === undefined ? "being read" : machine.uuid || "no UUID of its own"),
    label("", machine === undefined ? "" : (machine.uuidRemark ?? boardText(machine))),
    ...place,
    label("BMC", bmcText(bmc) || "not read yet"),
    label("Network", network || "not up yet"),
    line,
    ...steps.map((step) => stepText(step, nowMs)),
    line,
    ...Array.from({ length: nowLines }, (_, at) => label(at === 0 ? "Now" : "", now[at] ?? "")),
    line,
    ` ${keysText(model)}`,
  ];
}

const label = (name: string, text: string): string => ` ${name.padEnd(labelColumns)}${text}`;

const boardText = ({ product, board, serial }: NonNullable<ScreenModel["machine"]>): string =>
  [product, named("board", board), named("serial", serial)].filter(Boolean).join(", ");

const named = (name: string, text: string): string => (text === "" ? "" : `${name} ${text}`);

const bmcText = ({ mac, address, firmware }: ScreenModel["bmc"]): string =>
  [mac, named("at", address), named("firmware", firmware)].filter(Boolean).join(" ");

function stepText({ name, state, startedMs, durationMs, limitMs }: StepRow, nowMs: number): string {
  const text = ` ${marks[state]} ${name}`.padEnd(42);
  if (state === "done") return `${text}${(durationMs / 1000).toFixed(1)} s`;
  if (state === "failed") return `${text}failed after ${(durationMs / 1000).toFixed(1)} s`;
  if (state === "waiting") return text;
  const passedMs = nowMs - startedMs;
  const left = limitMs === 0 ? "" : `, at most ${timeText(limitMs - passedMs)} more`;
  return `${text}${timeText(passedMs)}${left}`;
}

/** "12 s", "4 min 30 s" */
function timeText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 100) return `${seconds} s`;
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** The keys left of the QR code: a key and what it does stand in one line. */
function keyLines({ keys, question }: ScreenModel): string[] {
  if (question !== "") return [question];
  const lines: string[] = [];
  for (const { key, does } of keys) {
    const offer = `${key} ${does}`;
    const longer = `${lines.at(-1)}  ${offer}`;
    if (lines.length > 0 && longer.length <= textColumns) lines[lines.length - 1] = longer;
    else lines.push(offer);
  }
  return lines;
}

function keysText({ keys, question }: Pick<ScreenModel, "keys" | "question">): string {
  return question === "" ? keys.map(({ key, does }: KeyOffer) => `${key} ${does}`).join("  ") : question;
}

function ended(model: ScreenModel, verdict: Verdict): string[] {
  const { machine, site, bmc } = model;
  const code = qrLines({ state: verdict.word, uuid: machine?.uuid ?? "", mac: bmc.mac, address: bmc.address });
  const about = [
    `metal-rivet ${model.version}`,
    machine?.uuid || "no UUID of its own",
    ...[machine?.product, named("board", machine?.board ?? ""), named("serial", machine?.serial ?? "")].filter(Boolean),
    ...wrapped(named("site", site), textColumns, 2).filter(Boolean),
    bmc.mac === "" ? "BMC not known" : `BMC ${bmc.mac}`,
    ...[[bmc.address, named("firmware", bmc.firmware)].filter(Boolean).join(" ")].filter(Boolean),
    "",
  ] as string[];
  const keys = keyLines(model);
  const room = rows - bigLetterLines - about.length - keys.length;
  // What to do is told to its end, whatever else is cut.
  const next = wrapped(`> ${verdict.next}`, textColumns, room - 2);
  const words = [...wrapped(verdict.why, textColumns, room - 1 - next.length), "", ...next];
  const more = [model.remark, verdict.detail]
    .filter(Boolean)
    .flatMap((text) => ["", ...wrapped(text, textColumns, room)]);
  const left = [...about, ...atMost([...words, ...more], room), ...keys];
  return [
    ...bigLetters(verdict.word),
    ...code.map((row, at) => `${(left[at] ?? "").slice(0, textColumns).padEnd(textColumns + 1)}${row}`),
  ];
}

/** At most so many lines; "..." says that there were more. */
function atMost(lines: readonly string[], most: number): string[] {
  if (lines.length <= most) return Array.from({ length: most }, (_, at) => lines[at] ?? "");
  const kept = lines.slice(0, most);
  const last = kept[most - 1] ?? "";
  // At the end of a word, if there is one.
  const words = last.length <= textColumns - 4 ? last : last.slice(0, textColumns - 3).replace(/\s*\S*$/, "");
  kept[most - 1] = `${words || last.slice(0, textColumns - 4)} ...`;
  return kept;
}

/** Lines of so many columns, broken at spaces, and within words that are longer. */
function wrapped(text: string, width: number, most: number): string[] {
  const lines = wrap(text, "", "", width).flatMap((line) => line.match(new RegExp(`.{1,${width}}`, "gu")) ?? [""]);
  if (lines.length <= most) return lines;
  return atMost(lines, Math.max(most, 1));
}
