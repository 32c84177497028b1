import { describe, expect, test } from "vitest";
import { allCommands, getUserAccess, setUserName, setUserPassword } from "../../ipmi/commands/index.ts";
import type { Message } from "../../ipmi/transport.ts";
import { describeCode, describeCommand } from "./describe-command.ts";

const message = ({ netFn, cmd }: { netFn: number; cmd: number }, data: Uint8Array = new Uint8Array()): Message => ({
  ...{ netFn, lun: 0, cmd },
  data,
});

describe("a command in words", () => {
  test("user and name", () => {
    const data = setUserName.encodeRequest({ userId: 3, userName: "rivet" });
    expect(describeCommand(message(setUserName, data))).toEqual({ name: "Set User Name", detail: 'user 3, "rivet"' });
  });

  test("user and channel, by the names that most commands give them", () => {
    const data = getUserAccess.encodeRequest({ channelNumber: 2, userId: 5 });
    expect(describeCommand(message(getUserAccess, data)).detail).toBe("user 5, channel 2");
  });

  test("a password is not in it, nor what is left of one in bytes that do not fit", () => {
    const words = "Canary-Passw0rd!";
    const whole = Uint8Array.of(0x03, 0x02, ...Buffer.from(words));
    for (const data of [whole, whole.subarray(0, 10), Uint8Array.of(...whole, 1, 2)]) {
      const said = JSON.stringify(describeCommand(message(setUserPassword, data)));
      expect(said).not.toContain("Canary");
      expect(said).toContain("Set User Password");
    }
    expect(describeCommand(message(setUserPassword, whole)).detail).toBe("user 3, set, 16 bytes");
  });

  test("every command of the project has its name, whatever its data", () => {
    for (const command of allCommands) {
      expect(describeCommand(message(command)).name).toBe(command.name);
      expect(describeCommand(message(command, new Uint8Array(60))).name).toBe(command.name);
    }
  });

  test("others are told by number", () => {
    expect(describeCommand(message({ netFn: 0x2e, cmd: 0x0a }))).toEqual({
      name: "NetFn 2Eh command 0Ah",
      detail: "",
    });
  });
});

test("completion codes, those of one command included", () => {
  expect(describeCode(message(setUserPassword), 0)).toEqual({ code: "00h", meaning: "" });
  expect(describeCode(message(setUserPassword), 0x80).meaning).toContain("password does not match");
  expect(describeCode(message(setUserName), 0xcc)).toEqual({
    code: "CCh",
    meaning: "invalid data field in the request",
  });
});
