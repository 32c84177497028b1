import type { FaultRule } from "./fault-rule.ts";
import type { PasswordPolicy } from "./password-policy.ts";
import type { GivenUser } from "./users.ts";

/**
 * How the agent's run ends on the BMC of a profile: the kind of its outcome, or "not ready" and "no free slot" for the
 * errors of these names.
 */
export type ExpectedOutcome = "linked" | "locked" | "failed" | "not ready" | "no free slot";

/** A BMC as data: what it holds and how it behaves. Every field says what is on the wire. */
export interface Profile {
  readonly name: string;
  /** Where its behaviour was seen: board, program or issue. */
  readonly sources: readonly string[];
  readonly expected: ExpectedOutcome;
  readonly device: DeviceProfile;
  readonly channels: ChannelsProfile;
  readonly users: UsersProfile;
  readonly passwords: PasswordsProfile;
  readonly lan: LanProfile;
  readonly fru: FruProfile;
  readonly timing: TimingProfile;
  readonly access: AccessProfile;
  /** What goes wrong on its way, beside the behaviour. */
  readonly faults: readonly FaultRule[];
}

/** Get Device ID and the GUIDs. */
export interface DeviceProfile {
  /** IANA enterprise number. */
  readonly manufacturerId: number;
  readonly productId: number;
  readonly firmware: readonly [major: number, minorBcd: number];
  /**
   * Get System GUID: 16 bytes as hexadecimal digits in the order of the wire, or the code that refuses it.
   * `machine` stands for the machine's own UUID in that byte order, where the BMC was given one.
   */
  readonly guid: { readonly bytes: string } | { readonly machine: GuidBytes } | { readonly refused: number };
  /**
   * System Info parameters: the name of the operating system as it stands there at first, or the code that the BMC answers while
   * there is none; refused altogether; or taken and forgotten. Refused with C1h if left out.
   */
  readonly systemInfo?:
    | { readonly text: string }
    | { readonly unset: number }
    | { readonly refused: number }
    | { readonly forgotten: true };
}

/** See ipmi/guid.ts. */
export type GuidBytes = "ipmi" | "smbios" | "rfc4122";

/** One LAN channel of a simulated BMC. */
export interface SimulatedLan {
  readonly channel: number;
  readonly mac: string;
  readonly ipv4Address: string;
  /** With one, parameters 50 to 59 are supported; without, they are refused as unsupported. */
  readonly ipv6Address?: string;
}

export interface ChannelsProfile {
  readonly lans: readonly SimulatedLan[];
  /** Medium type in Get Channel Info: 802.3 or "other LAN". */
  readonly medium: 0x04 | 0x06;
  /** The code with which Get Channel Info is refused for every channel, where it is not supported. */
  readonly infoRefused?: number;
  /** The code for a channel that is not there. */
  readonly noSuchChannel: number;
  /** The code of user commands for a channel without sessions (0 and 15); as for a missing channel if left out. */
  readonly sessionLess?: number;
  /** At first no channel lets anybody in, and none beyond User. */
  readonly closed?: true;
  /** The code with which Set Channel Access is refused. */
  readonly setAccessRefused?: number;
  /** Set Channel Access restarts the BMC's network: CEh to everything for so long. Milliseconds. */
  readonly setAccessRestartsMs?: number;
}

/** How a user ID without a name answers Get User Name. */
export type EmptyName = "zeros" | "ones" | "blanks" | "(Empty User)" | { readonly refused: number };

export interface UsersProfile {
  /** User IDs 1 to this one. */
  readonly ids: number;
  /** User IDs 1 to this one have names that cannot be changed, and the BMC says so. */
  readonly fixedNameCount: number;
  /** IDs whose names cannot be changed although the BMC does not say so. */
  readonly fixedSlots: readonly number[];
  readonly given: readonly GivenUser[];
  readonly emptyName: EmptyName;
  /** What names are filled up with to 16 bytes; 00h if left out. */
  readonly namesFilledWith?: " " | "\xff";
  readonly outOfRange: number;
  /** What a name must match; a regular expression. */
  readonly namePattern: string;
  /** Names of the BMC's own system. */
  readonly reservedNames: readonly string[];
  /** For a name that does not match, is reserved or may not be changed. */
  readonly nameRefused: number;
  /** For a name that another ID has. */
  readonly duplicateName: number;
  /** For the name that the ID has already; accepted if left out. */
  readonly sameName?: number;
  /** Set User Access for an ID without a name; accepted if left out. */
  readonly unnamedAccess?: number;
  /** Enabling, disabling or setting the password of an ID without a name; accepted if left out. */
  readonly unnamedPassword?: number;
  /** Set User Access without its fourth byte; accepted if left out. */
  readonly shortAccess?: number;
  /** Set User Access with its fourth byte; accepted if left out. */
  readonly longAccess?: number;
  /** Set User Access with a limit of sessions other than 0; accepted if left out. */
  readonly sessionLimit?: number;
  /** IPMI messaging is taken only by an ID that has a privilege already. */
  readonly messagingNeedsPrivilege?: true;
  /** Set User Access of an ID that is not enabled is answered 00h and forgotten. */
  readonly accessNeedsEnable?: true;
  /** Set User Payload Access. */
  readonly payloadRefused?: number;
}

export interface PasswordsProfile {
  /** Sizes in which a password can be set; the others get `sizeRefused`. */
  readonly sizes: readonly (16 | 20)[];
  readonly sizeRefused: number;
  /** Sizes of the password with which enable and disable are accepted; 0 is the form without one. */
  readonly enableSizes: readonly (0 | 16 | 20)[];
  readonly enableSizeRefused: number;
  /** Enabling an ID whose password was never set; accepted if left out. */
  readonly enableWithout?: number;
  /** Enabling what is enabled, disabling what is disabled; accepted if left out. */
  readonly redundantEnable?: number;
  /** The test operation with the size in which the password is not stored: its code, or "compare" for no matter. */
  readonly wrongTestSize: number | "compare";
  /** The code with which the test operation is refused, where it is not supported; "yes" says 00h to everything. */
  readonly test?: number | "yes";
  readonly policy?: PasswordPolicy;
  /** What becomes of a password that was answered 00h; kept as it was given if left out. */
  readonly keeps?: KeptPassword;
}

/** How a BMC changes a password without telling. */
export interface KeptPassword {
  /** Only the first so many characters. */
  readonly characters?: number;
  /** Without these characters. */
  readonly without?: string;
  /** Only if it came in this size; the former one stays otherwise. */
  readonly onlySize?: 16 | 20;
}

export interface LanProfile {
  /** For LAN parameters that are not supported. */
  readonly unsupported: number;
  /** Parameters that this board refuses although others have them, by selector: the code. */
  readonly refused: Readonly<Record<number, number>>;
  /** AMI's parameters C5h (IPv6 address) and C6h (prefix length) instead of 50 to 59. */
  readonly oemIpv6?: true;
  /** Standard cipher suites by ID, in the order of the list. */
  readonly cipherSuites: readonly number[];
  /** Greatest privilege of each suite, in that order; 4 is Administrator, 0 switches it off. */
  readonly suitePrivileges: readonly number[];
  /** Authentication types of IPMI 1.5 at every level: bit 0 none, bit 2 MD5; default none of them. */
  readonly authenticationTypes?: number;
  /** Set LAN Configuration Parameters. */
  readonly setRefused?: number;
  /** Every login from remote is refused, whatever the account. */
  readonly refusesLogin?: true;
  /** K_G, 20 characters: a login takes this key beside the password. IPMI 2.0 §22.25. */
  readonly kg?: string;
}

export interface FruProfile {
  /** Hexadecimal digits of FRU 0; a small image of its own if left out. */
  readonly image?: string;
  /** The code with which both commands are refused: there is no FRU 0. */
  readonly refused?: number;
  /** FRU 0 is told as having no bytes. */
  readonly empty?: true;
  readonly unit: "bytes" | "words";
  /** A read of more than so many bytes is refused with `tooMuch`. */
  readonly mostBytes: number;
  readonly tooMuch: number;
  readonly pastEnd: number;
  /** The checksum of the board area is wrong. */
  readonly badChecksum?: true;
  /** The board's texts are what makers forget to replace. */
  readonly placeholders?: true;
}

/** Times in milliseconds, counted from when the BMC was made or reset. */
export interface TimingProfile {
  /** Until it is ready. `codes` are answered in turn, "update" is 00h with the bit that says initialization; then silence. */
  readonly boot?: { readonly ms: number; readonly codes: readonly (number | "update" | "silence")[] };
  /** Its LAN channels have no IPv4 address before. */
  readonly addressAfterMs?: number;
  /** Commands on users get C0h for so long after each write. */
  readonly busyAfterWriteMs?: number;
  /** More writes than that with less than `pauseMs` between any two: it answers nothing for `ms`. */
  readonly hang?: { readonly writes: number; readonly pauseMs: number; readonly ms: number };
  /** Every so many writes one is answered 00h and forgotten. */
  readonly losesEveryWrite?: number;
  /** The BMC resets at the write with this number, which is kept or lost and not answered; back after `downMs`. */
  readonly resetAtWrite?: { readonly number: number; readonly kept: boolean; readonly downMs: number };
}

/** What the machine's own system interface may do. */
export interface AccessProfile {
  /**
   * "open" all; "reads" as OpenBMC's restricted mode; "no writes" as Intel after POST; "none" nothing at all, not even
   * Get Device ID; "disabled" does not answer there.
   */
  readonly inBand: "open" | "reads" | "no writes" | "none" | "disabled";
  /** The code of what it may not. */
  readonly refused: number;
}
