import { type Field, inByte, nameOrNumber, uint } from "./codec.ts";

/** A channel in `[3:0]`. 0 is IPMB, 1-11 are the implementation's, 14 is "this channel", 15 the system interface. §6.3. */
export const channelNumber: Field<number> = inByte(uint(3, 0));

/** The numbers that a LAN channel can have. IPMI 2.0 §6.3, table 6-1. */
export const lanChannelNumbers = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] as const;

/** The channel by which a command comes. IPMI 2.0 §6.3, table 6-1. */
export const thisChannel = 0x0e;

/** Channel medium types, `[6:0]`. IPMI 2.0 §6.5, table 6-3. */
export const channelMedium = nameOrNumber(
  {
    ipmb: 0x01,
    icmb10: 0x02,
    icmb09: 0x03,
    lan8023: 0x04,
    serial: 0x05,
    otherLan: 0x06,
    pciSmbus: 0x07,
    smbus1: 0x08,
    smbus2: 0x09,
    usb1: 0x0a,
    usb2: 0x0b,
    systemInterface: 0x0c,
  },
  6,
  0,
);

/** Channel protocol types, `[4:0]`. IPMI 2.0 §6.4, table 6-2. */
export const channelProtocol = nameOrNumber(
  {
    ipmb10: 0x01,
    icmb10: 0x02,
    ipmiSmbus: 0x04,
    kcs: 0x05,
    smic: 0x06,
    bt10: 0x07,
    bt15: 0x08,
    tmode: 0x09,
  },
  4,
  0,
);

/** When a channel may be used, `[2:0]`. IPMI 2.0 §6.6, table 6-4. */
export const channelAccessMode = nameOrNumber({ disabled: 0, preBootOnly: 1, alwaysAvailable: 2, shared: 3 }, 2, 0);
