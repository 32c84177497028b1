import {
  byte,
  bytes,
  decode,
  encode,
  type Field,
  flag,
  inByte,
  nameOrNumber,
  struct,
  uint,
  uint8,
  uint16LE,
} from "./codec.ts";
import { send } from "./command.ts";
import { getLanConfigurationParameters } from "./commands/get-lan-configuration-parameters.ts";
import { DecodeError } from "./errors.ts";
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from "./ip.ts";
import { formatMac, parseMac } from "./mac.ts";
import type { Transport } from "./transport.ts";

/** The parameter revision of this and all earlier specifications. IPMI 2.0 §23.2. */
export const lanParameterRevision = 0x11;

/** One parameter of a LAN channel. IPMI 2.0 §23.2, table 23-4. */
export interface LanParameter<T> {
  readonly name: string;
  readonly selector: number;
  /** @throws DecodeError if the data is shorter than the specification says; longer is accepted */
  decode(data: Uint8Array): T;
  /** @throws EncodeError */
  encode(value: T): Uint8Array;
}

function lanParameter<T>(selector: number, name: string, field: Field<T>): LanParameter<T> {
  const what = `LAN parameter ${selector} (${name})`;
  return {
    name,
    selector,
    decode: (data) => decode(field, data, what, "ignored"),
    encode: (value) => encode(field, value, what),
  };
}

/**
 * Reads one parameter. Each is optional on some BMC: completion code 80h, also C9h or CCh, is "not supported".
 * @param setSelector the index for parameters that are lists (56, 58, 59), else 0
 * @throws CompletionCodeError, DecodeError (also for a parameter revision other than 11h), TransportError
 */
export async function readLanParameter<T>(
  transport: Transport,
  channelNumber: number,
  parameter: LanParameter<T>,
  signal: AbortSignal,
  setSelector = 0,
  blockSelector = 0,
): Promise<T> {
  const response = await send(
    transport,
    getLanConfigurationParameters,
    {
      channel: { revisionOnly: false, number: channelNumber },
      parameterSelector: parameter.selector,
      setSelector,
      blockSelector,
    },
    signal,
  );
  if (response.parameterRevision !== lanParameterRevision) {
    const revision = response.parameterRevision.toString(16).padStart(2, "0");
    throw new DecodeError(
      `LAN parameter ${parameter.selector} (${parameter.name})`,
      0,
      `revision ${revision}h, not 11h`,
    );
  }
  return parameter.decode(response.parameterData);
}

/** An address whose text stands for a fixed number of bytes. */
function address(
  size: number,
  kind: string,
  format: (data: Uint8Array) => string,
  parse: (text: string) => Uint8Array | undefined,
): Field<string> {
  return {
    read: (from) => format(from.take(size)),
    write: (value, to) => to.bytes(parse(value) ?? to.fail(`"${value}" is no ${kind} address`)),
  };
}

const ipv4 = address(4, "IPv4", formatIpv4, parseIpv4);
const ipv6 = address(16, "IPv6", formatIpv6, parseIpv6);
const mac = address(6, "MAC", formatMac, parseMac);

/** "10.0.0.7"; "0.0.0.0" while there is none. */
export const ipAddress = lanParameter(3, "IP Address", ipv4);

/** What IPMI 1.5 may ask of a login, for each of the five privilege levels. */
const authenticationTypes = byte({ oem: flag(5), password: flag(4), md5: flag(2), md2: flag(1), none: flag(0) });

/** How a login of IPMI 1.5 may be made; `none` needs no password. */
export const authenticationTypeEnables = lanParameter(
  2,
  "Authentication Type Enables",
  struct({
    callback: authenticationTypes,
    user: authenticationTypes,
    operator: authenticationTypes,
    administrator: authenticationTypes,
    oem: authenticationTypes,
  }),
);

/** Where the IP address comes from. Numbers from 5 on are reserved. */
export const ipAddressSource = lanParameter(
  4,
  "IP Address Source",
  inByte(nameOrNumber({ unspecified: 0, static: 1, dhcp: 2, bios: 3, other: 4 }, 3, 0)),
);

/** "52:54:00:b1:00:01". Also all zero on channels without an interface: check with `macProblem`. */
export const macAddress = lanParameter(5, "MAC Address", mac);

/** "255.255.255.0". */
export const subnetMask = lanParameter(6, "Subnet Mask", ipv4);

/** UDP port of RMCP; 623 where the BMC does not support the parameter. */
export const primaryRmcpPort = lanParameter(8, "Primary RMCP Port Number", uint16LE);

/** "10.0.0.1". */
export const defaultGatewayAddress = lanParameter(12, "Default Gateway Address", ipv4);

/** 802.1q VLAN; `id` (12 bits) counts only if enabled. */
export const vlanId = lanParameter<{ enabled: boolean; id: number }>(20, "802.1q VLAN ID", {
  read(from) {
    const value = uint16LE.read(from);
    return { enabled: (value & 0x8000) !== 0, id: value & 0x0fff };
  },
  write({ enabled, id }, to) {
    if (!Number.isInteger(id) || id < 0 || id > 0xfff) to.fail(`${id} is not an integer from 0 to 4095`);
    uint16LE.write((enabled ? 0x8000 : 0) | id, to);
  },
});

/** How many cipher suites the BMC has, 0 to 16. */
export const cipherSuiteEntryCount = lanParameter(
  22,
  "RMCP+ Messaging Cipher Suite Entry Support",
  byte({ count: uint(4, 0) }),
);

/** How many suites the next two parameters have room for. */
const cipherSuiteEntries = 16;

/** The cipher suites in the order of their privilege levels; unused entries at the end are 0. */
export const cipherSuiteEntryList = lanParameter(
  23,
  "RMCP+ Messaging Cipher Suite Entries",
  struct({ reserved: uint8, suites: bytes(cipherSuiteEntries) }),
);

/**
 * The highest privilege level that each suite of the list may have, table 6-1; 0 ("unspecified") switches it off. Four
 * bits each, the first suite in the low ones.
 */
export const cipherSuitePrivilegeLevels = lanParameter<{ reserved: number; levels: readonly number[] }>(
  24,
  "RMCP+ Messaging Cipher Suite Privilege Levels",
  {
    read: (from) => ({
      reserved: from.byte(),
      levels: Array.from(from.take(cipherSuiteEntries / 2)).flatMap((pair) => [pair & 0x0f, pair >> 4]),
    }),
    write({ reserved, levels }, to) {
      if (levels.length !== cipherSuiteEntries) to.fail(`${levels.length} levels, not ${cipherSuiteEntries}`);
      if (levels.some((level) => !Number.isInteger(level) || level < 0 || level > 15)) {
        to.fail("a level is not an integer from 0 to 15");
      }
      to.byte(reserved);
      for (let i = 0; i < levels.length; i += 2) to.byte((levels[i] ?? 0) | ((levels[i + 1] ?? 0) << 4));
    },
  },
);

/** Parameters 50 and up need IPMI 2.0 revision 1.1; older BMCs answer 80h or C9h. */
export const ipv6Ipv4Support = lanParameter(
  50,
  "IPv6/IPv4 Support",
  byte({ alertDestinations: flag(2), ipv6AndIpv4: flag(1), ipv6Only: flag(0) }),
);

/** Which address families are in use. */
export const ipv6Ipv4AddressingEnables = lanParameter(
  51,
  "IPv6/IPv4 Addressing Enables",
  inByte(nameOrNumber({ ipv4Only: 0, ipv6Only: 1, ipv6AndIpv4: 2 }, 7, 0)),
);

/** The traffic class byte of packets sent. */
export const ipv6HeaderStaticTrafficClass = lanParameter(52, "IPv6 Header Static Traffic Class", uint8);

/** The hop limit of packets sent. */
export const ipv6HeaderStaticHopLimit = lanParameter(53, "IPv6 Header Static Hop Limit", uint8);

/** 20 bits; against the habit of IPMI, the most significant byte comes first. */
export const ipv6HeaderFlowLabel = lanParameter<number>(54, "IPv6 Header Flow Label", {
  read: (from) => ((from.byte() & 0x0f) << 16) | (from.byte() << 8) | from.byte(),
  write(value, to) {
    if (!Number.isInteger(value) || value < 0 || value > 0xfffff)
      to.fail(`${value} is not an integer from 0 to 1048575`);
    for (const shift of [16, 8, 0]) to.byte((value >> shift) & 0xff);
  },
});

/** How many addresses there can be: the set selectors of parameters 56 and 59 go from 0 to one less. */
export const ipv6Status = lanParameter(
  55,
  "IPv6 Status",
  struct({
    staticAddressMax: uint8,
    dynamicAddressMax: uint8,
    support: byte({ slaac: flag(1), dhcpv6: flag(0) }),
  }),
);

const ipv6AddressStatus = inByte(
  nameOrNumber({ active: 0, disabled: 1, pending: 2, failed: 3, deprecated: 4, invalid: 5 }, 7, 0),
);

/** One static address; "::" where the slot is empty. */
export const ipv6StaticAddress = lanParameter(
  56,
  "IPv6 Static Addresses",
  struct({
    setSelector: uint8,
    source: byte({ enabled: flag(7), type: nameOrNumber({ static: 0 }, 3, 0) }),
    address: ipv6,
    prefixLength: uint8,
    status: ipv6AddressStatus,
  }),
);

/** How many blocks of 16 bytes a static DUID may have. */
export const ipv6Dhcpv6StaticDuidStorageLength = lanParameter(57, "IPv6 DHCPv6 Static DUID Storage Length", uint8);

/** One block of a static DUID. */
export const ipv6Dhcpv6StaticDuid = lanParameter(
  58,
  "IPv6 DHCPv6 Static DUIDs",
  struct({ setSelector: uint8, blockSelector: uint8, duid: bytes(16) }),
);

/** One address that was got by SLAAC or DHCPv6; "::" where the slot is empty. */
export const ipv6DynamicAddress = lanParameter(
  59,
  "IPv6 Dynamic Addresses",
  struct({
    setSelector: uint8,
    source: byte({ type: nameOrNumber({ static: 0, slaac: 1, dhcpv6: 2 }, 3, 0) }),
    address: ipv6,
    prefixLength: uint8,
    status: ipv6AddressStatus,
  }),
);

/** AMI MegaRAC's own, in use before IPMI knew IPv6. Not in the specification; pyghmi reads them on Lenovo boards. */
export const amiIpv6Address = lanParameter(0xc5, "IPv6 Address (AMI)", ipv6);

/** Belongs to `amiIpv6Address`: 0 to 128. */
export const amiIpv6PrefixLength = lanParameter(0xc6, "IPv6 Prefix Length (AMI)", uint8);

/** Every parameter of this file. */
export const allLanParameters: readonly LanParameter<unknown>[] = [
  ipAddress,
  ipAddressSource,
  macAddress,
  subnetMask,
  primaryRmcpPort,
  defaultGatewayAddress,
  vlanId,
  authenticationTypeEnables,
  cipherSuiteEntryCount,
  cipherSuiteEntryList,
  cipherSuitePrivilegeLevels,
  ipv6Ipv4Support,
  ipv6Ipv4AddressingEnables,
  ipv6HeaderStaticTrafficClass,
  ipv6HeaderStaticHopLimit,
  ipv6HeaderFlowLabel,
  ipv6Status,
  ipv6StaticAddress,
  ipv6Dhcpv6StaticDuidStorageLength,
  ipv6Dhcpv6StaticDuid,
  ipv6DynamicAddress,
  amiIpv6Address,
  amiIpv6PrefixLength,
];
