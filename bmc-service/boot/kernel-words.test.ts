import { expect, test } from "vitest";
import { commandLine, wordsProblem } from "./kernel-words.ts";

const line = { words: " console=ttyS1,115200 quiet ", document: "http://10.0.0.1:8080/config.yaml", caSha256: "ab" };

test("a command line has the site's words, the root in memory, the document, the pin of its CA, and the token at the end", () => {
  expect(commandLine({ ...line, token: "rvt_1" })).toBe(
    "console=ttyS1,115200 quiet rootfstype=ramfs rivet.config=http://10.0.0.1:8080/config.yaml rivet.ca_sha256=ab rivet.token=rvt_1",
  );
  expect(commandLine({ ...line, words: "" })).toBe(
    "rootfstype=ramfs rivet.config=http://10.0.0.1:8080/config.yaml rivet.ca_sha256=ab",
  );
});

test("a site may have another root in memory", () => {
  expect(commandLine({ ...line, words: "rootfstype=tmpfs" })).toBe(
    "rootfstype=tmpfs rivet.config=http://10.0.0.1:8080/config.yaml rivet.ca_sha256=ab",
  );
});

test.each([
  "",
  "console=tty0 console=ttyS0,115200n8 rivet.then=reboot",
  'dyndbg="file ipmi_si* +p"',
  "rivets=1",
  'rivet.limit=300 rivet.user-slot=3 rivet.rotate "rivet.site=hall 3"',
  "ip=dhcp PIXIE_API_URL=http://10.0.0.1:4242/certs",
])("%j may stand there", (words) => expect(wordsProblem(words)).toBeUndefined());

test.each([
  ["rivet.token=rvt_012345678901", "rivet.token"],
  ["quiet rivet.config=/x", "rivet.config"],
  ["rivet.ca-sha256=00", "rivet.ca_sha256"],
  ['"rivet.key=/x y"', "rivet.key"],
  ["rivet.insecure_plaintext", "rivet.insecure_plaintext"],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: iPXE writes its variables so
  ["a=${net0/mac}", "${"],
  ['a={{ URL "x" }}', "{{"],
  ["a || b", "||"],
  ["a\nb", "one line"],
  ["é", "ASCII"],
  ['dyndbg="file x', "would not be read"],
  ["quiet -- single", "would not be read"],
  ["rivet.nonsense=1", "rivet.nonsense is no key of the agent; known are rivet.rotate, "],
  ["rivet.tokens=1", "no key of the agent"],
  ["RIVET.log=json", "no key of the agent"],
  ["rivet.log=json rivet.log=text", "rivet.log is given twice"],
  ["rivet.user_slot=3 rivet.user-slot=4", "rivet.user_slot is given twice"],
  ["rivet.limit=3", 'rivet.limit: "3" is not allowed; allowed: 10 to 86400 seconds'],
  ["rivet.limit", "rivet.limit needs a value: SECONDS"],
  ["rivet.vlan=4095", "rivet.vlan"],
  ["rivet.rotate=maybe", "allowed: 1, true, yes, on or 0, false, no, off"],
  ["rivet.kcs=mem:0x1", "io:0xca2"],
  ["PIXIE_API_URL=10.0.0.1:4242", "PIXIE_API_URL is not an http:// or https:// URL"],
])("%j is refused because of %s", (words, why) => expect(wordsProblem(words)).toContain(why));

test("a secret is never quoted", () => {
  expect(wordsProblem("rivet.proxy=http://user:s3cr3t@")).toMatch(
    /^rivet\.proxy: what it says is not allowed; allowed: http:/,
  );
});
