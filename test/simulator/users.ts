/** What a user may do on one channel. */
export interface Rights {
  callbackOnly: boolean;
  linkAuthentication: boolean;
  ipmiMessaging: boolean;
  /** 15 is no access. */
  privilege: number;
}

/** One user ID of a simulated BMC, with its rights on the channel of the BMC's network. */
export interface SimulatedUser extends Rights {
  readonly id: number;
  /** 16 bytes. */
  name: Uint8Array;
  /** 20 bytes, filled with 00h; undefined while none was set. */
  password: Uint8Array | undefined;
  passwordBytes: 16 | 20;
  enabled: boolean;
  solAllowed: boolean;
  /** Rights on the BMC's other channels, by number. */
  elsewhere: Record<number, Rights>;
}

/** A user as a test gives it. */
export interface GivenUser {
  readonly id: number;
  readonly name: string;
  readonly password?: string;
  readonly enabled?: boolean;
  readonly privilege?: number;
}

const noRights: Rights = { callbackOnly: false, linkAuthentication: false, ipmiMessaging: false, privilege: 15 };

/** Rights on a channel that is not that of the BMC's network, made when they are first asked for. */
export function rightsElsewhere(user: SimulatedUser, channel: number): Rights {
  const rights = user.elsewhere[channel] ?? { ...noRights };
  user.elsewhere[channel] = rights;
  return rights;
}

export function emptyUser(id: number): SimulatedUser {
  return {
    id,
    name: new Uint8Array(16),
    password: undefined,
    passwordBytes: 16,
    enabled: false,
    ...noRights,
    solAllowed: false,
    elsewhere: {},
  };
}

export function givenUser({ id, name, password = "", enabled = true, privilege = 4 }: GivenUser): SimulatedUser {
  return {
    ...emptyUser(id),
    name: padded(name, 16),
    password: padded(password, 20),
    enabled,
    ipmiMessaging: enabled,
    privilege,
  };
}

/** Latin-1, filled with 00h. */
export function padded(text: string, size: number): Uint8Array {
  const data = new Uint8Array(size);
  data.set(Buffer.from(text, "latin1"));
  return data;
}

export function nameText(user: SimulatedUser): string {
  const end = user.name.indexOf(0);
  return Buffer.from(end === -1 ? user.name : user.name.subarray(0, end)).toString("latin1");
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.from(a).equals(Buffer.from(b));
}
