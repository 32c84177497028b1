import { expect, test } from "vitest";
import { BeginRequest, BeginResponse } from "../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { beginWithToken } from "./begin-with-token.ts";

const request = BeginRequest.fromPartial({ machine: { uuid: "5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1e01" } });

test("the token is sent, and wiped afterwards, also when the service refuses it", async () => {
  for (const fails of [false, true]) {
    const token = Buffer.from("rvt_0123456789abcdef");
    let sent = "";
    const begun = beginWithToken(request, token, false, async ({ enrolmentToken, certificateRequest }) => {
      sent = enrolmentToken.toString();
      expect(certificateRequest).toHaveLength(0);
      if (fails) throw new Error("refused");
      return BeginResponse.fromPartial({ sessionToken: "s" });
    });
    if (fails) await expect(begun).rejects.toThrow("refused");
    else expect(await begun).toMatchObject({ response: { sessionToken: "s" }, own: undefined });
    expect(sent).toBe("rvt_0123456789abcdef");
    expect(token.every((byte) => byte === 0)).toBe(true);
  }
});

test.each([Buffer.alloc(0), Buffer.from("no certificate")])(
  "a machine that got no certificate says so (%#)",
  async (certificate) => {
    const token = Buffer.from("rvt_0123456789abcdef");
    const begun = beginWithToken(request, token, true, async () => BeginResponse.fromPartial({ certificate }));
    await expect(begun).rejects.toMatchObject({ name: "ServiceError", status: "protocol" });
  },
);

test("a run that is tried again asks with the same key, which spends no second use of the token", async () => {
  const asked: string[] = [];
  const kept = {};
  for (let tries = 0; tries < 2; tries += 1) {
    const send = async ({ certificateRequest }: BeginRequest) => {
      asked.push(Buffer.from(certificateRequest).toString("hex"));
      return BeginResponse.fromPartial({});
    };
    await beginWithToken(request, Buffer.from("rvt_0123456789abcdef"), true, send, kept).catch(() => undefined);
  }
  expect(asked).toHaveLength(2);
  expect(asked[1]).toBe(asked[0]);
});
