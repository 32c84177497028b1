/** A place to write text to. */
export interface Sink {
  write(text: string): unknown;
  /** Whether it is a terminal. */
  readonly isTTY?: boolean | undefined;
}

/** A place to read bytes from. */
export interface Source extends AsyncIterable<Uint8Array> {
  /** Whether it is a terminal. */
  readonly isTTY?: boolean | undefined;
  /** Reads no more of it. */
  destroy?(): unknown;
}

/** All that the command may touch of the process it runs in. */
export interface World {
  /** Arguments without program and script. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Source;
  readonly stdout: Sink;
  readonly stderr: Sink;
  /** Aborted by Ctrl-C. */
  readonly interrupt: AbortSignal;
}

/** Whether to colour what goes to `sink`: on a terminal only, and not with NO_COLOR (https://no-color.org). */
export function wantsColour(sink: Sink, env: World["env"]): boolean {
  return sink.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
}
