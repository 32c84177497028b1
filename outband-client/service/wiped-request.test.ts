import { afterEach, expect, test, vi } from "vitest";
import { EnrolmentServiceService } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { connectEnrolment } from "./enrolment.ts";
import { makeAuthority } from "./fixture/pki.ts";
import { serve } from "./fixture/server.ts";

const forever = new AbortController().signal;
const password = Buffer.from("Xy7!canaryPwd-0k");

afterEach(() => vi.restoreAllMocks());

/** Every buffer that is made while `work` runs, as long as the spies can see. */
async function buffersMadeBy(work: () => Promise<unknown>): Promise<readonly Uint8Array[]> {
  const made: Uint8Array[] = [];
  const { allocUnsafe } = Buffer;
  vi.spyOn(Buffer, "allocUnsafe").mockImplementation((size) => {
    const buffer = allocUnsafe(size);
    made.push(buffer);
    return buffer;
  });
  const { slice } = Uint8Array.prototype;
  vi.spyOn(Uint8Array.prototype, "slice").mockImplementation(function (this: Uint8Array, ...range) {
    const copy = slice.apply(this, range);
    made.push(this, copy);
    return copy;
  });
  await work();
  vi.restoreAllMocks();
  return made;
}

const holding = (buffers: readonly Uint8Array[]): number =>
  buffers.filter((each) => Buffer.from(each.buffer, each.byteOffset, each.length).includes(password)).length;

test.each(["answered", "refused"])(
  "a password is sent, and wiped from every copy when the call was %s",
  async (how) => {
    const authority = await makeAuthority();
    let received = "";
    const escrowAccount = (
      call: { request: { password: Uint8Array } },
      answer: (error: object | null, response?: object) => void,
    ) => {
      received = Buffer.from(call.request.password).toString();
      if (how === "answered") answer(null, { accountId: "1" });
      else answer({ code: 9, details: "no" });
    };
    await using server = await serve(
      EnrolmentServiceService,
      { escrowAccount },
      authority.ca,
      await authority.server(["127.0.0.1"]),
    );
    const address = `127.0.0.1:${server.port}`;
    await using client = connectEnrolment({ address, ca: authority.ca, ...(await authority.client("agent")) });
    const request = { sessionToken: "s".repeat(40), mac: "52:54:00:b1:00:01", userName: "rivet", password, slot: 3 };

    const made = await buffersMadeBy(() => client.escrowAccount(request, forever).catch(() => undefined));
    expect(received).toBe(password.toString());
    expect(made.length).toBeGreaterThan(2);
    expect(holding(made)).toBe(0);
  },
);
