import { describe, expect, test } from "vitest";
import { nameBytes, type ScriptedAnswer, scriptedBmc } from "../scripted-bmc.fixture.ts";
import { retireAccount } from "./retire-account.ts";

const former = { slot: 4, userName: "rivetformer0001" };

/** A BMC with the former account in user ID 4, which does as it is told but for the changes. */
function withFormer(changes: (line: string, nth: number) => ScriptedAnswer | undefined = () => undefined) {
  let name = former.userName;
  let access = [16, 0x41, 1, 0x14];
  return scriptedBmc((command, data, nth) => {
    const line = `${command} ${Buffer.from(data).toString("hex")}`;
    const changed = changes(line, nth);
    if (changed !== undefined) return changed;
    if (command === "Get Device ID") return [0x20, 1, 9, 8, 2, 0x8f, 0, 0, 0, 0, 0];
    if (command === "Get User Name") return nameBytes(name);
    if (command === "Get User Access") return access;
    if (line.startsWith("Set User Password 0400")) access = access.with(1, 0x81);
    if (command === "Set User Access") access = access.with(3, data[2] ?? 0);
    if (command === "Set User Name") name = "";
    return [];
  });
}

const retired = ({ conversation }: ReturnType<typeof withFormer>) => retireAccount(conversation, 1, former);
const retire = async (bmc: ReturnType<typeof withFormer>) => (await retired(bmc)).text;
const writesOf = ({ log }: ReturnType<typeof withFormer>) => log.filter((line) => line.startsWith("Set "));

describe("retireAccount", () => {
  test("disables it, takes its rights, then its name; right before each write the name is read", async () => {
    const bmc = withFormer();
    expect(await retire(bmc)).toBe(
      'User ID 4, "rivetformer0001", a former account of ours: disabled, without rights, without a name.',
    );
    expect(writesOf(bmc)).toEqual([
      `Set User Password 0400${"00".repeat(16)}`,
      "Set User Access 81040f00",
      `Set User Name 04${"00".repeat(16)}`,
    ]);
    for (const write of writesOf(bmc)) expect(bmc.log[bmc.log.indexOf(write) - 1]).toBe("Get User Name 04");
  });

  test("what is so already is not written", async () => {
    const bmc = withFormer((line) => (line.startsWith("Get User Access") ? [16, 0x81, 1, 0x0f] : undefined));
    expect(await retire(bmc)).toMatch(/disabled, without rights, without a name/);
    expect(writesOf(bmc)).toHaveLength(1);
  });

  test.each([1, 2, 3, 4])("another name at look %d: nothing more is written there", async (look) => {
    const bmc = withFormer((line, nth) =>
      line === "Get User Name 04" && nth >= look ? nameBytes("ADMIN") : undefined,
    );
    const text = await retire(bmc);
    expect(writesOf(bmc)).toHaveLength(Math.max(0, look - 2));
    if (look <= 2) expect(text).toContain("is not there any more: that user ID was left alone");
  });

  test.each([
    [0x93, false],
    [0xc0, true],
  ])("a name that cannot be read (code %d): nothing is written, and it is not called gone", async (code, mayPass) => {
    const bmc = withFormer((line) => (line.startsWith("Get User Name") ? code : undefined));
    expect(await retired(bmc)).toEqual({
      text: expect.stringMatching(/its name could not be read \(.*\), so it was left alone and may still be open\.$/),
      mayPass,
      isThere: true,
    });
    expect(writesOf(bmc)).toEqual([]);
  });

  test("a slot that has another name, or none, is not called closed, although it is disabled and without rights", async () => {
    for (const name of ["ADMIN", ""]) {
      const bmc = withFormer((line) => {
        if (line.startsWith("Get User Access")) return [16, 0x81, 1, 0x0f];
        return line.startsWith("Get User Name") ? nameBytes(name) : undefined;
      });
      expect(await retired(bmc)).toMatchObject({ isThere: false, mayPass: false });
      expect(writesOf(bmc)).toEqual([]);
    }
  });

  test("tells whether another run may do what is left", async () => {
    const with45 = (code: number) => withFormer((line) => (line.startsWith("Set User Access") ? code : undefined));
    expect(await retired(with45(0xcc))).toMatchObject({ mayPass: false });
    expect(await retired(with45(0xc0))).toMatchObject({ mayPass: true });
    expect(await retired(withFormer())).toMatchObject({ mayPass: false });
  });

  test("what the BMC refuses is told, and the rest is done", async () => {
    const bmc = withFormer((line) => (line.startsWith("Set User Name") ? 0xcc : undefined));
    expect(await retire(bmc)).toMatch(/: disabled, without rights, not without a name \(completion code CCh/);
    const still = withFormer((line) => (line.startsWith("Set User Password") ? 0xd5 : undefined));
    expect(await retire(still)).toMatch(/: without rights, not disabled \(completion code D5h[^)]*\)\)?\.$/);
    expect(writesOf(still).some((line) => line.startsWith("Set User Name"))).toBe(false);
  });

  test("a write that is lost is sent again; one that is never kept is told", async () => {
    const lossy = withFormer((line, nth) => (line.startsWith("Set ") && nth === 1 ? [] : undefined));
    expect(await retire(lossy)).toMatch(/: disabled, without rights, without a name\.$/);
    expect(writesOf(lossy)).toHaveLength(6);
    const never = withFormer((line) => (line.startsWith("Set User Access") ? [] : undefined));
    expect(await retire(never)).toContain("not without rights (the BMC does not keep it)");
  });

  test("rights that stay: the name stays too, else a nameless slot with rights would be left", async () => {
    const never = withFormer((line) => (line.startsWith("Set User Access") ? 0xcc : undefined));
    expect(await retire(never)).toMatch(/: disabled, not without rights \(completion code CCh[^)]*\)\)?\.$/);
    expect(writesOf(never).some((line) => line.startsWith("Set User Name"))).toBe(false);
  });

  test("a BMC that does not tell whether a user is enabled: 00h is enough", async () => {
    let rights = 0x14;
    const bmc = withFormer((line) => {
      if (line.startsWith("Set User Access")) rights = 0x0f;
      return line.startsWith("Get User Access") ? [16, 0x01, 1, rights] : undefined;
    });
    expect(await retire(bmc)).toMatch(/: disabled, without rights, without a name\.$/);
    expect(writesOf(bmc)).toHaveLength(3);
  });

  test("rights that a BMC takes in three bytes only", async () => {
    const bmc = withFormer((line) => (line === "Set User Access 81040f00" ? 0xc7 : undefined));
    expect(await retire(bmc)).toMatch(/: disabled, without rights, without a name\.$/);
    expect(writesOf(bmc)).toContain("Set User Access 81040f");
  });
});
