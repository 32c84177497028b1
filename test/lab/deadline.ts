/** A wait that ended because its time was up. */
export class DeadlineError extends Error {
  override readonly name = "DeadlineError";
}

/** Sleeps, and wakes with the signal's reason when that aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/**
 * Asks again and again until `probe` gives something, waiting `everyMs` in between.
 * @param what completes "timed out after N s waiting for ..."
 * @throws DeadlineError after `limitMs`; whatever `probe` throws; the signal's reason
 */
export async function until<T>(
  what: string,
  limitMs: number,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  options: { readonly everyMs?: number; readonly signal?: AbortSignal | undefined } = {},
): Promise<T> {
  const start = performance.now();
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (performance.now() - start > limitMs) {
      throw new DeadlineError(`timed out after ${Math.round(limitMs / 1000)} s waiting for ${what}`);
    }
    await pause(options.everyMs ?? 50, options.signal);
  }
}

/**
 * Waits for a promise, but not for ever.
 * @throws DeadlineError after `limitMs`; whatever the promise rejects with; the signal's reason
 */
export function within<T>(what: string, limitMs: number, work: Promise<T>, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      done();
      reject(new DeadlineError(`timed out after ${Math.round(limitMs / 1000)} s waiting for ${what}`));
    }, limitMs);
    const onAbort = () => {
      done();
      reject(signal?.reason);
    };
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };
    if (signal?.aborted) return onAbort();
    signal?.addEventListener("abort", onAbort, { once: true });
    work.then(
      (value) => {
        done();
        resolve(value);
      },
      (error: unknown) => {
        done();
        reject(error);
      },
    );
  });
}
