/** Generic completion codes. IPMI 2.0 §5.2, table 5-2. */
export const CompletionCode = {
  ok: 0x00,
  nodeBusy: 0xc0,
  invalidCommand: 0xc1,
  invalidForLun: 0xc2,
  timeout: 0xc3,
  outOfSpace: 0xc4,
  reservationCanceled: 0xc5,
  requestTruncated: 0xc6,
  requestLengthInvalid: 0xc7,
  requestLengthLimitExceeded: 0xc8,
  parameterOutOfRange: 0xc9,
  cannotReturnRequestedBytes: 0xca,
  notPresent: 0xcb,
  invalidDataField: 0xcc,
  illegalForSensorOrRecord: 0xcd,
  responseNotProvided: 0xce,
  duplicateRequest: 0xcf,
  sdrRepositoryUpdating: 0xd0,
  firmwareUpdating: 0xd1,
  initializing: 0xd2,
  destinationUnavailable: 0xd3,
  insufficientPrivilege: 0xd4,
  notSupportedInPresentState: 0xd5,
  subFunctionDisabled: 0xd6,
  unspecified: 0xff,
} as const;

const generic: Readonly<Record<number, string>> = {
  0: "completed normally",
  192: "node busy",
  193: "invalid command",
  194: "command invalid for the given LUN",
  195: "timeout while processing the command",
  196: "out of space",
  197: "reservation cancelled or invalid",
  198: "request data truncated",
  199: "request data length invalid",
  200: "request data field length limit exceeded",
  201: "parameter out of range",
  202: "cannot return the number of requested data bytes",
  203: "requested sensor, data or record not present",
  204: "invalid data field in the request",
  205: "command illegal for the specified sensor or record type",
  206: "response could not be provided",
  207: "cannot execute a duplicated request",
  208: "response could not be provided: SDR repository in update mode",
  209: "response could not be provided: device in firmware update mode",
  210: "response could not be provided: BMC initialization in progress",
  211: "destination unavailable",
  212: "insufficient privilege level or other security restriction",
  213: "not supported in the present state",
  214: "sub-function disabled or unavailable",
  255: "unspecified error",
};

/**
 * What a completion code means.
 * @param codes the meanings that one command gives to codes 80h-BEh
 */
export function completionCodeMeaning(code: number, codes: Readonly<Record<number, string>> = {}): string {
  const known = codes[code] ?? generic[code];
  if (known !== undefined) return known;
  if (code >= 0x01 && code <= 0x7e) return "device-specific (OEM) code";
  if (code >= 0x80 && code <= 0xbe) return "command-specific code";
  return "reserved code";
}
