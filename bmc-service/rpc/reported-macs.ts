/** Sessions that are remembered; the one that has reported least recently goes first. */
const mostSessions = 10_000;

/** Which MAC addresses each session has reported: a machine has one BMC, and only so many. */
export class ReportedMacs {
  readonly #most: number;
  /** In the order of their last report. */
  readonly #macs = new Map<string, ReadonlySet<string>>();

  /** @param most of one session */
  constructor(most: number) {
    this.#most = most;
  }

  /** @returns whether the session may report it */
  admit(sessionId: string, mac: string): boolean {
    const before = this.#macs.get(sessionId) ?? new Set<string>();
    if (!before.has(mac) && before.size >= this.#most) return false;
    this.#macs.delete(sessionId);
    this.#macs.set(sessionId, new Set([...before, mac]));
    if (this.#macs.size > mostSessions) this.#macs.delete(this.#macs.keys().next().value ?? "");
    return true;
  }
}
