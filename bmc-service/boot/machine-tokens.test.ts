import { expect, test } from "vitest";
import type { CreateTokenRequest } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { FakeTokenMaker } from "./fixture/fake-token-maker.ts";
import { MachineTokens } from "./machine-tokens.ts";

const who = "52:54:00:12:34:56";
const machineUuid = "37c43c25-69fe-4f88-b69d-4e71dc4070d0";

function tokens() {
  const maker = new FakeTokenMaker();
  const clock = { ms: 0 };
  return { maker, clock, tokens: new MachineTokens({ maker, ttlSeconds: 900, now: () => clock.ms }) };
}

test("a machine that asks again gets the same token while the service keeps it", async () => {
  const { maker, clock, tokens: made } = tokens();
  const first = await made.forMachine({ who, machineUuid: undefined });
  clock.ms = 5_000;
  expect(await made.forMachine({ who, machineUuid: undefined })).toEqual({ ...first, isNew: false });
  maker.use(first.id);
  clock.ms = 10_000;
  const third = await made.forMachine({ who, machineUuid: undefined });
  expect(third).toMatchObject({ isNew: true });
  expect(third.text).not.toBe(first.text);
  expect(maker.asked.map(({ former }) => former)).toEqual([undefined, first.id, first.id]);
});

test("within seconds the service is not asked again", async () => {
  const { maker, clock, tokens: made } = tokens();
  const first = await made.forMachine({ who, machineUuid: undefined });
  clock.ms = 4_999;
  expect(await made.forMachine({ who, machineUuid: undefined })).toEqual({ ...first, isNew: false });
  expect(maker.asked).toHaveLength(1);
});

test("two questions at once make one token", async () => {
  const { tokens: made } = tokens();
  const both = await Promise.all([1, 2].map(() => made.forMachine({ who, machineUuid: undefined })));
  expect(new Set(both.map(({ text }) => text)).size).toBe(1);
});

test("a token is made for one enrolment, for the machine that tells who it is", async () => {
  const { maker, tokens: made } = tokens();
  await made.forMachine({ who, machineUuid });
  expect(maker.asked).toMatchObject([{ machineUuid, ttlSeconds: 900, uses: 1, purpose: who }]);
});

test("a UUID that many machines share binds no token: the agent goes by another one", async () => {
  const { maker, tokens: made } = tokens();
  await made.forMachine({ who, machineUuid: "03000200-0400-0500-0006-000700080009" });
  expect(maker.asked).toMatchObject([{ machineUuid: "" }]);
});

test("another UUID behind the same MAC address is another machine", async () => {
  const { tokens: made } = tokens();
  const first = await made.forMachine({ who, machineUuid });
  expect((await made.forMachine({ who, machineUuid: machineUuid.replace("3", "4") })).text).not.toBe(first.text);
});

test("who asks without telling a MAC address never gets another one's token", async () => {
  const { maker, tokens: made } = tokens();
  const both = [
    await made.another({ who, machineUuid: undefined }),
    await made.another({ who, machineUuid: undefined }),
  ];
  expect(new Set(both.map(({ text }) => text)).size).toBe(2);
  expect(maker.asked.map(({ former }) => former)).toEqual([undefined, undefined]);
});

test("a failure is told, and the next question tries anew", async () => {
  const { maker, tokens: made } = tokens();
  maker.problem = "BMC service 10.0.0.1:4443: no connection";
  await expect(made.forMachine({ who, machineUuid: undefined })).rejects.toMatchObject({ code: "no-token" });
  maker.problem = undefined;
  expect(await made.forMachine({ who, machineUuid: undefined })).toMatchObject({ isNew: true });
});

test("an answer without a token is a failure", async () => {
  const empty = { create: async (_request: CreateTokenRequest) => ({ text: Buffer.alloc(0), token: undefined }) };
  const made = new MachineTokens({ maker: empty, ttlSeconds: 900 });
  await expect(made.forMachine({ who, machineUuid: undefined })).rejects.toMatchObject({ code: "no-token" });
});
