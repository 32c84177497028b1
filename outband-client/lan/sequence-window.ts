/** How far behind the newest number a packet may come and still be taken. */
const windowSize = 32;
const modulus = 2 ** 32;

/**
 * Session sequence numbers of received packets: each is taken once. IPMI 2.0 §6.12.13.
 */
export class SequenceWindow {
  #newest = 0;
  /** Bit i: number `#newest - i` was taken. */
  #taken = 1;

  /**
   * Takes a number, or says that it is a duplicate or too old. Only for packets whose authentication code was right:
   * then a jump ahead can only come from lost packets, and is followed however far it goes.
   * Number 0 belongs to packets outside sessions and is never taken. IPMI 2.0 §13.6.
   */
  take(sequence: number): boolean {
    if (sequence === 0) return false;
    const ahead = (sequence - this.#newest + modulus) % modulus;
    if (ahead !== 0 && ahead < modulus / 2) {
      this.#taken = ahead < windowSize ? ((this.#taken << ahead) | 1) >>> 0 : 1;
      this.#newest = sequence;
      return true;
    }
    const behind = (modulus - ahead) % modulus;
    if (behind >= windowSize) return false;
    const bit = (1 << behind) >>> 0;
    if ((this.#taken & bit) !== 0) return false;
    this.#taken = (this.#taken | bit) >>> 0;
    return true;
  }
}

/** Session sequence numbers of sent packets: 1, 2, ... and after FFFFFFFFh again 1. IPMI 2.0 §6.12.9. */
export class OutboundSequence {
  #last: number;

  constructor(last = 0) {
    this.#last = last;
  }

  next(): number {
    this.#last = this.#last >= modulus - 1 ? 1 : this.#last + 1;
    return this.#last;
  }
}
