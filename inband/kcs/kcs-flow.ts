import { Control, describeStatus, KcsError, type KcsRegisters, State, Status, stateOf } from "./kcs-registers.ts";

/**
 * The flow charts of KCS, in their order: write, read, error exit. IPMI 2.0 §9.15.
 * All of them throw KcsError where the chart leads to the error exit, and what `until` and PortIo throw.
 */

/** Waits for a status within the limits of one exchange. */
export type Until = (what: string, isSo: (status: number) => boolean, limitMs?: number) => Promise<number>;

/** IPMI_MAX_MSG_LENGTH of Linux: more than a reply can have, with network function, command and completion code. */
export const longestReplyBytes = 272;

/** How long the BMC may take for each byte of the error exit, in milliseconds. */
const errorExitLimitMs = 1_000;
const errorExits = 3;

const inputTaken = (status: number): boolean => (status & Status.ibf) === 0;
const outputThere = (status: number): boolean => (status & Status.obf) !== 0;

/** Reads and drops what waits in Data_Out. */
function clearOutput(registers: KcsRegisters, status: number): void {
  if (outputThere(status)) registers.readData();
}

/**
 * Writes a request.
 * @param bytes network function and LUN, command, data: two at least
 * @param beforeLast called when only the last byte is missing: until then the BMC cannot execute anything
 */
export async function writeRequest(
  registers: KcsRegisters,
  bytes: Uint8Array,
  until: Until,
  beforeLast: () => void,
): Promise<void> {
  const taken = async (what: string): Promise<void> => {
    const status = await until(`take ${what}`, inputTaken);
    if (stateOf(status) !== State.write) throw new KcsError(`the BMC refused ${what} (${describeStatus(status)})`);
    clearOutput(registers, status);
  };
  clearOutput(registers, await until("become ready for a request", inputTaken));
  registers.writeCommand(Control.writeStart);
  await taken("WRITE_START");
  for (const [index, byte] of bytes.subarray(0, -1).entries()) {
    registers.writeData(byte);
    await taken(`byte ${index + 1} of ${bytes.length}`);
  }
  registers.writeCommand(Control.writeEnd);
  await taken("WRITE_END");
  beforeLast();
  registers.writeData(bytes.at(-1) ?? 0);
}

/**
 * Reads the reply to the request just written. A BMC takes the byte and changes its state one after the other, and not
 * every one in the right order: the state before a byte is there does not yet count.
 * @param replyLimitMs for the first byte. Until they have it some BMCs hold IBF, others stay in WRITE or hold back OBF
 */
export async function readReply(registers: KcsRegisters, until: Until, replyLimitMs: number): Promise<Uint8Array> {
  const bytes: number[] = [];
  for (;;) {
    const limitMs = bytes.length === 0 ? replyLimitMs : undefined;
    const what = bytes.length === 0 ? "answer" : `go on after byte ${bytes.length} of the reply`;
    const answered = (status: number): boolean =>
      inputTaken(status) && (bytes.length > 0 || stateOf(status) !== State.write);
    const status = await until(what, answered, limitMs);
    if (stateOf(status) === State.idle) {
      // The chart waits for a dummy byte, which some boards never give. It is dropped whenever it comes: now or before
      // the next request.
      clearOutput(registers, status);
      return Uint8Array.from(bytes);
    }
    if (stateOf(status) !== State.read) throw gaveUp(bytes.length, status);
    const ready = await until(what, (each) => outputThere(each) || stateOf(each) !== State.read, limitMs);
    if (stateOf(ready) !== State.read) {
      clearOutput(registers, ready);
      if (stateOf(ready) === State.idle) return Uint8Array.from(bytes);
      throw gaveUp(bytes.length, ready);
    }
    if (bytes.length === longestReplyBytes) throw new KcsError(`the reply is longer than ${longestReplyBytes} bytes`);
    bytes.push(registers.readData());
    registers.writeData(Control.read);
  }
}

const gaveUp = (bytes: number, status: number): KcsError =>
  new KcsError(`the BMC gave up after byte ${bytes} of the reply (${describeStatus(status)})`);

/**
 * Ends whatever transfer is under way, so that the BMC is idle afterwards.
 * @returns the BMC's error status; undefined if it gave none. IPMI 2.0 §9.11, table 9-4
 * @throws KcsError if it does not become idle
 */
export async function leaveByErrorExit(registers: KcsRegisters, until: Until): Promise<number | undefined> {
  const taken = (what: string): Promise<number> => until(`take ${what}`, inputTaken, errorExitLimitMs);
  let problem: KcsError | undefined;
  for (let exits = 0; exits < errorExits; exits += 1) {
    try {
      // A BMC that hangs with IBF set gets the abort all the same: there is nothing left to lose.
      await taken("what was written before").catch(unlessKcsError);
      registers.writeCommand(Control.getStatusAbort);
      clearOutput(registers, await taken("GET_STATUS/ABORT"));
      registers.writeData(0);
      const status = await taken("the byte after GET_STATUS/ABORT");
      if (stateOf(status) === State.idle) {
        clearOutput(registers, status);
        return undefined;
      }
      if (stateOf(status) !== State.read) throw new KcsError(`the BMC refused the abort (${describeStatus(status)})`);
      await until("give its error status", outputThere, errorExitLimitMs);
      const errorStatus = registers.readData();
      registers.writeData(Control.read);
      const last = await taken("READ after its error status");
      if (stateOf(last) !== State.idle) {
        throw new KcsError(`the BMC did not become idle after an abort (${describeStatus(last)})`);
      }
      clearOutput(registers, last);
      return errorStatus;
    } catch (error) {
      unlessKcsError(error);
      problem = error as KcsError;
    }
  }
  throw new KcsError(`${errorExits} aborts failed, at last: ${problem?.message}`);
}

function unlessKcsError(error: unknown): void {
  if (!(error instanceof KcsError)) throw error;
}

/** Table 9-4. */
export function describeErrorStatus(status: number | undefined): string {
  const meanings: Readonly<Record<number, string>> = {
    0: "no error",
    1: "aborted",
    2: "illegal control code",
    6: "length error",
    255: "unspecified error",
  };
  if (status === undefined) return "the BMC gave no error status";
  return `the BMC's error status is ${status.toString(16).toUpperCase().padStart(2, "0")}h (${meanings[status] ?? "unknown"})`;
}
