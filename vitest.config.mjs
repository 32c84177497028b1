import { defineConfig } from "vitest/config";

/**
 * Three projects. "fast" needs no root, no network beyond loopback and no foreign program. "peers" starts foreign programs
 * (ipmi_sim, ipmitool, pyghmi) and "vm" virtual machines; these two are run by `npm test` only.
 */
const fast = ["{ipmi,inband,outband-client,agent,bmc-service,proto,image,test}/**/*.test.ts"];
const lab = ["**/*.peer.test.ts", "**/*.vm.test.ts"];
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
          exclude: [...never, ...lab],
          testTimeout: 10_000,
          // Loading the same modules anew for each file took more processor time than the tests.
          isolate: false,
        },
      },
      {
        test: {
          name: "peers",
          include: ["**/*.peer.test.ts"],
          exclude: never,
          testTimeout: 60_000,
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
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
