import { optional, uint8, uint32LE } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Close Session: ends this or another session.
 * IPMI 2.0 §22.19.
 *
 * Session ID 0 goes with a session handle instead. Not repeatable: the BMC may close before its answer
 * arrives, and the repetition would meet a session that is gone.
 */
export const closeSession = command({
  name: "Close Session",
  netFn: NetFn.app,
  cmd: 0x3c,
  repeatable: false,
  request: {
    /** The BMC's number of the session ("managed system session ID"). */
    sessionId: uint32LE,
    sessionHandle: optional(uint8),
  },
  response: {},
  codes: { 135: "invalid session ID in request", 136: "invalid session handle in request" },
  checkRequest: ({ sessionId, sessionHandle }) =>
    sessionId !== 0 && sessionHandle !== undefined ? "a session handle needs session ID 0" : undefined,
});
