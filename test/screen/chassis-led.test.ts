import { expect, test } from "vitest";
import { ChassisLed } from "../../agent/screen/chassis-led.ts";
import { chassisIdentify } from "../../ipmi/commands/chassis-identify.ts";
import { spec } from "../simulator/profiles.ts";
import { createBmc } from "../simulator/simulated-bmc.ts";
import { type Fault, SimulatedTransport } from "../simulator/simulated-transport.ts";
import { virtualClock } from "../simulator/virtual-clock.ts";

const identify: Fault["on"] = ({ netFn, cmd }) => netFn === chassisIdentify.netFn && cmd === chassisIdentify.cmd;

function light(faults: readonly Fault[] = []) {
  const clock = virtualClock();
  const bmc = createBmc(spec);
  const transport = new SimulatedTransport(bmc, faults, clock);
  const led = new ChassisLed(async () => transport, clock);
  return { clock, bmc, led, transport, state: () => bmc.chassis.identify(clock.now()) };
}

test("blinks: a second of light every two seconds", async () => {
  const { clock, led, state } = light();
  led.show("blinking");
  const seen: string[] = [];
  for (let half = 0; half < 8; half++) {
    await clock.sleep(500);
    seen.push(state());
  }
  expect(seen.filter((each) => each === "timedOn").length).toBeGreaterThanOrEqual(2);
  expect(seen.filter((each) => each === "off").length).toBeGreaterThanOrEqual(2);
  await led.restore();
  expect(state()).toBe("off");
});

test("steady when linked, off when not, and as it was found at the end", async () => {
  const { clock, bmc, led, state, transport } = light();
  bmc.chassis.identifyUntilMs = "always";
  led.show("blinking");
  await clock.sleep(100);
  led.show("steady");
  await clock.sleep(10_000);
  expect(state()).toBe("indefiniteOn");
  led.show("off");
  await clock.sleep(100);
  expect(state()).toBe("off");
  await led.restore();
  expect(state()).toBe("indefiniteOn");
  expect(transport.closed).toBe(true);
});

test("a BMC without such a light is asked once, and nothing is told", async () => {
  const { clock, bmc, led } = light([{ on: identify, effect: { answer: 0xc1 } }]);
  led.show("blinking");
  await clock.sleep(20_000);
  const asked = bmc.log.length;
  await clock.sleep(20_000);
  expect(bmc.log.length).toBe(asked);
  await led.restore();
});

test("a BMC that knows no light for ever gets the longest one, again and again", async () => {
  const { clock, led, state } = light([
    { on: (message) => identify(message, 0) && message.data.length === 2, effect: { answer: 0xc7 } },
  ]);
  led.show("steady");
  for (let minutes = 0; minutes < 20; minutes++) {
    await clock.sleep(60_000);
    expect(state()).toBe("timedOn");
  }
  await led.restore();
  expect(state()).toBe("off");
});

test("a way to the BMC that is not there yet is tried again", async () => {
  const { clock, bmc, transport } = light();
  let tries = 0;
  const open = async () => {
    tries += 1;
    if (tries < 4) throw new Error("no /dev/ipmi0");
    return transport;
  };
  const led = new ChassisLed(open, clock);
  led.show("blinking");
  await clock.sleep(9_000);
  expect(bmc.chassis.identifyUntilMs).toBeGreaterThan(0);
  await led.restore();
});
