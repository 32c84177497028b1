/** A reply as it leaves a simulated BMC: what its faces put into their frames. */
export interface OutgoingReply {
  /** Odd: the request's plus one, unless the BMC answers another request. */
  readonly netFn: number;
  readonly lun: number;
  readonly cmd: number;
  readonly completionCode: number;
  readonly data: Uint8Array;
  /** Milliseconds from the request on. */
  readonly delayMs: number;
}
