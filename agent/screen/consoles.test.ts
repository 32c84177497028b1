import { expect, test } from "vitest";
import { readConsoles, wantsScreen, wantsTechnician } from "./consoles.ts";

const reader = (files: Readonly<Record<string, string>>) => (path: string) => {
  const text = files[path];
  if (text === undefined) throw new Error(`ENOENT ${path}`);
  return text;
};
const machine = (active: string) =>
  readConsoles(reader({ "/sys/class/tty/console/active": `${active}\n`, "/sys/class/tty/tty0/active": "tty1\n" }));
const auto = { screen: "auto", led: "auto", stick: false } as const;

test("the last console is the main one", () => {
  expect(machine("ttyS0 tty0")).toEqual({
    local: "/dev/tty1",
    mainIsLocal: true,
    others: [{ path: "/dev/ttyS0", isMain: false }],
  });
  expect(machine("tty0 ttyS1")).toMatchObject({ mainIsLocal: false, others: [{ path: "/dev/ttyS1", isMain: true }] });
  expect(readConsoles(reader({}))).toEqual({ local: undefined, mainIsLocal: false, others: [] });
});

test("the screen is for who carries a stick or looks at the local console", () => {
  expect(wantsScreen(auto, machine("ttyS0 tty0"))).toBe(true);
  expect(wantsScreen(auto, machine("tty0 ttyS0"))).toBe(false);
  expect(wantsScreen({ ...auto, stick: true }, machine("tty0 ttyS0"))).toBe(true);
  expect(wantsScreen({ ...auto, stick: true, screen: "0" }, machine("tty0"))).toBe(false);
  expect(wantsScreen({ ...auto, screen: "1" }, machine("ttyS0"))).toBe(true);
});

test("the light alone, only if it is asked for", () => {
  expect(wantsTechnician(auto, machine("ttyS0"))).toBe(false);
  expect(wantsTechnician({ ...auto, led: "1" }, machine("ttyS0"))).toBe(true);
});
