import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  allBootOptions,
  bootFlags,
  bootFlagsFor,
  bootInfoAcknowledge,
  readBootOption,
  writeBootOption,
} from "./boot-options.ts";
import { DecodeError, EncodeError } from "./errors.ts";
import * as lan from "./lan-parameters.ts";
import type { Message, Transport } from "./transport.ts";

/** Answers every request with the same bytes. */
function answering(...data: number[]): Transport & { readonly sent: Message[] } {
  const sent: Message[] = [];
  return {
    name: "test",
    maxRequestBytes: 64,
    sent,
    async exchange(message) {
      sent.push(message);
      return { completionCode: 0, data: Uint8Array.from(data) };
    },
    async [Symbol.asyncDispose]() {},
  };
}

const never = new AbortController().signal;

test("LAN parameters as ipmi_sim sends them", async () => {
  const transport = answering(0x11, 0x52, 0x54, 0x00, 0xb1, 0x00, 0x01);
  expect(await lan.readLanParameter(transport, 1, lan.macAddress, never)).toBe("52:54:00:b1:00:01");
  expect(transport.sent).toEqual([{ netFn: 0x0c, lun: 0, cmd: 0x02, data: Uint8Array.of(1, 5, 0, 0) }]);
  expect(lan.ipAddress.decode(Uint8Array.of(10, 20, 30, 40))).toBe("10.20.30.40");
  expect(lan.ipAddressSource.decode(Uint8Array.of(2))).toBe("dhcp");
  expect(lan.ipAddressSource.decode(Uint8Array.of(9))).toBe(9);
  expect(lan.subnetMask.decode(Uint8Array.of(255, 255, 255, 0))).toBe("255.255.255.0");
  expect(lan.vlanId.decode(Uint8Array.of(0, 0))).toEqual({ enabled: false, id: 0 });
});

test("LAN parameters put together from table 23-4", () => {
  expect(lan.vlanId.decode(Uint8Array.of(0x2a, 0x81))).toEqual({ enabled: true, id: 0x12a });
  expect(lan.primaryRmcpPort.decode(Uint8Array.of(0x6f, 0x02))).toBe(623);
  const suites = Uint8Array.of(0, 3, 0, 17, ...new Array<number>(13).fill(0));
  expect(lan.cipherSuiteEntryList.decode(suites)).toEqual({ reserved: 0, suites: suites.subarray(1) });
  const levels = Uint8Array.of(0, 0x24, 0x04, 0, 0, 0, 0, 0, 0);
  const read = lan.cipherSuitePrivilegeLevels.decode(levels);
  expect(read.levels).toEqual([4, 2, 4, ...new Array<number>(13).fill(0)]);
  expect(lan.cipherSuitePrivilegeLevels.encode(read)).toEqual(levels);
  expect(() => lan.cipherSuitePrivilegeLevels.encode({ reserved: 0, levels: [4] })).toThrow(EncodeError);
  expect(() => lan.cipherSuitePrivilegeLevels.encode({ reserved: 0, levels: new Array(16).fill(16) })).toThrow(
    EncodeError,
  );
  const enables = lan.authenticationTypeEnables.decode(Uint8Array.of(0, 0x04, 0x15, 0x14, 0x21));
  expect(Object.entries(enables).flatMap(([level, { none }]) => (none ? [level] : []))).toEqual(["operator", "oem"]);
  expect(lan.ipv6Ipv4AddressingEnables.decode(Uint8Array.of(2))).toBe("ipv6AndIpv4");
  expect(lan.ipv6Status.decode(Uint8Array.of(1, 16, 3))).toEqual({
    staticAddressMax: 1,
    dynamicAddressMax: 16,
    support: { slaac: true, dhcpv6: true },
  });
  const address = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
  expect(lan.ipv6StaticAddress.decode(Uint8Array.of(0, 0x80, ...address, 64, 0))).toEqual({
    setSelector: 0,
    source: { enabled: true, type: "static" },
    address: "2001:db8::7",
    prefixLength: 64,
    status: "active",
  });
  expect(lan.ipv6DynamicAddress.decode(Uint8Array.of(1, 0x02, ...address, 64, 2))).toMatchObject({
    source: { type: "dhcpv6" },
    status: "pending",
  });
  expect(lan.ipv6HeaderFlowLabel.encode(0x12345)).toEqual(Uint8Array.of(0x01, 0x23, 0x45));
});

test("set and block selectors are sent", async () => {
  const transport = answering(0x11, 3, 1, ...new Uint8Array(16).fill(7));
  const answer = await lan.readLanParameter(transport, 2, lan.ipv6Dhcpv6StaticDuid, never, 3, 1);
  expect(answer).toMatchObject({ setSelector: 3, blockSelector: 1 });
  expect(transport.sent[0]?.data).toEqual(Uint8Array.of(2, 58, 3, 1));
});

test("a parameter revision other than 11h is a DecodeError: the data may stand elsewhere", async () => {
  const read = lan.readLanParameter(answering(0x52, 0x54, 0x00, 0xb1, 0x00, 0x01, 0), 1, lan.macAddress, never);
  await expect(read).rejects.toBeInstanceOf(DecodeError);
});

test("what is no address is refused", () => {
  for (const [parameter, value] of [
    [lan.ipAddress, "10.0.0"],
    [lan.macAddress, "52:54:00:b1:00"],
  ] as const) {
    expect(() => parameter.encode(value)).toThrow(EncodeError);
  }
  expect(() => lan.vlanId.encode({ enabled: true, id: 4096 })).toThrow(EncodeError);
});

test("boot flags as ipmi_sim and ipmitool read them", async () => {
  const transport = answering(0x01, 0x05, 0x00, 0x14, 0x00, 0x00, 0x00);
  const flags = await readBootOption(transport, bootFlags, never);
  expect(flags.device.selector).toBe("cdDvd");
  expect(flags.boot).toEqual({ valid: false, persistent: false, biosBootType: "legacy" });
  expect(transport.sent[0]?.data).toEqual(Uint8Array.of(5, 0, 0));
});

test("boot flags as they are written", async () => {
  const encoded = (...args: Parameters<typeof bootFlagsFor>) => [...bootFlags.encode(bootFlagsFor(...args))];
  expect(encoded("pxe", { persistent: false, efi: true })).toEqual([0xa0, 0x04, 0, 0, 0]);
  expect(encoded("hardDrive", { persistent: true, efi: false })).toEqual([0xc0, 0x08, 0, 0, 0]);
  expect(encoded("biosSetup", { persistent: true, efi: true })).toEqual([0xe0, 0x18, 0, 0, 0]);
  expect(encoded("primaryRemovableMedia", { persistent: false, efi: false })).toEqual([0x80, 0x3c, 0, 0, 0]);
  const transport = answering();
  await writeBootOption(transport, bootFlags, bootFlagsFor("pxe", { persistent: false, efi: true }), never);
  expect(transport.sent[0]).toMatchObject({ netFn: 0, cmd: 8, data: Uint8Array.of(0x05, 0xa0, 0x04, 0, 0, 0) });
});

test("the reserved bits of the acknowledge data are written as 1 (table 28-14)", () => {
  const all = { oem: true, serviceSoftware: true, osOrServicePartition: true, osLoader: true, biosOrPost: true };
  expect(bootInfoAcknowledge.encode({ writeMask: all, notHandledBy: all })).toEqual(Uint8Array.of(0x1f, 0xff));
});

test("an answer for another boot option is a DecodeError", async () => {
  await expect(readBootOption(answering(1, 4, 0, 0, 0, 0, 0), bootFlags, never)).rejects.toThrow("for parameter 4");
});

describe.each([...lan.allLanParameters, ...allBootOptions].map((parameter) => [parameter.name, parameter] as const))(
  "%s",
  (_name, parameter) => {
    test("any bytes decode or are a DecodeError; round trip; truncations", () => {
      let accepted = 0;
      fc.assert(
        fc.property(
          fc.oneof(fc.uint8Array({ maxLength: 24 }), fc.uint8Array({ minLength: 20, maxLength: 24 })),
          (data) => {
            let value: unknown;
            try {
              value = parameter.decode(data);
            } catch (error) {
              expect(error).toBeInstanceOf(DecodeError);
              return;
            }
            accepted += 1;
            const encoded = parameter.encode(value);
            expect(parameter.decode(encoded)).toEqual(value);
            for (let length = 0; length < encoded.length; length += 1) {
              expect(() => parameter.decode(encoded.subarray(0, length))).toThrow(DecodeError);
            }
          },
        ),
        { numRuns: 200 },
      );
      expect(accepted).toBeGreaterThan(0);
    });
  },
);
