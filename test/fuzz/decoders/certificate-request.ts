import { CertificateRequestError, readCertificateRequest } from "../../../bmc-service/pki/agents-authority.ts";
import type { FuzzedDecoder } from "../fuzzed-decoder.ts";

const machineUuid = "5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1e01";

/** As agent/certificate-request.ts made it once, for a key that nobody has any more: the same input each time. */
const known = Buffer.from(
  "MIHrMIGRAgEAMC8xLTArBgNVBAMMJDVhMWM0ZTNlLTZhMWItNGI3ZS05ZDViLTBmOGEzYzJkMWUwMTBZMBMGByqGSM49AgEGCCqG" +
    "SM49AwEHA0IABGR06Jh4FpAWyZf7umWZ8BqKcRAwzAjYb6YVYR0dmWm54TUilLIShRQmHkS1L236hcx2Vy5T4z3AT/sEOJrSVMWg" +
    "ADAKBggqhkjOPQQDAgNJADBGAiEA3EwNgEH38WKj2ukjCrZVQYcdtS8trdWG2nkXV9RJnOMCIQD+yBm1lI03oC0y4exLgmQD8fkl" +
    "sWiGnKDVogc/0b12Kg==",
  "base64",
);

/** What a machine with an enrolment token sends to the service. */
export const certificateRequestDecoder: FuzzedDecoder = {
  name: "certificate signing request",
  decode: async (input) => (await readCertificateRequest(input, machineUuid)).keyHash,
  refusals: [CertificateRequestError],
  corpus: () => [Uint8Array.from(known)],
  // The longest field that the service takes.
  maxBytes: 1024,
  share: 0.5,
};
