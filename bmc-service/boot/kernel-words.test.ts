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

test.each(["", "console=tty0 console=ttyS0,115200n8 rivet.then=reboot", 'dyndbg="file ipmi_si* +p"', "rivet.tokens=1"])(
  "%j may stand there",
  (words) => expect(wordsProblem(words)).toBeUndefined(),
);

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
])("%j is refused because of %s", (words, why) => expect(wordsProblem(words)).toContain(why));
