/** Where a command writes for people. */
export interface Output {
  write(text: string): void;
  error(text: string): void;
  /** Whether `error` writes to a terminal: a line there may be written over. */
  readonly errorIsTerminal: boolean;
}
