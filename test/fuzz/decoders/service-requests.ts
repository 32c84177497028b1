import { factsToProto, machineToProto, noFacts } from "../../../agent/to-proto.ts";
import { checkSizes, requireFacts, requireMachine } from "../../../bmc-service/rpc/fields.ts";
import { RpcError } from "../../../bmc-service/rpc/rpc-error.ts";
import { encodeFru } from "../../../ipmi/fru/encode.ts";
import { parseFru } from "../../../ipmi/fru/parse.ts";
import {
  AbortRequest,
  BeginRequest,
  ConfirmAccountRequest,
  EscrowAccountRequest,
  type MessageFns,
  ReportBmcRequest,
  ReportInventoryRequest,
} from "../../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { FuzzedDecoder } from "../fuzzed-decoder.ts";

const machine = machineToProto({
  uuid: "00112233-4455-6677-8899-aabbccddeeff",
  smbios: {
    version: { major: 3, minor: 2 },
    system: {
      ...{ manufacturer: "Acme", productName: "Rack One", version: "", serialNumber: "S-1", skuNumber: "", family: "" },
      uuid: "00112233-4455-6677-8899-aabbccddeeff",
    },
    boardSerial: "",
    ipmiDevices: [],
    hostInterfaces: [],
  },
});

const derived = {
  ...machine,
  uuid: "988d6c78-1047-5bfa-b1bb-a463cbd8e412",
  uuidDerived: true,
  firmwareUuid: "03000200-0400-0500-0006-000700080009",
};

const facts = factsToProto({
  ...{ transport: "openipmi:/dev/ipmi0", channel: 1, mac: "52:54:00:b1:00:01", ipv4Address: "10.0.0.7" },
  ...{ firmwareVersion: "1.02", ipmiVersion: "2.0", manufacturerId: 674, productId: 256, rmcpPort: 623 },
  ...{ ipv6Addresses: ["fd00::7/64"], guid: "000102030405060708090a0b0c0d0e0f", findings: ["one"] },
  channels: [{ channel: 1, mac: "52:54:00:b1:00:01", ipv4Address: "10.0.0.7", remark: "elected" }],
  fru: parseFru(encodeFru({ board: { serialNumber: "B-1", manufacturingDate: new Date("2024-05-17T12:34:00Z") } })),
});

/**
 * A request as an agent sends it, up to where the service looks at what it means. Bytes that are no message gRPC refuses by itself,
 * with whatever the generated code throws. What the service has taken it must be able to write down.
 */
function request<T>(
  name: string,
  message: MessageFns<T>,
  good: readonly T[],
  check?: (value: T) => void,
): FuzzedDecoder {
  return {
    name,
    decode(input) {
      const value = decodedOrNot(message, input);
      if (value === undefined) return undefined;
      checkSizes(value);
      check?.(value);
      message.encode(value).finish();
      return value;
    },
    refusals: [RpcError],
    corpus: () => good.map((each) => message.encode(each).finish()),
    // Two bytes are an empty message in a list, which has all its fields when it is read.
    growth: 512,
    maxBytes: 400,
  };
}

function decodedOrNot<T>(message: MessageFns<T>, input: Uint8Array): T | undefined {
  try {
    return message.decode(input);
  } catch {
    return undefined;
  }
}

const sessionToken = "token";
const account = { mac: "52:54:00:b1:00:01", userName: "rivet1", slot: 3, password: Buffer.from("secret") };

/** What the service reads from agents. */
export const serviceRequestDecoders: readonly FuzzedDecoder[] = [
  request(
    "BeginRequest",
    BeginRequest,
    [machine, derived].map((each) => BeginRequest.fromPartial({ machine: each, bootId: "b", agentVersion: "1" })),
    (value) => {
      if (value.machine !== undefined) requireMachine("machine", value.machine);
    },
  ),
  request(
    "ReportBmcRequest",
    ReportBmcRequest,
    [
      { sessionToken, found: { $case: "bmc", value: facts } },
      { sessionToken, found: { $case: "bmc", value: noFacts } },
      { sessionToken, found: { $case: "noBmc", value: { tried: [{ way: "/dev/ipmi0", reason: "no such file" }] } } },
    ],
    ({ found }) => {
      if (found?.$case === "bmc") requireFacts("bmc", found.value);
    },
  ),
  request("ReportInventoryRequest", ReportInventoryRequest, [
    ReportInventoryRequest.fromPartial({
      sessionToken,
      inventory: { memoryBytes: 2n ** 40n, disks: [{ name: "sda" }] },
    }),
  ]),
  request("EscrowAccountRequest", EscrowAccountRequest, [
    EscrowAccountRequest.fromPartial({ sessionToken, ...account }),
  ]),
  request("ConfirmAccountRequest", ConfirmAccountRequest, [ConfirmAccountRequest.fromPartial({ sessionToken })]),
  request("AbortRequest", AbortRequest, [AbortRequest.fromPartial({ sessionToken, step: "set account", reason: "r" })]),
];
