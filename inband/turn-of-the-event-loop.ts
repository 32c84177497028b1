/**
 * Lets everything else have its turn.
 * @throws the signal's reason if it has ended meanwhile
 */
export function turnOfTheEventLoop(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    setImmediate(() => (signal.aborted ? reject(signal.reason) : resolve()));
  });
}
