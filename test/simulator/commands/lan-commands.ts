import { getLanConfigurationParameters, setLanConfigurationParameters } from "../../../ipmi/commands/index.ts";
import { CompletionCode } from "../../../ipmi/completion-code.ts";
import { parseIpv6 } from "../../../ipmi/ip.ts";
import {
  authenticationTypeEnables,
  cipherSuitePrivilegeLevels,
  defaultGatewayAddress,
  ipAddress,
  ipAddressSource,
  ipv6DynamicAddress,
  ipv6Ipv4AddressingEnables,
  ipv6Ipv4Support,
  ipv6Status,
  lanParameterRevision,
  macAddress,
  primaryRmcpPort,
  subnetMask,
  vlanId,
} from "../../../ipmi/lan-parameters.ts";
import type { SimulatedLan } from "../profile.ts";
import type { SimulatedBmc } from "../simulated-bmc.ts";
import { type Entry, on, refuse, refuseIf, resolveChannel } from "./handler.ts";

/** IPMI 2.0 §23.1, §23.2, table 23-4. */
export const lanCommands: readonly Entry[] = [
  on(getLanConfigurationParameters, (bmc, { channel, parameterSelector, setSelector }, arrival) => {
    const given = bmc.lan(resolveChannel(channel.number, arrival));
    const lan = bmc.hasAddress(arrival.nowMs) ? given : { ...given, ipv4Address: "0.0.0.0" };
    const profile = bmc.profile.lan;
    if (channel.revisionOnly) return { parameterRevision: lanParameterRevision, parameterData: new Uint8Array() };
    const refused = profile.refused[parameterSelector];
    if (refused !== undefined) refuse(refused);
    const parameterData = parameters(bmc, lan, setSelector).get(parameterSelector) ?? refuse(profile.unsupported);
    return { parameterRevision: lanParameterRevision, parameterData };
  }),

  on(setLanConfigurationParameters, (bmc, { channel, parameterSelector, parameterData }, arrival) => {
    bmc.lan(resolveChannel(channel.number, arrival));
    const { setRefused, refused } = bmc.profile.lan;
    refuseIf(setRefused !== undefined, setRefused);
    refuseIf(refused[parameterSelector] !== undefined, refused[parameterSelector]);
    const size = writableBytes.get(parameterSelector) ?? refuse(readOnly.has(parameterSelector) ? 0x82 : 0x80);
    if (parameterData.length !== size) refuse(CompletionCode.requestLengthInvalid);
    if (parameterSelector === cipherSuitePrivilegeLevels.selector) {
      bmc.suitePrivileges = bmc.suitePrivileges.map(
        (_, i) => ((parameterData[1 + (i >> 1)] ?? 0) >> (4 * (i % 2))) & 0x0f,
      );
    } else if (parameterSelector === authenticationTypeEnables.selector) bmc.authenticationTypes = parameterData;
    return {};
  }),
];

/** What can be changed: Set In Progress and who may log in how. The address of this BMC is its network's. */
const writableBytes: ReadonlyMap<number, number> = new Map([
  [0, 1],
  [authenticationTypeEnables.selector, 5],
  [cipherSuitePrivilegeLevels.selector, 9],
]);
const readOnly: ReadonlySet<number> = new Set([1, 5, 22, 23]);

function parameters(bmc: SimulatedBmc, lan: SimulatedLan, set: number): ReadonlyMap<number, Uint8Array> {
  const { ipv6Address } = lan;
  const six = bmc.profile.lan.oemIpv6 === true ? oemIpv6 : ipv6;
  return new Map([...plain(lan), ...logins(bmc), ...(ipv6Address === undefined ? [] : six(ipv6Address, set))]);
}

type Parameter = readonly [selector: number, data: Uint8Array];

function plain(lan: SimulatedLan): readonly Parameter[] {
  return [
    [0, Uint8Array.of(0)],
    [3, ipAddress.encode(lan.ipv4Address)],
    [4, ipAddressSource.encode("dhcp")],
    [5, macAddress.encode(lan.mac)],
    [6, subnetMask.encode("255.255.255.0")],
    [7, Uint8Array.of(0x40, 0x40, 0x10)],
    [8, primaryRmcpPort.encode(623)],
    [10, Uint8Array.of(0)],
    [12, defaultGatewayAddress.encode("10.0.0.1")],
    [13, new Uint8Array(6)],
    [14, new Uint8Array(4)],
    [15, new Uint8Array(6)],
    [16, Buffer.from("public".padEnd(18, "\0"), "latin1")],
    [20, vlanId.encode({ enabled: false, id: 0 })],
    [21, Uint8Array.of(0)],
  ];
}

/**
 * Types of authentication of IPMI 1.5, and cipher suites. Both lists of suites begin with a reserved byte; the second has
 * four bits for each suite, the first suite in the low ones.
 */
function logins({ profile, authenticationTypes, suitePrivileges }: SimulatedBmc): readonly Parameter[] {
  const { cipherSuites } = profile.lan;
  const ids = new Uint8Array(17);
  ids.set(cipherSuites, 1);
  const levels = new Uint8Array(9);
  suitePrivileges.forEach((level, i) => {
    levels[1 + (i >> 1)] = (levels[1 + (i >> 1)] ?? 0) | (level << (4 * (i % 2)));
  });
  return [
    [1, Uint8Array.of(profile.lan.authenticationTypes ?? 0)],
    [authenticationTypeEnables.selector, authenticationTypes],
    [22, Uint8Array.of(cipherSuites.length)],
    [23, ids],
    [cipherSuitePrivilegeLevels.selector, levels],
  ];
}

function ipv6(text: string, setSelector: number): readonly Parameter[] {
  const address = setSelector === 0 ? text : "::";
  return [
    [50, ipv6Ipv4Support.encode({ alertDestinations: false, ipv6AndIpv4: true, ipv6Only: false })],
    [51, ipv6Ipv4AddressingEnables.encode("ipv6AndIpv4")],
    [55, ipv6Status.encode({ staticAddressMax: 0, dynamicAddressMax: 2, support: { slaac: true, dhcpv6: true } })],
    [
      59,
      ipv6DynamicAddress.encode({
        setSelector,
        source: { type: "slaac" },
        address,
        prefixLength: 64,
        status: "active",
      }),
    ],
  ];
}

/** pyghmi reads them so on AMI's MegaRAC. */
function oemIpv6(text: string): readonly Parameter[] {
  return [
    [0xc5, parseIpv6(text) ?? new Uint8Array(16)],
    [0xc6, Uint8Array.of(64)],
  ];
}
