import type { FuzzedDecoder } from "../fuzzed-decoder.ts";
import { agentDecoders } from "./agent-inputs.ts";
import { certificateRequestDecoder } from "./certificate-request.ts";
import { fruDecoders } from "./fru.ts";
import { inspectionDecoders } from "./inspection.ts";
import { ipmiDecoders } from "./ipmi.ts";
import { ipv6Decoders } from "./ipv6.ts";
import { kcsDecoders } from "./kcs.ts";
import { lanDecoders } from "./lan.ts";
import { pemDecoders } from "./pem.ts";
import { reportDecoders } from "./report.ts";
import { serviceRequestDecoders } from "./service-requests.ts";
import { smbiosDecoders } from "./smbios.ts";
import { vmCodecDecoders } from "./vm-codec.ts";

/** Every decoder of bytes that somebody else made. */
export const decoders: readonly FuzzedDecoder[] = [
  ...ipmiDecoders,
  ...fruDecoders,
  ...smbiosDecoders,
  ...inspectionDecoders,
  ...kcsDecoders,
  ...lanDecoders,
  ...vmCodecDecoders,
  ...agentDecoders,
  ...ipv6Decoders,
  ...pemDecoders,
  ...reportDecoders,
  ...serviceRequestDecoders,
  certificateRequestDecoder,
];
