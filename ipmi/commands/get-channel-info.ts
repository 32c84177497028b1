import { channelMedium, channelNumber, channelProtocol } from "../channel.ts";
import { byte, bytes, inByte, nameOrNumber, uint, uint24LE } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Get Channel Info: medium and protocol of a channel, to find the LAN.
 * IPMI 2.0 §22.24.
 *
 * CCh for a channel that is not there. C1h on Facebook's OpenBMC. OpenBMC before OP940.01 reports its LAN as `otherLan`.
 * `channelNumber` of the answer tells what 0Eh ("this channel") stands for.
 */
export const getChannelInfo = command({
  name: "Get Channel Info",
  netFn: NetFn.app,
  cmd: 0x42,
  repeatable: true,
  request: { channelNumber },
  response: {
    channelNumber,
    mediumType: inByte(channelMedium),
    protocolType: inByte(channelProtocol),
    session: byte({
      support: nameOrNumber({ sessionLess: 0, singleSession: 1, multiSession: 2, sessionBased: 3 }, 7, 6),
      activeCount: uint(5, 0),
    }),
    /** IANA enterprise number of who defines the protocol; 7154 is the IPMI forum. */
    vendorId: uint24LE,
    auxiliaryInfo: bytes(2),
  },
  codes: { 130: "channel not supported" },
});
