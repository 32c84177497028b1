/** Where a command writes for people. */
export interface Output {
  write(text: string): void;
  error(text: string): void;
}
