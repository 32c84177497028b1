import type { ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { UpdateBmcRequest, UpdateBmcResponse } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import {
  BeginRequest,
  EnrolmentServiceService,
  EscrowAccountRequest,
} from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { SampledRefusals } from "../audit/sampled-refusals.ts";
import { newLog } from "../log.ts";
import { Metrics } from "../metrics.ts";
import { SampledLog } from "../sampled-log.ts";
import { requireGivenAccount } from "./given-account.ts";
import { type CallContext, Guard } from "./guarded.ts";
import { bmcRules } from "./rules.ts";
import { wipeSecrets, withWipedBytes } from "./wiped-requests.ts";

const secret = "Pw-canary-9X";
const isWiped = (bytes: Uint8Array | undefined) =>
  bytes !== undefined && bytes.length > 0 && bytes.every((each) => each === 0);

test("the bytes of a request are wiped when they are read, and the message is whole", () => {
  const { escrowAccount } = withWipedBytes(EnrolmentServiceService);
  const asked = EscrowAccountRequest.fromPartial({ mac: "m", userName: "u", password: Buffer.from(secret) });
  const bytes = Buffer.from(EscrowAccountRequest.encode(asked).finish());
  expect(escrowAccount.requestDeserialize(bytes)).toEqual(asked);
  expect(isWiped(bytes)).toBe(true);
  const broken = Buffer.from("0affff", "hex");
  expect(() => escrowAccount.requestDeserialize(broken)).toThrow();
  expect(isWiped(broken)).toBe(true);
});

test("every field that holds a secret is found", () => {
  const password = Buffer.from(secret);
  const request = {
    begin: BeginRequest.fromPartial({ enrolmentToken: Buffer.from(secret), certificateRequest: Buffer.from("csr") }),
    update: UpdateBmcRequest.fromPartial({ account: { userName: "u", password } }),
  };
  wipeSecrets(request);
  expect(isWiped(password) && isWiped(request.begin.enrolmentToken)).toBe(true);
  expect(request.begin.certificateRequest.toString()).toBe("csr");
});

test.each([
  ["by its role", "viewer"],
  ["by what it says", "operator"],
])("a password is wiped when its call was refused %s", async (_why, role) => {
  const log = newLog("silent");
  const audit = { appendAudit: async (entry: object) => ({ ...entry, number: 1, hash: new Uint8Array(32) }) as never };
  const guard = new Guard({
    service: "BmcService",
    rules: bmcRules,
    agents: { issuer: undefined, shared: [] },
    audit,
    refusals: new SampledRefusals(audit, () => undefined),
    log,
    sampled: new SampledLog(log),
    metrics: new Metrics(),
    stopping: new AbortController().signal,
  });
  const password = Buffer.from(`${secret}\n`);
  const request = UpdateBmcRequest.fromPartial({ mac: "x", account: { userName: "ADMIN", password } });
  const certificate = { subject: { OU: role, CN: role }, issuer: {}, fingerprint256: "00" };
  const call = {
    request,
    getPeer: () => "127.0.0.1:1",
    getAuthContext: () => ({ sslPeerCertificate: certificate }),
    on: () => undefined,
  } as unknown as ServerUnaryCall<UpdateBmcRequest, UpdateBmcResponse>;
  const { promise, resolve } = Promise.withResolvers<Parameters<sendUnaryData<UpdateBmcResponse>>[0]>();
  const handle = async ({ account }: UpdateBmcRequest, _context: CallContext) => {
    if (account !== undefined) requireGivenAccount(account);
    return UpdateBmcResponse.fromPartial({});
  };
  guard.unary("UpdateBmc", handle)(call, (error) => resolve(error));
  expect(await promise).toMatchObject({ details: expect.stringMatching(/needs role|not printable ASCII/) });
  expect(isWiped(password)).toBe(true);
});
