import fc from "fast-check";
import { expect, test } from "vitest";
import { parseKernelCommandLine } from "./kernel-words.ts";

test("splits as the kernel does", () => {
  expect(parseKernelCommandLine('quiet a="b c"  "d=e f"\tg="x"y h= "i j" k=l=m -- n=1\n')).toEqual([
    { name: "quiet", value: undefined },
    { name: "a", value: "b c" },
    { name: "d", value: "e f" },
    { name: "g", value: 'x"y' },
    { name: "h", value: "" },
    { name: "i j", value: undefined },
    { name: "k", value: "l=m" },
  ]);
});

test("what is quoted comes out as it went in", () => {
  const word = fc.string({ unit: fc.constantFrom(..."abz09._-/: ="), maxLength: 12 });
  const name = fc.string({ unit: fc.constantFrom(..."abc_."), minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(fc.array(fc.tuple(name, word, fc.boolean())), (pairs) => {
      const line = pairs.map(([n, v, whole]) => (whole ? `"${n}=${v}"` : `${n}="${v}"`)).join("  ");
      expect(parseKernelCommandLine(line)).toEqual(pairs.map(([n, value]) => ({ name: n, value })));
    }),
  );
});
