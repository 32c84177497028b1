import fc from "fast-check";
import { expect, test } from "vitest";
import { ConfigError } from "./config-error.ts";
import { kernelCommandLineBytes, readKernelKeys } from "./kernel-command-line.ts";

const read = (text: string) => readKernelKeys(Buffer.from(text, "latin1"));

test("reads our keys and pixie's, and leaves the rest alone", () => {
  const { values, pixieApiUrl, remarks } = read(
    'BOOT_IMAGE=/vmlinuz console=ttyS0 rivet.service=10.0.2.2:4443 rivet.rotate rivet.then="exec:/bin/my tool" rivet.service-limit=5 PIXIE_API_URL=http://10.0.2.2:4242\n',
  );
  expect([...values]).toEqual([
    ["service", "10.0.2.2:4443"],
    ["rotate", "1"],
    ["then", "exec:/bin/my tool"],
    ["service_limit", "5"],
  ]);
  expect(pixieApiUrl).toBe("http://10.0.2.2:4242");
  expect(remarks).toEqual([]);
});

test.each([
  ["rivet.servce=1", '"rivet.servce": unknown key'],
  ["rivet.", '"rivet.": unknown key'],
  ["rivet", '"rivet": unknown key'],
  ["RIVET.log=json", '"RIVET.log": unknown key'],
  ["rivet:log=json", '"rivet:log": unknown key'],
  ["rivet.\xff\x01=1", '"rivet.ÿ\\u0001": unknown key'],
  ["rivet.log=json rivet.log=text", "rivet.log: is given twice"],
  ["rivet.service-limit=1 rivet.service_limit=2", "rivet.service_limit: is given twice"],
  ["rivet.service", "rivet.service: needs a value: rivet.service=HOST:PORT"],
  ["rivet.service=10.0.0.1\x80:1", 'rivet.service: "10.0.0.1\\u0080:1" holds bytes that are not text'],
  ["PIXIE_API_URL=10.0.1.1:4242", 'PIXIE_API_URL: "10.0.1.1:4242" is not an http:// or https:// URL'],
  [
    "PIXIE_API_URL=http://10.0.1.1:x/certs",
    'PIXIE_API_URL: "http://10.0.1.1:x/certs" is not an http:// or https:// URL',
  ],
  ["PIXIE_API_URL=ftp://x", 'PIXIE_API_URL: "ftp://x" is not an http:// or https:// URL'],
])("refuses %j", (line, message) => {
  expect(() => read(line)).toThrow(ConfigError);
  expect(() => read(line)).toThrow(`kernel command line: ${message}`);
});

test("a secret is never quoted", () => {
  expect(() => read("rivet.token=s3cr\x80t")).toThrow(
    "kernel command line: rivet.token: [hidden] holds bytes that are not text",
  );
});

test("a name that merely begins alike is not ours", () => {
  expect(read("rivets=1 rivet2.x=1 metal.rivet=1").values.size).toBe(0);
});

test("garbage that is not ours is a remark, a last key at the limit of x86 an error", () => {
  expect(read("\xfe\xff quiet").remarks).toEqual(["kernel command line: holds bytes that are not text"]);
  const padding = "x".repeat(kernelCommandLineBytes - "rivet.log=json ".length);
  expect(read(`rivet.log=json ${padding}`).remarks[0]).toContain("2047 bytes");
  expect(() => read(`${padding} rivet.log=json`)).toThrow("may be cut off");
});

test("any bytes: keys or a ConfigError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, ours) => {
      const line = ours ? Buffer.concat([Buffer.from("rivet."), bytes]) : bytes;
      try {
        readKernelKeys(line);
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
        expect((error as Error).message).toMatch(/^[\x20-\x7e\u00a1-\u00ff]*$/);
      }
    }),
  );
});
