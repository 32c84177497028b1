/**
 * The errors of the IPMI language, one class per decision a caller takes.
 * Names and codes are literals; messages read "who: what: numbers".
 */

/** The bytes are not what the specification says. The one way in which a decoder fails. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
  readonly code = "decode";
  /** What was being decoded, for example "Get Device ID response". */
  readonly what: string;
  /** Where in the bytes, counted from 0. */
  readonly offset: number;

  constructor(what: string, offset: number, problem: string, options?: ErrorOptions) {
    super(`${what}: ${problem} (at byte ${offset})`, options);
    this.what = what;
    this.offset = offset;
  }
}

/** A value does not fit its field. Encoders refuse; they never trim. */
export class EncodeError extends Error {
  override readonly name = "EncodeError";
  readonly code = "encode";
  /** The field, for example "Set User Name request: name". */
  readonly field: string;

  constructor(field: string, problem: string, options?: ErrorOptions) {
    super(`${field}: ${problem}`, options);
    this.field = field;
  }
}

/** The BMC answered with a completion code other than 00h. It says nothing about "empty" or "absent". */
export class CompletionCodeError extends Error {
  override readonly name = "CompletionCodeError";
  readonly code = "completion-code";
  readonly command: string;
  /** IPMI 2.0 §5.2, table 5-2. */
  readonly completionCode: number;

  constructor(command: string, completionCode: number, meaning: string, options?: ErrorOptions) {
    super(
      `${command}: the BMC answered ${completionCode.toString(16).toUpperCase().padStart(2, "0")}h (${meaning})`,
      options,
    );
    this.command = command;
    this.completionCode = completionCode;
  }
}

/**
 * The message or its answer was lost on the way.
 * `sent` says whether the BMC can have executed it: "no" (certainly not) or "unknown".
 */
export class TransportError extends Error {
  override readonly name = "TransportError";
  readonly code = "transport";
  /** The transport's name, for example "openipmi:/dev/ipmi0". */
  readonly transport: string;
  readonly sent: "no" | "unknown";

  constructor(transport: string, sent: "no" | "unknown", problem: string, options?: ErrorOptions) {
    super(`${transport}: ${problem}`, options);
    this.transport = transport;
    this.sent = sent;
  }
}
