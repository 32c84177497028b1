/** Which messages something goes wrong with, and what. All that is left out matches everything. */
export interface FaultRule {
  /** Network function of the request. */
  readonly netFn?: number;
  readonly cmd?: number;
  /** Operation of Set User Password. */
  readonly operation?: "disable" | "enable" | "set" | "test";
  /** Channel in the request, where the command names one. */
  readonly channel?: number;
  /** User ID in the request, where the command names one. */
  readonly user?: number;
  /** On which way; default both. */
  readonly via?: "in-band" | "lan";
  /** From which match on, counted from 1; default 1. */
  readonly from?: number;
  /** How many matches; default as many as there are effects. "always" has no end. */
  readonly count?: number | "always";
  /** What happens to the matches in turn; from the start again when there are more. */
  readonly effects: readonly FaultEffect[];
}

/** What goes wrong with one message. Several can come together. */
export interface FaultEffect {
  /** Answered instead of what the command answers. */
  readonly completionCode?: number;
  /**
   * What becomes of the command itself: "yes" executes it; "no" does not; "pretend" does not either, but answers as if.
   * Default: "no" with a completion code or a lost request, else "yes". What is not executed is answered with 00h.
   */
  readonly execute?: "yes" | "no" | "pretend";
  /** Milliseconds until the answer. */
  readonly delayMs?: number;
  /** Which of the two does not arrive. */
  readonly drop?: "request" | "reply";
  /** The answer comes only with that to a later request. */
  readonly late?: true;
  readonly duplicate?: true;
  /** Of completion code and data only the first so many bytes come. */
  readonly truncate?: number;
  /** So many bytes more than there are. */
  readonly tooLong?: number;
  /** The answer says that it is for this command. */
  readonly otherCommand?: number;
  /** After the command the BMC resets: milliseconds until it is back. */
  readonly resetMs?: number;
}
