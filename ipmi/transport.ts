/** A request below the command layer. IPMI 2.0 §5.1. */
export interface Message {
  /** Network function of the request (even). IPMI 2.0 table 5-1. */
  readonly netFn: number;
  /** Logical unit number, 0-3; 0 for every command of this project. */
  readonly lun: number;
  readonly cmd: number;
  /** Bytes after the command byte. */
  readonly data: Uint8Array;
}

/** An answer below the command layer. */
export interface Reply {
  /** 00h is success; any other value is still a reply. IPMI 2.0 §5.2. */
  readonly completionCode: number;
  /** Bytes after the completion code. */
  readonly data: Uint8Array;
}

/** One way to reach a BMC: framing, sequence numbers, waiting. Knows no command and retries nothing. */
export interface Transport extends AsyncDisposable {
  /** "openipmi:/dev/ipmi0", "kcs:0xca2", "lan:10.0.0.7:623". */
  readonly name: string;
  /** The most bytes of `Message.data` that fit into one request. */
  readonly maxRequestBytes: number;
  /**
   * Sends one message and waits for its reply; one at a time. A non-zero completion code is a reply.
   * Stray replies (late, duplicate, for another request) are dropped.
   * @throws TransportError with `sent` "no" or "unknown"; the signal's reason is its `cause` when the wait was ended.
   */
  exchange(message: Message, signal: AbortSignal): Promise<Reply>;
}
