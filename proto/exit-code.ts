/**
 * Exit codes of every program of this project: the contract with whoever starts them. They follow sysexits.h.
 * This file is the only place that holds the numbers.
 */
export const ExitCode = {
  /** Done, including outcomes that are not failures (no BMC). */
  done: 0,
  /** The command line is wrong. */
  usage: 64,
  /** The BMC service could not be reached within the limit. */
  serviceUnavailable: 69,
  /** A bug of ours. */
  bug: 70,
  /** It may work the next time: run again. */
  temporary: 75,
  /** BMC or service broke the protocol, another BMC answered, or the audit log is broken. */
  protocol: 76,
  /** Refused: certificate, CA, permission, or the BMC's login. */
  refused: 77,
  /** The configuration is wrong: a file, a certificate, the kernel command line, the firmware's tables. */
  configuration: 78,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
