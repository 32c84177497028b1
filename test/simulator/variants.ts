import { noPolicy } from "./password-policy.ts";
import type { Profile } from "./profile.ts";
import { profiles, spec } from "./profiles.ts";

/** One behaviour each that no board among the profiles has, or not alone. */
const all: readonly Profile[] = [
  {
    ...spec,
    name: "keeps-system-info",
    sources: ["IPMI 2.0 §22.14a, on a BMC without GUID"],
    device: { ...spec.device, guid: { refused: 0xc1 }, systemInfo: { text: "Linux" } },
  },
  {
    ...spec,
    name: "address-comes-later",
    sources: ["MAAS bmc_config.py waits for one"],
    timing: { addressAfterMs: 20_000 },
  },
  {
    ...spec,
    name: "rights-need-enabling",
    sources: ["ipmitool #31"],
    users: { ...spec.users, accessNeedsEnable: true },
  },
  {
    ...spec,
    name: "twenty-bytes-only",
    sources: ["go-hal d147859"],
    passwords: { ...spec.passwords, sizes: [20], sizeRefused: 0xc7 },
  },
  {
    ...spec,
    name: "sixteen-bytes-only",
    sources: ["FreeIPMI bugs-issues-and-workarounds #15"],
    passwords: { ...spec.passwords, sizes: [16], sizeRefused: 0xc8 },
  },
  {
    ...spec,
    name: "enables-without-password-only",
    sources: ["go-hal and fwupd send 2 bytes"],
    passwords: { ...spec.passwords, enableSizes: [0], enableSizeRefused: 0xc7 },
  },
  {
    ...spec,
    name: "long-passwords-only",
    sources: ["MAAS bmc_config.py (13 to 20, 16 to 20 characters)"],
    passwords: { ...spec.passwords, policy: { ...noPolicy, minLength: 18, specials: 1, refused: 0xcc } },
  },
  {
    ...spec,
    name: "rejects-with-8f",
    sources: ["FreeIPMI bugs-issues-and-workarounds #32 (Dell C6220)"],
    passwords: {
      ...spec.passwords,
      policy: { ...noPolicy, minLength: 13, specials: 1, allowedSpecials: "^%$@!~_", refused: 0x8f },
    },
  },
  {
    ...spec,
    name: "policy-says-unspecified",
    sources: ["phosphor-host-ipmid user_mgmt.cpp (errors of PAM other than AUTHTOK)"],
    passwords: {
      ...spec.passwords,
      policy: { ...noPolicy, minLength: 18, specials: 1, refused: 0xff },
    },
  },
  {
    ...spec,
    name: "cuts-long-passwords",
    sources: ["ipmitool #347, phosphor-host-ipmid #149 (20 characters cut to 16 without a word)"],
    passwords: { ...spec.passwords, keeps: { characters: 16 } },
  },
  {
    ...spec,
    name: "drops-special-characters",
    sources: ["MAAS bmc_config.py (Huawei, Lenovo: which special characters do); that they are dropped is assumed"],
    passwords: { ...spec.passwords, keeps: { without: "!@%_" } },
  },
  {
    ...spec,
    name: "keeps-twenty-bytes-only",
    sources: ["go-hal d147859 (Lenovo needs 20 bytes); that 16 are answered with 00h is assumed"],
    passwords: { ...spec.passwords, keeps: { onlySize: 20 } },
  },
  {
    ...spec,
    name: "loses-every-second-write-and-cannot-test",
    sources: ["FreeIPMI workarounds #3 and #8 (Supermicro H8QME)"],
    passwords: { ...spec.passwords, test: 0xc1 },
    timing: { losesEveryWrite: 2 },
  },
  ...[true, false].map(
    (kept): Profile => ({
      ...spec,
      name: `resets-at-the-third-write-which-is-${kept ? "kept" : "lost"}`,
      sources: ["xcat-core bmcsetup (S822LC); a reset for a user's sake is assumed"],
      timing: {
        resetAtWrite: { number: 3, kept, downMs: 40_000 },
        boot: { ms: 5_000, codes: [0xff, 0xd2, "update"] },
      },
    }),
  ),
  {
    ...spec,
    name: "fru-in-words-of-eight-bytes",
    sources: ["OpenIPMI lib/fru.c, ipmitool ipmi_fru.c"],
    fru: { ...spec.fru, unit: "words", mostBytes: 8, tooMuch: 0xc7, pastEnd: 0xff },
  },
  {
    ...spec,
    name: "locked-slots",
    sources: ["Cray: slots locked one by one"],
    users: { ...spec.users, fixedSlots: [3, 5] },
  },
  {
    ...spec,
    name: "knows-no-channel",
    sources: ["assumed: Get Channel Info refused throughout as OpenBMC refuses a channel that is not there"],
    channels: { ...spec.channels, infoRefused: 0xcc, lans: spec.channels.lans.map((lan) => ({ ...lan, channel: 8 })) },
  },
  {
    ...spec,
    name: "blank-names",
    sources: ["IPMI 2.0 §22.28: assumed, as a field filled with blanks"],
    users: { ...spec.users, emptyName: "blanks", namesFilledWith: " " },
  },
  {
    ...spec,
    name: "names-filled-with-ffh",
    sources: ["pyghmi command.py writes FFh for no name; assumed as filling, too"],
    users: { ...spec.users, emptyName: "ones", namesFilledWith: "\xff" },
  },
  {
    ...spec,
    name: "rights-in-three-bytes",
    sources: ["IPMI 2.0 §22.26: the fourth byte is optional; a BMC that refuses it is assumed"],
    users: { ...spec.users, longAccess: 0xc7 },
  },
  {
    ...spec,
    name: "locked-slots-say-d5",
    sources: ["Cray's slots; the code is assumed"],
    users: { ...spec.users, fixedSlots: [3, 5], nameRefused: 0xd5 },
  },
  {
    ...spec,
    name: "two-key-login",
    sources: ["IPMI 2.0 §22.25: K_G, set by whoever used the BMC before"],
    expected: "failed",
    lan: { ...spec.lan, kg: "a-key-of-20-letters!" },
  },
  {
    ...spec,
    name: "full-table",
    sources: ["assumed: every slot is somebody's"],
    expected: "no free slot",
    users: {
      ...spec.users,
      given: Array.from({ length: 9 }, (_, i) => ({ id: i + 2, name: `user${i + 2}`, password: `pw-${i}` })),
    },
  },
];

/** By name. */
export const variants: ReadonlyMap<string, Profile> = new Map(all.map((profile) => [profile.name, profile]));

/** Boards and variants by name, for whoever picks one. */
export const everyProfile: ReadonlyMap<string, Profile> = new Map([...profiles, ...variants]);
