import { everyProfile } from "../simulator/variants.ts";

/** What goes wrong, and what a table calls it. */
export const faults = {
  none: "nothing",
  "agent-killed": "agent killed",
  "machine-reset": "machine reset",
  "bmc-reset-kept": "BMC reset, last write kept",
  "bmc-reset-lost": "BMC reset, last write lost",
  "service-killed": "service killed, back at once",
  "service-gone": "service killed, back after the run",
  "network-cut": "network cut for a moment",
  "network-gone": "network cut until after the run",
  "requests-lost": "requests lost for a moment",
  "requests-gone": "requests lost until after the run",
  "replies-lost": "replies lost for a moment",
  "replies-gone": "replies lost until after the run",
  "disk-full": "service's disk full for a moment",
  "disk-stays-full": "service's disk full until after the run",
  "lan-cut": "BMC's network cut for a moment",
  "lan-replies-lost": "BMC's replies lost for a moment",
} as const;

export type FaultName = keyof typeof faults;

export const faultNames = Object.keys(faults) as FaultName[];

/**
 * A step of the run, an IPMI command that changes something, a call to the service, an event of the hand-off; a command that
 * the BMC gets from the service.
 */
export type InstantKind = "step" | "write" | "call" | "event" | "lan";

/** An instant of a run, as text with the how-manieth of its name: "after:write:set-user-name:1". */
export type Instant = string;

export interface PlacedFault {
  readonly fault: FaultName;
  readonly at: Instant;
  /** Which boot, or rotation from remote, it hits: 0 is the first one that may go wrong. */
  readonly boot: number;
}

/** How a machine stood before things went wrong, and what was to be done. */
export const beginnings = ["first", "rotation", "known", "orphan", "orphans", "rotated", "remote", "token"] as const;

/**
 * "first": it was never seen; "rotation": it is linked and gets a new account; "known": it is linked and boots.
 * "orphan", "orphans": it was never seen, and its BMC has one account of ours, or two, that the service does not know.
 * "rotated": it has got a second account, its BMC has one more that nobody knows, and it gets a third one.
 * "remote": it is linked, and the service gives its account a new password from remote.
 * "token": it was never seen, has no certificate, and comes with an enrolment token that is good for one use, in each of its boots.
 */
export type Beginning = (typeof beginnings)[number];

/** One enrolment in which things go wrong. */
export interface Case {
  readonly beginning: Beginning;
  readonly faults: readonly PlacedFault[];
  /** Name of the profile that its BMC is like. */
  readonly profile: string;
  /** Whether the agent is a process of its own, which SIGKILL ends. */
  readonly ownProcess: boolean;
}

/** What most BMCs of a campaign are like: whoever gets along with it writes in the order that every board takes. */
export const mainProfile = "strict";

/** It loses the same writes in each run, and nobody is told which: no number of boots is enough for some machines. */
const loser = "loses-every-second-write-and-cannot-test";

/** What a campaign's BMCs may be like: those with which a machine is linked when nothing goes wrong. */
export const profileNames: readonly string[] = [
  mainProfile,
  ...[...everyProfile.values()]
    .filter(({ name, expected }) => ![mainProfile, loser].includes(name) && expected === "linked")
    .map(({ name }) => name),
];

/** What can go wrong there: no agent takes part in a rotation from remote. */
export function faultsOf(beginning: Beginning): FaultName[] {
  const agents: readonly FaultName[] = ["agent-killed", "machine-reset"];
  return faultNames.filter((each) => each !== "none" && !(beginning === "remote" && agents.includes(each)));
}

export function instant(when: "before" | "after", what: InstantKind, name: string, nth: number): Instant {
  return `${when}:${what}:${name.replaceAll(" ", "-").toLowerCase()}:${nth}`;
}

/** "rotation on=hpe-ilo agent-killed@after:write:set-user-name:1 lan-cut@before:call:begin:1/1", for --case. */
export function caseText({ beginning, profile, faults: placed, ownProcess }: Case): string {
  const each = placed.map(({ fault, at, boot }) => `${fault}@${at}${boot === 0 ? "" : `/${boot}`}`);
  const on = profile === mainProfile ? [] : [`on=${profile}`];
  return [beginning, ...on, ...(ownProcess ? ["process"] : []), ...each].join(" ");
}

/** @throws RangeError that says what is wrong */
export function parseCase(text: string): Case {
  const [first = "", ...words] = text.trim().split(/\s+/);
  const beginning = beginnings.find((each) => each === first);
  if (beginning === undefined) throw new RangeError(`"${first}" is none of ${beginnings.join(", ")}`);
  const profile = words[0]?.startsWith("on=") ? (words.shift()?.slice("on=".length) ?? "") : mainProfile;
  if (!profileNames.includes(profile)) throw new RangeError(`"${profile}" is none of ${profileNames.join(", ")}`);
  const ownProcess = words[0] === "process";
  return { beginning, profile, ownProcess, faults: words.slice(ownProcess ? 1 : 0).map(parsePlaced) };
}

function parsePlaced(word: string): PlacedFault {
  const found = /^([a-z-]+)@((?:before|after):(?:step|write|call|event|lan):[a-z0-9-]+:\d+)(?:\/(\d))?$/i.exec(word);
  const fault = faultNames.find((each) => each === found?.[1]);
  if (found?.[2] === undefined || fault === undefined) {
    throw new RangeError(`"${word}" is not FAULT@INSTANT, for example agent-killed@after:write:set-user-name:1`);
  }
  return { fault, at: found[2], boot: Number(found[3] ?? 0) };
}
