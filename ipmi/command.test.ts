import { expect, test } from "vitest";
import { send } from "./command.ts";
import { getDeviceId, setUserName, setUserPassword } from "./commands/index.ts";
import { CompletionCodeError, DecodeError, EncodeError, TransportError } from "./errors.ts";
import { Secret } from "./secret.ts";
import type { Message, Reply, Transport } from "./transport.ts";

/** Answers with what it is given and keeps what it was sent. */
function answering(reply: Reply | Error, maxRequestBytes = 64): Transport & { readonly sent: Message[] } {
  const sent: Message[] = [];
  return {
    name: "test",
    maxRequestBytes,
    sent,
    async exchange(message) {
      sent.push(message);
      if (reply instanceof Error) throw reply;
      return reply;
    },
    async [Symbol.asyncDispose]() {},
  };
}

const never = new AbortController().signal;
const password = "Xy7!canaryPwd-0k";

// Get Device ID of ipmi_sim 2.0.33 (lab configuration), as it came over the VM codec.
const deviceId = Uint8Array.of(0x00, 0x03, 0x09, 0x08, 0x02, 0x9f, 0x91, 0x12, 0x00, 0x02, 0x0f, 0, 0, 0, 0);

test("send encodes the request and decodes the response", async () => {
  const transport = answering({ completionCode: 0, data: deviceId });
  const response = await send(transport, getDeviceId, {}, never);
  expect(transport.sent).toEqual([{ netFn: 0x06, lun: 0, cmd: 0x01, data: new Uint8Array(0) }]);
  expect(response).toMatchObject({ manufacturerId: 4753, productId: 0xf02, ipmiVersion: { major: 2, minor: 0 } });
  expect(response.firmware).toEqual({ deviceAvailable: true, majorRevision: 9 });
});

test.each([
  ["was answered", { completionCode: 0, data: new Uint8Array(0) }],
  ["was lost", new TransportError("test", "unknown", "silence")],
])("the bytes of a request with a secret are wiped when it %s", async (_name, reply) => {
  const transport = answering(reply);
  let lengthWhileSent = 0;
  const watched: Transport = {
    ...transport,
    async exchange(message, signal) {
      lengthWhileSent = message.data.findLastIndex((each) => each !== 0) + 1;
      return await transport.exchange(message, signal);
    },
  };
  const secret = Secret.password(password, 16);
  const request = { user: { twentyBytes: false, id: 3 }, action: { operation: "set" as const }, password: secret };
  await send(watched, setUserPassword, request, never).catch(() => undefined);
  expect(lengthWhileSent).toBe(18);
  expect(transport.sent[0]?.data).toEqual(new Uint8Array(18));
  // A second attempt needs it.
  expect(secret.reveal()).toEqual(Secret.password(password, 16).reveal());
});

test("a completion code is an error with the meaning that the command gives it", async () => {
  const transport = answering({ completionCode: 0x80, data: new Uint8Array(0) });
  const request = {
    user: { twentyBytes: false, id: 3 },
    action: { operation: "test" },
    password: Secret.password(password, 16),
  } as const;
  const error = await send(transport, setUserPassword, request, never).catch((each: unknown) => each);
  expect(error).toBeInstanceOf(CompletionCodeError);
  expect(error).toMatchObject({ command: "Set User Password", completionCode: 0x80 });
  expect(String(error)).toContain("does not match");
  expect(String(error)).not.toContain(password);
});

test("a response that is too short is a DecodeError; one that is longer is not", async () => {
  const short = answering({ completionCode: 0, data: deviceId.subarray(0, 10) });
  await expect(send(short, getDeviceId, {}, never)).rejects.toBeInstanceOf(DecodeError);
  const long = answering({ completionCode: 0, data: Uint8Array.of(...deviceId, 1, 2, 3) });
  await expect(send(long, getDeviceId, {}, never)).resolves.toMatchObject({ productId: 0xf02 });
});

test("an eleven-byte Get Device ID and one with a garbage byte lack the auxiliary revision", async () => {
  for (const length of [11, 12, 14]) {
    const transport = answering({ completionCode: 0, data: deviceId.subarray(0, length) });
    expect(await send(transport, getDeviceId, {}, never)).not.toHaveProperty("auxiliaryFirmwareRevision");
  }
});

test("nothing is sent when the request does not fit", async () => {
  const transport = answering({ completionCode: 0, data: new Uint8Array(0) }, 10);
  const name = { userId: 3, userName: "rivetabcdefghijkl" };
  await expect(send(transport, setUserName, name, never)).rejects.toBeInstanceOf(EncodeError);
  const tooLong = send(transport, setUserName, { userId: 3, userName: "rivet" }, never);
  await expect(tooLong).rejects.toMatchObject({ name: "TransportError", sent: "no" });
  expect(transport.sent).toEqual([]);
});

test("nothing is sent after the signal, and its reason is the cause", async () => {
  const transport = answering({ completionCode: 0, data: deviceId });
  const reason = new Error("step over");
  const ended = send(transport, getDeviceId, {}, AbortSignal.abort(reason));
  await expect(ended).rejects.toMatchObject({ name: "TransportError", sent: "no", cause: reason });
  expect(transport.sent).toEqual([]);
});

test("a transport's error passes unchanged", async () => {
  const lost = new TransportError("test", "unknown", "no answer");
  await expect(send(answering(lost), getDeviceId, {}, never)).rejects.toBe(lost);
});

test("password and announced size belong together, and set and test need a password", () => {
  const encode = (twentyBytes: boolean, operation: "set" | "enable" | "test", size?: 16 | 20) =>
    setUserPassword.encodeRequest({
      user: { twentyBytes, id: 2 },
      action: { operation },
      password: size === undefined ? undefined : Secret.password(password, size),
    });
  expect(encode(false, "set", 16)).toHaveLength(18);
  expect(encode(true, "set", 20)).toHaveLength(22);
  expect(encode(false, "enable")).toEqual(Uint8Array.of(0x02, 0x01));
  expect(() => encode(true, "set", 16)).toThrow(EncodeError);
  expect(() => encode(false, "set", 20)).toThrow(EncodeError);
  expect(() => encode(false, "set")).toThrow(EncodeError);
  expect(() => encode(false, "test")).toThrow(EncodeError);
  // A client that announces 20 bytes and sends 16: a simulated BMC answers C7h.
  expect(() => setUserPassword.decodeRequest(Uint8Array.of(0x82, 2, ...new Uint8Array(16)))).toThrow(DecodeError);
});

test("requests are checked by the compiler", () => {
  const transport = answering({ completionCode: 0, data: new Uint8Array(0) });
  const compiledOnly = async () => {
    const user = { twentyBytes: false, id: 2 };
    // @ts-expect-error there is no operation "tset"
    await send(transport, setUserPassword, { user, action: { operation: "tset" } }, never);
    // @ts-expect-error the user is missing
    await send(transport, setUserPassword, { action: { operation: "enable" } }, never);
    // @ts-expect-error a password is a Secret, never a text
    await send(transport, setUserPassword, { user, action: { operation: "set" }, password }, never);
    // @ts-expect-error Get Device ID has no request data
    await send(transport, getDeviceId, { channelNumber: 1 }, never);
    // @ts-expect-error the response has no such field
    return (await send(transport, getDeviceId, {}, never)).vendor;
  };
  expect(compiledOnly).toBeTypeOf("function");
  // What the compiler refuses is also refused at run time.
  const wrong: unknown = { user: { twentyBytes: false, id: 2 }, action: { operation: "tset" } };
  expect(() => setUserPassword.encodeRequest(wrong as Parameters<typeof setUserPassword.encodeRequest>[0])).toThrow(
    'Set User Password request: action.operation: "tset" is none of disable, enable, set, test',
  );
});
