/** So many are remembered; the oldest one goes first. From the confirmation to the hand-off it takes moments. */
const mostNonces = 20_000;

/** What agents wrote last to their BMCs, in memory. */
export class WrittenNonces {
  readonly #most: number;
  /** By key of the row; the oldest first. */
  readonly #nonces = new Map<string, string>();

  constructor(most = mostNonces) {
    this.#most = most;
  }

  /** @param nonce undefined: nothing is written there any more */
  set(key: string, nonce: string | undefined): void {
    this.#nonces.delete(key);
    if (nonce === undefined) return;
    this.#nonces.set(key, nonce);
    const [oldest] = this.#nonces.keys();
    if (this.#nonces.size > this.#most && oldest !== undefined) this.#nonces.delete(oldest);
  }

  has(key: string, nonce: string): boolean {
    return this.#nonces.get(key) === nonce;
  }
}
