import { expect, test } from "vitest";
import { askNtpServer, NtpError } from "./ask-ntp-server.ts";
import { sntpReply, startSntpServer } from "./sntp-server.fixture.ts";

const forever = new AbortController().signal;
/** 31 December 1999. RFC 5905 §6, figure 4. */
const seconds = 3_155_587_200;
const atLeast = Date.parse("1999-12-31T00:00:00Z");

test("asks and is told", async () => {
  using one = await startSntpServer((nonce) => [sntpReply({ nonce, seconds })]);
  const time = (await askNtpServer(one.server, forever)).getTime();
  expect(time).toBeGreaterThanOrEqual(atLeast);
  expect(time).toBeLessThan(atLeast + 2_000);
});

test("what does not answer its question is not believed", async () => {
  using one = await startSntpServer((nonce) => [
    Buffer.from("short"),
    sntpReply({ nonce: Buffer.alloc(8, 1), seconds: seconds + 86_400 }),
    sntpReply({ nonce, seconds }),
  ]);
  expect((await askNtpServer(one.server, forever)).getTime()).toBeLessThan(atLeast + 2_000);
});

test("asks again when nobody answers", async () => {
  let questions = 0;
  using one = await startSntpServer((nonce) => (++questions < 3 ? [] : [sntpReply({ nonce, seconds })]));
  expect((await askNtpServer(one.server, forever, 20)).getTime()).toBeGreaterThanOrEqual(atLeast);
  expect(questions).toBe(3);
});

test("gives up after three questions, and says whom it asked", async () => {
  using one = await startSntpServer(() => []);
  const asked = askNtpServer(one.server, forever, 10);
  await expect(asked).rejects.toThrow(NtpError);
  await expect(asked).rejects.toThrow(`NTP server ${one.server}: no answer to 3 questions within 0.03 s`);
});

test("a refusal ends it at once", async () => {
  using one = await startSntpServer((nonce) => [sntpReply({ nonce, seconds, stratum: 0, reference: "DENY" })]);
  await expect(askNtpServer(one.server, forever)).rejects.toThrow('it says "DENY"');
});

test("nobody at that port, and a caller that has enough, end it at once", async () => {
  await expect(askNtpServer("127.0.0.1:1", forever)).rejects.toThrow("NTP server 127.0.0.1:1: ");
  using one = await startSntpServer(() => []);
  const enough = new AbortController();
  const asked = askNtpServer(one.server, enough.signal);
  setTimeout(() => enough.abort(new Error("enough")), 20);
  await expect(asked).rejects.toThrow("enough");
});
