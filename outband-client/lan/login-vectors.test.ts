import { createSecretKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { suite3, suite17 } from "./cipher-suite.ts";
import { decodeRequest } from "./lan-message.ts";
import {
  decodeOpenSessionRequest,
  decodeOpenSessionResponse,
  encodeOpenSessionRequest,
  encodeOpenSessionResponse,
} from "./open-session.ts";
import { decodePacket, encodePacket20 } from "./packet.ts";
import {
  decodeRakp1,
  decodeRakp2,
  decodeRakp3,
  decodeRakp4,
  encodeRakp1,
  encodeRakp2,
  encodeRakp3,
  encodeRakp4,
} from "./rakp.ts";
import { Seal } from "./seal.ts";
import { rakp2Code, rakp3Code, rakp4Code, sessionKeys } from "./session-keys.ts";

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
const key = (text: string) => createSecretKey(Buffer.from(text, "latin1"));

/** Whole logins as `ipmitool -I lanplus -vvvvv mc info` (1.8.19, Debian 12) printed them, keys included. */
const logins = [
  {
    // Against OpenIPMI's ipmi_sim 2.0.33 with `bmc_key "channelkey"`: both sides are foreign.
    name: "suite 3 with K_g, ipmitool and ipmi_sim",
    suite: suite3,
    password: "ADMIN",
    kg: "channelkey",
    openRequest: `0600ff07 0610 00000000 00000000 2000 00000000 a4a3a2a0 0000000801000000 0100000801000000 0200000801000000`,
    openResponse: `0600ff07 0611 00000000 00000000 2400 00000000 a4a3a2a0 02000000 0000000801000000 0100000801000000 0200000801000000`,
    rakp1: `0600ff07 0612 00000000 00000000 2100 00000000 02000000 53063bf7505ad39c4cdd98d374ba864e 14000005 41444d494e`,
    rakp2: `0600ff07 0613 00000000 00000000 3c00 00000000 a4a3a2a0 36a40d727f1b87cc00781494ec39c070
      00112233445566778899aabbccddeeff 45cfe8a49a7807b4a245fc15d045e411e74fe6a3`,
    rakp3: `0600ff07 0614 00000000 00000000 1c00 00000000 02000000 b6358be23f09cf392276787d7a6333545b4b6861`,
    rakp4: `0600ff07 0615 00000000 00000000 1400 00000000 a4a3a2a0 887a2bb350936c22261b11d9`,
    k1: "02a27d3c046854942 5fdf298fa64df49e116798b",
    k2: "4593be482f2f978b1ec8618fc372511a",
    sealed: `0600ff07 06c0 02000000 03000000 2000 c07e3bf213950ada88182a95294ee982 9240f333eaa3c6ba6f2d2504fcde6293
      ffff0207 5c8e1d6ddb99efbd6003218f`,
    clear: "2018c881043b043c",
    sequence: 3,
  },
  {
    // Against this project's LAN server: what the remote console computed and sealed is ipmitool's own.
    name: "suite 17 with a password of 20 bytes, ipmitool",
    suite: suite17,
    password: "0123456789abcdefghij",
    kg: undefined,
    openRequest: `0600ff07 0610 00000000 00000000 2000 00000000 a4a3a2a0 0000000803000000 0100000804000000 0200000801000000`,
    openResponse: `0600ff07 0611 00000000 00000000 2400 00000400 a4a3a2a0 335d2f6d 0000000803000000 0100000804000000 0200000801000000`,
    rakp1: `0600ff07 0612 00000000 00000000 2000 00000000 335d2f6d 7ad5564192a8fcc11d0b8b64b0a6c86b 14000004 726f6f74`,
    rakp2: `0600ff07 0613 00000000 00000000 4800 00000000 a4a3a2a0 9af099092e50ec8a4076a02450b44631
      0102030405060708090a0b0c0d0e0f10 ef9fcbc7bba758aad736197b23d1a4e098a6ac8a0e3db65bcc760e0b31367ea0`,
    rakp3: `0600ff07 0614 00000000 00000000 2800 00000000 335d2f6d
      31e5da6e0266600c264662b3d39df8db008f383af146041fce9c98af1c742552`,
    rakp4: `0600ff07 0615 00000000 00000000 1800 00000000 a4a3a2a0 f7e2a5f324c6d8250dac26e5e5d845a1`,
    k1: "b563d297138b34d861d090938c4422139a91a53fdf5677a4f1cb4c0f4c0bb3ab",
    k2: "923cc732ee55d0c4c4cb650cd36e065c",
    sealed: `0600ff07 06c0 335d2f6d 03000000 2000 5987327c26a18854a1d6af665a5069ed 009e54707042a06177a99aa6dc8ae328
      ffff0207 ae64638c5abe8128367df9c25e93a43a`,
    clear: "2018c881043b043c",
    sequence: 3,
  },
];

const payloadOf = (hex: string) => decodePacket(bytes(hex)).payload;

describe.each(logins)("a login recorded from foreign programs: $name", (login) => {
  const { suite } = login;
  const rakp1 = decodeRakp1(payloadOf(login.rakp1));
  const rakp2 = decodeRakp2(payloadOf(login.rakp2), suite.hashBytes);
  const rakp3 = decodeRakp3(payloadOf(login.rakp3));
  const rakp4 = decodeRakp4(payloadOf(login.rakp4), suite.integrityBytes);
  if ("refusal" in rakp2 || "refusal" in rakp4) throw new Error("the recording is of a login that succeeded");
  const negotiation = {
    suite,
    consoleSessionId: rakp2.consoleSessionId,
    bmcSessionId: rakp1.bmcSessionId,
    consoleRandom: rakp1.consoleRandom,
    bmcRandom: rakp2.bmcRandom,
    bmcGuid: rakp2.bmcGuid,
    role: rakp1.role,
    user: rakp1.user,
  };
  const keys = sessionKeys(negotiation, key(login.kg ?? login.password));

  it("its messages decode and encode to the same bytes", () => {
    const request = decodeOpenSessionRequest(payloadOf(login.openRequest));
    expect(encodePacket20("openSessionRequest", encodeOpenSessionRequest(request))).toEqual(bytes(login.openRequest));
    const response = decodeOpenSessionResponse(payloadOf(login.openResponse));
    if ("refusal" in response) throw new Error("refused");
    expect(encodePacket20("openSessionResponse", encodeOpenSessionResponse(response))).toEqual(
      bytes(login.openResponse),
    );
    expect(encodePacket20("rakp1", encodeRakp1(rakp1))).toEqual(bytes(login.rakp1));
    expect(encodePacket20("rakp2", encodeRakp2(rakp2))).toEqual(bytes(login.rakp2));
    expect(encodePacket20("rakp3", encodeRakp3(rakp3))).toEqual(bytes(login.rakp3));
    expect(encodePacket20("rakp4", encodeRakp4(rakp4))).toEqual(bytes(login.rakp4));
  });

  it("its authentication codes and keys are the ones computed here", () => {
    expect(Uint8Array.from(rakp2Code(negotiation, key(login.password)))).toEqual(rakp2.code);
    expect(Uint8Array.from(rakp3Code(negotiation, key(login.password)))).toEqual(rakp3.code);
    expect(Uint8Array.from(rakp4Code(negotiation, keys.sessionIntegrityKey))).toEqual(rakp4.code);
    expect(Uint8Array.from(keys.integrity.export())).toEqual(bytes(login.k1));
    expect(Uint8Array.from(keys.confidentiality.export())).toEqual(bytes(login.k2));
  });

  it("its first sealed packet opens", () => {
    const sealed = new Seal(suite, keys).open(bytes(login.sealed));
    expect(sealed.payload).toEqual(bytes(login.clear));
    expect(sealed.sequence).toBe(login.sequence);
    expect(decodeRequest(sealed.payload)).toMatchObject({ netFn: 6, cmd: 0x3b, data: Uint8Array.of(4) });
  });

  it("a sealed packet with any bit turned round does not open", () => {
    const good = bytes(login.sealed);
    // The first 4 bytes are RMCP's and stand outside the authentication code; byte 3 is the class.
    for (let at = 4; at < good.length; at += 1) {
      const bad = good.slice();
      bad[at] = (bad[at] ?? 0) ^ 0x10;
      expect(() => new Seal(suite, keys).open(bad), `byte ${at}`).toThrow();
    }
  });
});

describe("the first question to a BMC", () => {
  it("decodes as ipmitool 1.8.19 sends it", () => {
    const question = decodePacket(bytes("0600ff07 00 00000000 00000000 09 2018c8 8100 388e04b5"));
    expect(question.format).toBe("1.5");
    expect(decodeRequest(question.payload)).toMatchObject({ netFn: 6, cmd: 0x38, data: Uint8Array.of(0x8e, 4) });
  });
});
