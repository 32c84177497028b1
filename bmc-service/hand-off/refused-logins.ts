/** BMCs lock users, or callers, out after some wrong passwords in a row; five is the lowest limit in common use. */
const mostRefused = 4;
const withinMs = 15 * 60_000;

/** Logins that were refused at addresses where nobody has proved to be, so that nobody has the service lock a stranger's BMC. */
export class RefusedLogins {
  /** When, by address; ms. Those whose time is over go when another one comes. */
  readonly #refusedAt = new Map<string, readonly number[]>();
  /** Logins without an answer so far, by address: they may be refused, too. */
  readonly #underWay = new Map<string, number>();

  /** Does a login unless so many were refused at that address that one more could do harm; undefined then. One that gets in makes up for them. */
  async try<T>(
    address: string,
    isRefusal: (error: unknown) => boolean,
    login: () => Promise<T>,
  ): Promise<T | undefined> {
    const underWay = this.#underWay.get(address) ?? 0;
    if (this.#recent(address).length + underWay >= mostRefused) return undefined;
    this.#underWay.set(address, underWay + 1);
    try {
      const done = await login();
      this.#refusedAt.delete(address);
      return done;
    } catch (error) {
      if (isRefusal(error)) this.#note(address);
      throw error;
    } finally {
      const left = (this.#underWay.get(address) ?? 1) - 1;
      if (left > 0) this.#underWay.set(address, left);
      else this.#underWay.delete(address);
    }
  }

  #note(address: string): void {
    const now = performance.now();
    for (const [each, at] of this.#refusedAt) if (at.every((ms) => ms <= now - withinMs)) this.#refusedAt.delete(each);
    this.#refusedAt.set(address, [...this.#recent(address), now]);
  }

  #recent(address: string): readonly number[] {
    const since = performance.now() - withinMs;
    return (this.#refusedAt.get(address) ?? []).filter((at) => at > since);
  }
}

/** Why a login was not tried. */
export class TooManyRefusedError extends Error {
  override readonly name = "TooManyRefusedError";
  readonly code = "too-many-refused";

  constructor(address: string) {
    super(
      `${address}: ${mostRefused} logins in ${withinMs / 60_000} minutes were refused there, and it is not proved that the BMC of this ` +
        "machine is there: no more for now, so that no BMC locks its users out. Check the BMC's address; run again later",
    );
  }
}
