import { expect, test } from "vitest";
import type { EnrolmentClient } from "../../agent/world.ts";
import { knownProfile } from "../simulator/known-profile.ts";
import type { Fault } from "../simulator/simulated-transport.ts";
import { type WatchedOptions, WatchedSite } from "./watched-site.ts";

/*
 * Enrolments that go well and enrolments that go wrong: whatever is said or stored, no password and no session token is in
 * it. What is looked at: console, notes and errors of the agent, log, metrics, rows, history and audit log of the service,
 * details of every gRPC refusal, database with write-ahead log, a backup, and the database that is restored from it.
 */

const setPassword = 0x47;
const operation = (wanted: number): Fault["on"] => {
  return ({ netFn, cmd, data }) => netFn === 6 && cmd === setPassword && data[1] === wanted;
};
const writing = operation(2);
const testing = operation(3);
const userWrites: Fault["on"] = ({ netFn, cmd }) => netFn === 6 && [0x43, 0x45, setPassword].includes(cmd);

interface Case extends WatchedOptions {
  readonly faults?: readonly Fault[];
  /** The same machine boots once more, with a new account. */
  readonly rotate?: true;
  /** The kind of its outcome, or a part of the error. */
  readonly ends: string | RegExp;
}

const cases: Readonly<Record<string, Case>> = {
  "all is well": { ends: "linked" },
  "a rotation": { rotate: true, ends: "linked" },
  "the BMC refuses every password": {
    faults: [{ on: writing, effect: { answer: 0xcc } }],
    ends: /refuses every password/,
  },
  "the BMC refuses the password that was tested": {
    faults: [{ on: testing, effect: { answerAfterwards: 0x80 } }],
    ends: /password/,
  },
  "the BMC refuses the size of passwords": {
    faults: [{ on: writing, effect: { answer: 0xc7 } }],
    ends: /refuses every password/,
  },
  "the BMC does not answer to a password": { faults: [{ on: writing, effect: "lost" }], ends: /no answer/ },
  "the answer to a password is lost": { faults: [{ on: writing, effect: "reply lost", times: 1 }], ends: "linked" },
  "the BMC fails at every write": {
    faults: [{ on: userWrites, effect: { answerAfterwards: 0xff } }],
    ends: /FFh/,
  },
  "the BMC is locked in-band": { faults: [{ on: writing, effect: { answer: 0xd4 } }], ends: "locked" },
  "the account does not let in from remote": { profile: knownProfile("weak-login"), ends: "failed" },
  "the BMC has forgotten the password by then": {
    client: (inner, { machine }) => ({
      ...inner,
      confirmAccount: async (request, signal) => {
        const confirmed = await inner.confirmAccount(request, signal);
        machine.bmc.user(request.slot).password?.fill(0x41);
        return confirmed;
      },
    }),
    ends: "failed",
  },
  "the service refuses the escrow": {
    client: (inner) => ({
      ...inner,
      escrowAccount: (request, signal) => inner.escrowAccount({ ...request, userName: "root" }, signal),
    }),
    ends: /policy wants names that begin with/,
  },
  "the service cannot read the escrow": {
    client: (inner) => ({
      ...inner,
      escrowAccount: (request, signal) =>
        inner.escrowAccount({ ...request, password: Buffer.concat([request.password, Buffer.alloc(9, 7)]) }, signal),
    }),
    ends: /password/,
  },
  "the service refuses the confirmation": {
    client: (inner) => ({
      ...inner,
      confirmAccount: (request, signal) => inner.confirmAccount({ ...request, accountId: "nobody's" }, signal),
    }),
    ends: /account/,
  },
  "the session is over in the middle": {
    client: (inner) => ({
      ...inner,
      escrowAccount: (request, signal) =>
        inner.escrowAccount({ ...request, sessionToken: `${request.sessionToken}x` }, signal),
    }),
    ends: /session_token: unknown or expired/,
  },
  "the service goes away before the escrow is answered": {
    client: (inner, { service }) => ({
      ...inner,
      escrowAccount: async (request, signal) => {
        await inner.escrowAccount({ ...request, password: Buffer.from(request.password) }, signal);
        await service.running.stop();
        return await inner.escrowAccount(request, signal);
      },
    }),
    ends: /connection|refused|reach/i,
  },
};

test.each(Object.entries(cases))("%s", async (_what, { faults, rotate, ends, ...options }) => {
  await using site = await WatchedSite.open(options);
  let ended = await site.boot({ ...(faults && { faults }) });
  if (rotate) ended = await site.boot({ rotate });
  if (ended instanceof Error) expect(ended.message).toMatch(ends);
  else expect(ended.kind).toBe(ends);
  expect(await site.finds()).toEqual([]);
});

test("a leak is found: the reason that the agent gives holds a password", async () => {
  const client = (inner: EnrolmentClient): EnrolmentClient => {
    let password = "";
    return {
      ...inner,
      escrowAccount: (request, signal) => {
        password = request.password.toString("latin1");
        return inner.escrowAccount(request, signal);
      },
      confirmAccount: async () => {
        throw new Error(`the BMC does not take ${password}`);
      },
    };
  };
  await using site = await WatchedSite.open({ client });
  await site.boot();
  const places = (await site.finds()).map((find) => find.replace(/^\d+ /, ""));
  expect(places).toEqual(
    expect.arrayContaining([
      "what the run ended with: plain",
      "the console, text: plain",
      "the console, json: plain",
      "rows: plain",
      "history: plain",
      "backup.db: plain",
      "restored/bmc-service.db: plain",
      expect.stringMatching(/^data\/bmc-service\.db(-wal)?: plain$/),
    ]),
  );
});
