import {
  getChannelAccess,
  getChannelAuthenticationCapabilities,
  getChannelCipherSuites,
  getChannelInfo,
  setChannelAccess,
} from "../../../ipmi/commands/index.ts";
import { CompletionCode } from "../../../ipmi/completion-code.ts";
import { cipherSuiteRecords } from "../cipher-suite-records.ts";
import { type Entry, levelNumber, on, refuse, refuseIf, resolveChannel } from "./handler.ts";

/** IPMI 2.0 §22.13-22.15, §22.22-22.24. */
export const channelCommands: readonly Entry[] = [
  on(getChannelInfo, (bmc, request, arrival) => {
    const { infoRefused, noSuchChannel, medium } = bmc.profile.channels;
    refuseIf(infoRefused !== undefined, infoRefused);
    const channelNumber = resolveChannel(request.channelNumber, arrival);
    const isLan = bmc.lans.some(({ channel }) => channel === channelNumber);
    if (!isLan && channelNumber !== 0 && channelNumber !== 15) refuse(noSuchChannel);
    return {
      channelNumber,
      // Tables 6-3 and 6-2 by number: LAN, IPMB, system interface; IPMB-1.0, KCS; multi-session or session-less.
      mediumType: isLan ? medium : channelNumber === 0 ? 0x01 : 0x0c,
      protocolType: isLan || channelNumber === 0 ? 0x01 : 0x05,
      session: { support: isLan ? 2 : 0, activeCount: 0 },
      vendorId: 7154,
      auxiliaryInfo: new Uint8Array(2),
    };
  }),

  on(getChannelAccess, (bmc, { channelNumber, setting }, arrival) => {
    bmc.lan(resolveChannel(channelNumber, arrival));
    const { accessMode, privilegeLevelLimit } = bmc.channelAccess[setting];
    return {
      access: { pefAlerting: true, perMessageAuthentication: false, userLevelAuthentication: true, accessMode },
      privilegeLevelLimit,
    };
  }),

  on(setChannelAccess, (bmc, { channelNumber, access, privilegeLevelLimit }, arrival) => {
    const { setAccessRefused, setAccessRestartsMs } = bmc.profile.channels;
    bmc.lan(resolveChannel(channelNumber, arrival));
    refuseIf(setAccessRefused !== undefined, setAccessRefused);
    // The three bits are as Get Channel Access tells them; whoever writes others has not read them.
    if (access.perMessageAuthentication || !access.pefAlerting) refuse(CompletionCode.invalidDataField);
    const mode = access.accessMode === "alwaysAvailable" ? 2 : access.accessMode;
    if (access.setting !== "doNotSet")
      bmc.channelAccess[access.setting].accessMode = typeof mode === "number" ? mode : 0;
    if (privilegeLevelLimit.setting !== "doNotSet") {
      bmc.channelAccess[privilegeLevelLimit.setting].privilegeLevelLimit = levelNumber(privilegeLevelLimit.limit);
    }
    if (setAccessRestartsMs !== undefined) bmc.restartNetwork(arrival.nowMs + setAccessRestartsMs);
    return {};
  }),

  on(getChannelAuthenticationCapabilities, (bmc, { channel }, arrival) => {
    const channelNumber = resolveChannel(channel.number, arrival);
    if (channelNumber === 15) refuse(CompletionCode.invalidDataField);
    bmc.lan(channelNumber);
    const types = bmc.authenticationTypes[3] ?? 0;
    const type = (bit: number) => (types & (1 << bit)) !== 0;
    return {
      channelNumber,
      authenticationTypes: {
        ipmi20: channel.ipmi20,
        oem: type(5),
        password: type(4),
        md5: type(2),
        md2: type(1),
        none: type(0),
      },
      login: {
        kgSet: bmc.profile.lan.kg !== undefined,
        perMessageAuthentication: true,
        userLevelAuthentication: true,
        nonNullUsers: true,
        nullUsers: false,
        anonymous: false,
      },
      supports: { ipmi20: true, ipmi15: false },
      oemId: 0,
      oemAuxiliary: 0,
    };
  }),

  on(getChannelCipherSuites, (bmc, { channelNumber, list }, arrival) => {
    const channel = resolveChannel(channelNumber, arrival);
    if (channel !== 15) bmc.lan(channel);
    const start = 16 * list.index;
    return {
      channelNumber: channel,
      records: cipherSuiteRecords(bmc.profile.lan.cipherSuites).slice(start, start + 16),
    };
  }),
];
