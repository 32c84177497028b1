import { expect, test } from "vitest";
import { EventLog } from "./event-log.ts";

const never = new AbortController().signal;

async function all(log: EventLog<string>): Promise<string[]> {
  const events: string[] = [];
  for await (const event of log.follow(never)) events.push(event);
  return events;
}

test("who comes late gets all events, but of those that pass only the one that holds", async () => {
  const log = new EventLog<string>();
  for (let ahead = 1_000; ahead > 0; ahead -= 1) log.pass(`${ahead} ahead`);
  const reader = log.follow(never);
  expect(await reader.next()).toEqual({ done: false, value: "1 ahead" });
  log.append("connecting");
  log.append("logged in");
  log.end();
  expect((await reader.next()).value).toBe("connecting");
  expect((await reader.next()).value).toBe("logged in");
  expect((await reader.next()).done).toBe(true);
  expect(await all(log)).toEqual(["connecting", "logged in"]);
});

test("who follows gets each event that passes while it looks, and no other one twice", async () => {
  const log = new EventLog<string>();
  const followed = all(log);
  for (const event of ["2 ahead", "1 ahead"]) {
    log.pass(event);
    await new Promise((resolve) => setImmediate(resolve));
  }
  log.append("connecting");
  log.end();
  expect(await followed).toEqual(["2 ahead", "1 ahead", "connecting"]);
});

test("an error comes after the events before it", async () => {
  const log = new EventLog<string>();
  log.append("connecting");
  log.end(new Error("stopping"));
  const reader = log.follow(never);
  expect((await reader.next()).value).toBe("connecting");
  await expect(reader.next()).rejects.toThrow("stopping");
});
