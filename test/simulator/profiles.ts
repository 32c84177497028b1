import { noPolicy } from "./password-policy.ts";
import type { Profile, SimulatedLan } from "./profile.ts";

// Sources are the boards, programs and bug reports in which a behaviour was seen; "#" is an issue or a change of that project.

const mac = (last: number) => `52:54:00:b1:00:${last.toString(16).padStart(2, "0")}`;
const lan = (channel: number, ipv4Address = "10.0.0.7"): SimulatedLan => ({ channel, mac: mac(channel), ipv4Address });

/** As IPMI 2.0 revision 1.1 says, and nothing beyond it. */
export const spec: Profile = {
  name: "spec",
  sources: ["IPMI 2.0 revision 1.1"],
  expected: "linked",
  device: {
    manufacturerId: 0x1291,
    productId: 0x0f02,
    firmware: [9, 0x08],
    guid: { machine: "ipmi" },
  },
  channels: { lans: [lan(1)], medium: 0x04, noSuchChannel: 0xcc },
  users: {
    ids: 10,
    fixedNameCount: 1,
    fixedSlots: [],
    given: [
      { id: 2, name: "ADMIN", password: "ADMIN-pw-1" },
      { id: 4, name: "operator1", password: "op-pw-2", privilege: 3 },
    ],
    emptyName: "zeros",
    outOfRange: 0xc9,
    namePattern: "",
    reservedNames: [],
    nameRefused: 0xcc,
    duplicateName: 0xcc,
  },
  passwords: {
    sizes: [16, 20],
    sizeRefused: 0xc7,
    enableSizes: [0, 16, 20],
    enableSizeRefused: 0xc7,
    wrongTestSize: 0x81,
  },
  lan: { unsupported: 0x80, refused: {}, cipherSuites: [3, 17], suitePrivileges: [4, 4] },
  fru: { unit: "bytes", mostBytes: 255, tooMuch: 0xca, pastEnd: 0xc9 },
  timing: {},
  access: { inBand: "open", refused: 0xd4 },
  faults: [],
};

/** The strictest answers of all in one BMC: whoever gets along with it writes in the order that every board takes. */
export const strict: Profile = {
  ...spec,
  name: "strict",
  sources: [
    "phosphor-host-ipmid user_mgmt.cpp, usercommands.cpp: names, unnamed users, session limit",
    "FreeIPMI bugs-issues-and-workarounds #16 (Dell R610): no enabling without a password",
    "xcat-core #5065 (Lenovo XCC): no enabling twice",
    "xcat-core #6380 (Intel): Set User Access has 4 bytes",
    "OpenIPMI ipmi_sim: 34 bytes of FRU at once",
  ],
  device: { ...spec.device, guid: { refused: 0xc1 } },
  users: {
    ...spec.users,
    ids: 16,
    namePattern: "^[a-zA-Z_]\\w*$",
    sameName: 0xcc,
    unnamedAccess: 0xff,
    unnamedPassword: 0xff,
    shortAccess: 0xc7,
    sessionLimit: 0xcc,
  },
  passwords: { ...spec.passwords, enableWithout: 0xd5, redundantEnable: 0xcc },
  fru: { ...spec.fru, mostBytes: 34, tooMuch: 0xc8 },
};

const openbmc: Profile = {
  ...spec,
  name: "openbmc",
  sources: [
    "openbmc/phosphor-host-ipmid user_layer.hpp, user_mgmt.cpp, usercommands.cpp, apphandler.cpp",
    'xcat-core bmcsetup (medium "other LAN"); openbmc #2492 (network restarts), #3666 (suite 17 only)',
  ],
  channels: { ...spec.channels, medium: 0x06, sessionLess: 0x82, setAccessRestartsMs: 5_000 },
  users: {
    ...spec.users,
    ids: 15,
    fixedNameCount: 0,
    given: [{ id: 1, name: "root", password: "0penBmc" }],
    namePattern: "^[a-zA-Z_][a-zA-Z_0-9]*$",
    reservedNames: ["root", "daemon", "bin", "nobody"],
    unnamedAccess: 0xff,
    unnamedPassword: 0xff,
    shortAccess: 0xc7,
    sessionLimit: 0xcc,
  },
  passwords: {
    ...spec.passwords,
    wrongTestSize: "compare",
    policy: { ...noPolicy, minLength: 8, withoutName: true, unique: true },
  },
  lan: { ...spec.lan, cipherSuites: [17], suitePrivileges: [4] },
  fru: { ...spec.fru, tooMuch: 0xca, pastEnd: 0xc8 },
};

const intelBeforePost: Profile = {
  ...spec,
  name: "intel-oem-before-post",
  sources: [
    "puppet-ipmi #14, #32 (Intel RMM), sidero #925 (S2600WF): several LAN channels, the first one dead",
    "xcat-core #6380 (product 115): slot 2 fixed, Set User Access has 4 bytes",
    "FreeIPMI ipmi-config-category-core-user-sections.c (Windmill): no SOL payload",
    "openbmc/intel-ipmi-oem allowlist-filter.cpp",
  ],
  device: { ...spec.device, manufacturerId: 343, productId: 115, guid: { machine: "smbios" } },
  channels: { ...spec.channels, lans: [lan(1, "0.0.0.0"), { ...lan(2, "0.0.0.0"), mac: "00:00:00:00:00:00" }, lan(3)] },
  users: {
    ...spec.users,
    ids: 15,
    fixedSlots: [2],
    given: [{ id: 2, name: "root", password: "superuser" }],
    shortAccess: 0xc7,
    unnamedAccess: 0xcc,
    payloadRefused: 0xc1,
  },
};

const supermicroX8: Profile = {
  ...spec,
  name: "supermicro-x8",
  sources: [
    "FreeIPMI bugs-issues-and-workarounds #25: slot 2 fixed; Miscellaneous #2: D4h to Get System Info",
    "MAAS bmc_config.py: privilege before messaging",
    "FreeIPMI bugs-issues-and-workarounds #8, ipmi-config-commit.c (H8QME): loses writes",
    "FreeIPMI bugs-issues-and-workarounds #3: no test of passwords",
  ],
  device: {
    ...spec.device,
    manufacturerId: 10876,
    productId: 0x0006,
    guid: { refused: 0xc1 },
    systemInfo: { refused: 0xd4 },
  },
  users: {
    ...spec.users,
    fixedSlots: [2],
    given: [{ id: 2, name: "ADMIN", password: "ADMIN" }],
    unnamedAccess: 0xcc,
    messagingNeedsPrivilege: true,
  },
  passwords: { ...spec.passwords, test: 0xc1 },
  lan: { ...spec.lan, cipherSuites: [0, 1, 2, 3], suitePrivileges: [4, 4, 4, 4], authenticationTypes: 0x05 },
  timing: { losesEveryWrite: 5 },
};

const supermicroX12: Profile = {
  ...spec,
  name: "supermicro-x12",
  sources: [
    "metal-hammer cmd/supwd.go, #68: no second time the same name",
    "Seagate cortx-prvsnr #4793 (X11): C8h for the other size",
    "fwupd #5129: policy of passwords",
  ],
  device: { ...spec.device, manufacturerId: 10876, productId: 0x1b0f, guid: { machine: "rfc4122" } },
  users: { ...spec.users, given: [{ id: 2, name: "ADMIN", password: "ADMIN-unique-1" }], sameName: 0xcc },
  passwords: {
    ...spec.passwords,
    sizeRefused: 0xc8,
    enableWithout: 0xd5,
    policy: { ...noPolicy, minLength: 8, upper: 1, lower: 1, digits: 1, specials: 1, unique: true },
  },
};

const dell: Profile = {
  ...spec,
  name: "dell-idrac",
  sources: [
    "ipmitool #6: 16 users",
    "FreeIPMI bugs-issues-and-workarounds #16 (R610, R710, C6220), MAAS bmc_config.py (R420): no enabling without a password",
    "go-hal internal/ipmi/ipmitool_test.go (R540): no FRU 0",
  ],
  device: { ...spec.device, manufacturerId: 674, productId: 0x0100, guid: { machine: "smbios" } },
  users: { ...spec.users, ids: 16, given: [{ id: 2, name: "root", password: "calvin" }] },
  passwords: { ...spec.passwords, enableWithout: 0xd5 },
  lan: { ...spec.lan, cipherSuites: [0, 1, 2, 3, 17], suitePrivileges: [0, 4, 4, 4, 4] },
  fru: { ...spec.fru, refused: 0xc9 },
};

const hpe: Profile = {
  ...spec,
  name: "hpe-ilo",
  sources: [
    "xcat-core #4159: LAN channel 2",
    "ipmitool #388: LAN parameters",
    'MAAS bmc_config.py: "(Empty User)"',
    "Launchpad #2073731 (iLO 5 3.05): cipher suites",
  ],
  device: { ...spec.device, manufacturerId: 11, productId: 0x2000, guid: { machine: "smbios" } },
  channels: { ...spec.channels, lans: [lan(2)] },
  users: {
    ...spec.users,
    ids: 12,
    given: [{ id: 2, name: "Administrator", password: "ILO-default-1" }],
    emptyName: "(Empty User)",
  },
  lan: { ...spec.lan, refused: { 8: 0x80, 20: 0xc9, 50: 0xc9 }, cipherSuites: [3], suitePrivileges: [4] },
};

const lenovo: Profile = {
  ...spec,
  name: "lenovo-xcc",
  sources: [
    "fwupd fu-ipmi-device.c: CBh for an empty slot",
    "pyghmi command.py, xcat-core #5065: no enabling twice",
    "Launchpad #2081842: policy of passwords",
    "pyghmi lenovo/handler.py (ThinkServer): no FRU 0, a GUID of its own",
  ],
  device: {
    ...spec.device,
    manufacturerId: 19046,
    productId: 0x0450,
    guid: { bytes: "6f1d3c5ab7e04f2d9a8c7b6e5f4d3c2b" },
  },
  users: {
    ...spec.users,
    ids: 12,
    given: [{ id: 2, name: "USERID", password: "PASSW0RD" }],
    emptyName: { refused: 0xcb },
  },
  passwords: {
    ...spec.passwords,
    redundantEnable: 0xcc,
    policy: {
      ...noPolicy,
      minLength: 10,
      upper: 1,
      lower: 1,
      digits: 1,
      specials: 1,
      allowedSpecials: "!@#$%^&*()_+-=.,:;?",
      noRepeats: true,
    },
  },
  fru: { ...spec.fru, refused: 0x81 },
};

const quanta: Profile = {
  ...spec,
  name: "quanta-s99q",
  sources: [
    "FreeIPMI ipmi-config-category-core-user-sections.c (Quanta Winterfell): enabling needs a password",
    "FreeIPMI ipmi-config-commit.c (S99Q, Dell FS12-TY): busy after writes, hangs without a pause",
  ],
  device: { ...spec.device, manufacturerId: 7244, productId: 0x9901 },
  users: { ...spec.users, emptyName: { refused: 0xcc }, unnamedAccess: 0xcc },
  passwords: { ...spec.passwords, enableSizes: [16, 20], enableSizeRefused: 0x81 },
  timing: { busyAfterWriteMs: 3_000, hang: { writes: 8, pauseMs: 1_000, ms: 30_000 } },
};

const huawei: Profile = {
  ...spec,
  name: "huawei",
  sources: ["MAAS bmc_config.py, Launchpad #1621175, #1758760: policy of passwords"],
  device: { ...spec.device, manufacturerId: 2011, productId: 0x2103 },
  users: { ...spec.users, given: [{ id: 2, name: "Administrator", password: "Admin@9000" }] },
  passwords: {
    ...spec.passwords,
    policy: {
      ...noPolicy,
      minLength: 8,
      upper: 2,
      lower: 1,
      digits: 2,
      specials: 1,
      allowedSpecials: "`~!@#$%^&*()-_=+|[{}];:'\",<.>/? ",
      noRepeats: true,
      withoutName: true,
    },
  },
};

const dgx: Profile = {
  ...spec,
  name: "dgx-h200",
  sources: ["Launchpad #2130621, NVIDIA bare-metal-manager-core credentials.rs: policy of passwords"],
  device: { ...spec.device, manufacturerId: 5703, productId: 0x0200 },
  users: { ...spec.users, ids: 16, given: [{ id: 2, name: "admin", password: "dgx-admin-pw" }] },
  passwords: {
    ...spec.passwords,
    policy: {
      ...noPolicy,
      minLength: 13,
      maxLength: 20,
      upper: 1,
      lower: 1,
      digits: 1,
      specials: 1,
      allowedSpecials: "^%$@!~_",
    },
  },
};

const ami: Profile = {
  ...spec,
  name: "ami-v6only",
  sources: ["pyghmi lenovo/handler.py (AMI MegaRAC): IPv6 parameters", "OpenIPMI fru-data.c: FRU with defects"],
  device: { ...spec.device, manufacturerId: 20974, productId: 0x0001, guid: { machine: "smbios" } },
  channels: { ...spec.channels, lans: [{ ...lan(1, "0.0.0.0"), ipv6Address: "2001:db8::7" }] },
  lan: { ...spec.lan, oemIpv6: true },
  fru: { ...spec.fru, placeholders: true, badChecksum: true },
};

const facebook: Profile = {
  ...openbmc,
  name: "facebook-openbmc",
  sources: ["facebook/openbmc #90: no Get Channel Info", "facebook/OpenBIC #169: FFh"],
  device: { ...spec.device, manufacturerId: 40981, productId: 0x4641, guid: { refused: 0xff } },
  channels: { ...spec.channels, infoRefused: 0xc1 },
  users: { ...spec.users, given: [{ id: 1, name: "root", password: "0penBmc" }], fixedNameCount: 0 },
  passwords: { ...spec.passwords, wrongTestSize: "compare" },
};

const booting: Profile = {
  ...spec,
  name: "booting",
  sources: [
    "openbmc #1810, #2069, #2493, xcat-core #1365, IPMI 2.0 table 5-2",
    "IPMI 2.0 §20.1: bit 7 of the firmware revision",
  ],
  timing: { boot: { ms: 45_000, codes: [0xff, 0xc3, 0xc1, "silence", 0xd2, 0xce, 0xd1, "update", "update"] } },
};

const weakLogin: Profile = {
  ...spec,
  name: "weak-login",
  sources: ["RackHD #631 (HP CL2100 MergePoint)"],
  expected: "failed",
  lan: { ...spec.lan, refusesLogin: true },
};

const lossyKcs: Profile = {
  ...spec,
  name: "lossy-kcs",
  sources: ["Linux ipmi_kcs_sm.c, ipmi_si_intf.c", "ipmitool src/plugins/open/open.c: late replies"],
  faults: [
    { via: "in-band", netFn: 0x06, cmd: 0x42, effects: [{ drop: "reply" }] },
    { via: "in-band", netFn: 0x0c, cmd: 0x02, from: 2, effects: [{ late: true }, {}, { truncate: 0 }] },
    {
      via: "in-band",
      netFn: 0x06,
      cmd: 0x46,
      from: 3,
      effects: [{ delayMs: 5_000 }, {}, { truncate: 0 }, { drop: "request" }],
    },
    { via: "in-band", netFn: 0x06, cmd: 0x43, effects: [{ delayMs: 50_000 }] },
    { via: "in-band", netFn: 0x06, cmd: 0x47, operation: "set", effects: [{ drop: "reply" }] },
    { via: "in-band", netFn: 0x06, cmd: 0x47, operation: "enable", effects: [{ truncate: 0 }] },
    { via: "in-band", netFn: 0x0a, cmd: 0x11, from: 2, effects: [{ truncate: 0 }, {}, { delayMs: 5_000 }] },
  ],
};

const intelOem: Profile = {
  ...intelBeforePost,
  name: "intel-oem",
  expected: "locked",
  access: { inBand: "no writes", refused: 0xd4 },
};

/** The same BMC with its system interface restricted. */
function locked(profile: Profile, name: string, inBand: "reads" | "none" | "disabled", source: string): Profile {
  const expected = inBand === "disabled" ? "not ready" : "locked";
  return { ...profile, name, expected, sources: [...profile.sources, source], access: { inBand, refused: 0xd4 } };
}

/** By name: the boards, then variants of them. */
export const profiles: ReadonlyMap<string, Profile> = new Map(
  [
    spec,
    openbmc,
    intelOem,
    supermicroX8,
    supermicroX12,
    dell,
    hpe,
    lenovo,
    quanta,
    huawei,
    dgx,
    ami,
    facebook,
    booting,
    weakLogin,
    lossyKcs,
    strict,
    intelBeforePost,
    locked(openbmc, "openbmc-restricted", "reads", "phosphor-host-ipmid host-ipmid-whitelist.conf, ipmitool #160"),
    locked(
      supermicroX12,
      "supermicro-x12-locked",
      "reads",
      "NVIDIA bare-metal-manager-core bmc-explorer: KCSInterface Privilege=Callback (code assumed)",
    ),
    locked(
      dgx,
      "dgx-h200-locked",
      "none",
      'NVIDIA bare-metal-manager-core bmc-explorer: KcsInterfaceDisable="Deny All" (code assumed)',
    ),
    locked(
      lenovo,
      "lenovo-xcc-kcs-disabled",
      "disabled",
      "NVIDIA bare-metal-manager-core bmc-explorer: KCS Disabled (silence assumed)",
    ),
  ].map((profile) => [profile.name, profile]),
);
