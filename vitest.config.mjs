import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/**
 * Four projects. "fast" needs no root, no network beyond loopback and no foreign program, and neither does "long", whose files take
 * longer (processes, attacks, waits). "peers" starts foreign programs (ipmi_sim, ipmitool, pyghmi) and "vm" virtual
 * machines. All but "fast" are run by `npm test` only.
 */
const fast = ["{ipmi,inband,outband-client,agent,bmc-service,proto,image,test}/**/*.test.ts"];
const others = ["**/*.long.test.ts", "**/*.peer.test.ts", "**/*.vm.test.ts"];
// A busy or paused machine may take longer than the second that is vitest's own limit.
const patient = { poll: { timeout: 8_000 } };
const never = ["**/node_modules/**", "dist/**"];

export default defineConfig({
  test: {
    // One core less, the default, is half of two.
    maxWorkers: "100%",
    projects: [
      {
        test: {
          name: "fast",
          include: fast,
          exclude: [...never, ...others],
          testTimeout: 20_000,
          expect: patient,
          // Loading the same modules anew for each file took more processor time than the tests.
          isolate: false,
        },
      },
      {
        test: {
          name: "long",
          include: ["**/*.long.test.ts"],
          exclude: never,
          testTimeout: 30_000,
          expect: patient,
          hookTimeout: 30_000,
          isolate: false,
        },
      },
      {
        test: {
          name: "peers",
          include: ["**/*.peer.test.ts"],
          exclude: never,
          testTimeout: 60_000,
          expect: patient,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "vm",
          include: ["**/*.vm.test.ts"],
          exclude: never,
          testTimeout: 300_000,
          expect: patient,
          hookTimeout: 300_000,
          // An emulated machine takes one core, and most of them wait for each other's services half of the time.
          maxWorkers: Math.min(2, availableParallelism()),
          // What they boot is built before, and not by two of them at once.
          globalSetup: "test/vm/build.ts",
        },
      },
    ],
  },
});
