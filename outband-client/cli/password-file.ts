import { ConfigError, UsageError } from "./failure.ts";
import { fileProblem } from "./file-problem.ts";
import { warnIfOpen } from "./open-file.ts";
import { readRegularFile } from "./regular-file.ts";
import type { World } from "./world.ts";

/** What IPMI 2.0 keeps of a password, bytes. §22.30. */
const mostBytes = 20;
/** With the line break at its end, and enough to say how much too long it is. */
const mostRead = 4_096;
/** How long standard input may take, ms. */
const inputLimitMs = 60_000;

/**
 * The password in a file, or on standard input if the name is "-", without the line break at its end. A file that others may
 * read is warned of. The caller wipes the result.
 * @throws UsageError, ConfigError; neither quotes what was read
 */
export async function readPassword(name: string, world: World): Promise<Buffer> {
  const from = name === "-" ? "standard input" : name;
  const read = name === "-" ? await readInput(world) : await readFile(name, world);
  const end = read.at(-1) === 0x0a ? (read.at(-2) === 0x0d ? -2 : -1) : read.length;
  const password = Buffer.from(read.subarray(0, end));
  read.fill(0);
  const problem = problemOf(password);
  if (problem === undefined) return password;
  password.fill(0);
  throw new ConfigError(`${from}: ${problem}`);
}

function problemOf(password: Buffer): string | undefined {
  if (password.length === 0) return "there is no password in it";
  if (password.length > mostBytes) return `the password is longer than the ${mostBytes} bytes that a BMC keeps`;
  return password.every((byte) => byte >= 0x20 && byte <= 0x7e)
    ? undefined
    : "the password is not printable ASCII on one line";
}

async function readFile(name: string, { stderr }: World): Promise<Buffer> {
  try {
    const pipe = "it is no regular file; pipe the password and give -";
    const { bytes, mode } = await readRegularFile(name, mostRead, pipe);
    warnIfOpen(name, mode, stderr);
    return bytes;
  } catch (cause) {
    throw new ConfigError(`${name}: ${fileProblem(cause)}`, { cause });
  }
}

async function readInput({ stdin, interrupt }: World): Promise<Buffer> {
  if (stdin.isTTY === true) {
    throw new UsageError(
      "--password-file -: standard input is a terminal, which would show the password; pipe it or name a file",
    );
  }
  const limit = AbortSignal.timeout(inputLimitMs);
  const signal = AbortSignal.any([interrupt, limit]);
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([collect(stdin), aborted]);
  } catch (cause) {
    // What is still read would keep the process.
    stdin.destroy?.();
    interrupt.throwIfAborted();
    const problem = limit.aborted ? `it did not end within ${inputLimitMs / 1_000} s` : fileProblem(cause);
    throw new ConfigError(`standard input: ${problem}`, { cause });
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** All that comes, up to a little more than is of use. */
async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    size += chunk.length;
    if (size > mostRead) break;
  }
  const all = Buffer.concat(parts);
  for (const part of parts) part.fill(0);
  return all;
}
