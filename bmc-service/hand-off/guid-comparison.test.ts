import { expect, test } from "vitest";
import { uuidToGuid } from "../../ipmi/guid.ts";
import { GuidComparison } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { compareGuid } from "./guid-comparison.ts";

const machineUuid = "5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1e01";
const inband = "00112233445566778899aabbccddeeff";
const remote = (hex: string) => Buffer.from(hex, "hex");

test("the GUID read in-band decides where there is one", () => {
  expect(compareGuid(remote(inband), { guid: inband, machineUuid })).toBe(
    GuidComparison.GUID_COMPARISON_SAME_AS_INBAND,
  );
  const turned = remote(inband).reverse();
  expect(compareGuid(turned, { guid: inband, machineUuid })).toBe(GuidComparison.GUID_COMPARISON_SAME_AS_INBAND);
  expect(compareGuid(remote("ff".repeat(15).padEnd(32, "1")), { guid: inband, machineUuid })).toBe("another BMC");
  // Also if it is the machine's UUID: two facts that contradict each other are no match.
  expect(compareGuid(uuidToGuid(machineUuid, "ipmi"), { guid: inband, machineUuid })).toBe("another BMC");
});

test.each(["ipmi", "smbios", "rfc4122"] as const)("else the machine's UUID, in the byte order %s too", (order) => {
  expect(compareGuid(uuidToGuid(machineUuid, order), { guid: "", machineUuid })).toBe(
    GuidComparison.GUID_COMPARISON_SAME_AS_MACHINE_UUID,
  );
});

test("a GUID that is nobody's is no evidence, and none at all is said", () => {
  const known = { guid: "", machineUuid };
  expect(compareGuid(remote(inband), known)).toBe(GuidComparison.GUID_COMPARISON_NOT_COMPARABLE);
  expect(compareGuid(undefined, known)).toBe(GuidComparison.GUID_COMPARISON_NONE_FROM_REMOTE);
  expect(compareGuid(new Uint8Array(16), known)).toBe(GuidComparison.GUID_COMPARISON_NONE_FROM_REMOTE);
  // A placeholder in-band compares with nothing.
  expect(compareGuid(uuidToGuid(machineUuid, "ipmi"), { guid: "f".repeat(32), machineUuid })).toBe(
    GuidComparison.GUID_COMPARISON_SAME_AS_MACHINE_UUID,
  );
});
