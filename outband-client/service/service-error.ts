/**
 * What came of a call to the BMC service, by what the caller can do about it.
 *
 * - "unavailable": not reached, connection lost, or the service said so itself (`answered`): try again later
 * - "refused": a certificate or a permission was refused, by either side: trying again changes nothing
 * - "unauthenticated": the session is unknown or expired: begin again
 * - "invalid": the service calls a field of the request malformed
 * - "not found": no such row
 * - "precondition": a step before this one is missing
 * - "conflict": somebody else changed it first, or it exists already
 * - "exhausted": too much or too long
 * - "deadline": the service took the call and did not answer in time; what was asked may have been done
 * - "unimplemented": the service is older than the caller
 * - "damaged": what the service has stored of it is damaged
 * - "internal": a bug in the service
 * - "protocol": what answers is no BMC service
 * - "configuration": address, CA, certificate or key cannot be used; nothing was sent
 */
export type ServiceStatus =
  | "unavailable"
  | "refused"
  | "unauthenticated"
  | "invalid"
  | "not found"
  | "precondition"
  | "conflict"
  | "exhausted"
  | "deadline"
  | "unimplemented"
  | "damaged"
  | "internal"
  | "protocol"
  | "configuration";

/**
 * A certificate of the service that everything but the clock here speaks for: its authority has signed it, and it is for the
 * host that was dialled.
 */
export interface ClockFault {
  /** What the certificate is by the clock here. */
  readonly kind: "expired" | "not yet valid";
  /** When the certificate and all that vouch for it are valid. */
  readonly validFrom: Date;
  readonly validTo: Date;
}

interface ServiceErrorOptions extends ErrorOptions {
  readonly answered?: boolean;
  readonly clockFault?: ClockFault | undefined;
}

/** A call to the BMC service failed. The message says who, what, and what to do; it holds no secret. */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
  readonly code = "service";
  readonly status: ServiceStatus;
  /** Whether the service itself gave this answer, as opposed to the road there. */
  readonly answered: boolean;
  /** Set if the clock here may be all that is wrong. */
  readonly clockFault: ClockFault | undefined;

  constructor(status: ServiceStatus, message: string, options: ServiceErrorOptions = {}) {
    super(message, options);
    this.status = status;
    this.answered = options.answered ?? false;
    this.clockFault = options.clockFault;
  }
}
