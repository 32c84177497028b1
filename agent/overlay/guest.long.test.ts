import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const program = new URL("../main.ts", import.meta.url).pathname;
const canUnshare = process.platform === "linux" && process.getuid?.() === 0;
const why = canUnshare ? "" : " (skipped: needs root for namespaces)";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rivet-guest-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A script for bash in which `$inito` starts the agent from its sources, as u-root starts /inito. */
function script(keys: string, text: string): string {
  writeFileSync(join(folder, "cmdline"), `rivet.outcome=${join(folder, "run/outcome.json")} ${keys}\n`);
  const start = `exec -a /inito ${process.execPath} --disable-warning=ExperimentalWarning ${program} --cmdline ${join(folder, "cmdline")}`;
  return `inito() { (${start} "$@"); echo "exit code $?"; }\n${text}`;
}

const namespaces = ["--pid", "--fork", "--kill-child", "--mount", "--net"];
/** An address that counts needs a link: both ends of a wire. */
const networkSetUp = [
  "ip link set lo up",
  "ip link add veth9 type veth peer name other",
  "ip addr add 10.9.9.9/24 dev veth9",
  "ip link set veth9 up",
  "ip link set other up",
].join(";");
const withoutMounts = "umount -l /sys; umount -l /proc";
const ownSys = "mount -t sysfs sysfs /sys";
const outcome = () => JSON.parse(readFileSync(join(folder, "run/outcome.json"), "utf8"));

function play(keys: string, text: string) {
  return spawnSync("unshare", [...namespaces, "bash", "-c", script(keys, text)], { encoding: "utf8", timeout: 50_000 });
}

describe.runIf(canUnshare)(`as /inito in namespaces of its own${why}`, () => {
  test("without network it ends within its limits, and the interface and the file systems are as they were", () => {
    const { stdout, stderr } = play(
      "rivet.network_limit=1 rivet.service=10.0.0.1:9 rivet.insecure_plaintext=0 rivet.then=poweroff rivet.tries=5",
      `${ownSys}; inito; echo "lo $(cat /sys/class/net/lo/flags)"; ls /proc/self/status`,
    );
    expect(stdout + stderr).toContain("exit code 69");
    expect(stdout).toContain("lo 0x8\n"); // IFF_LOOPBACK without IFF_UP
    expect(stdout).toContain("/proc/self/status");
    expect(stdout.match(/run ended/g)).toHaveLength(1);
    expect(outcome()).toMatchObject({ outcome: "error", exit_code: 69, bmc: null, ended: expect.any(String) });
  }, 60_000);

  test("/proc and /sys are mounted for it, and gone afterwards", () => {
    const { stdout, stderr } = play(
      "rivet.network_limit=1 rivet.service=10.0.0.1:9",
      `${withoutMounts}; inito; echo /proc/* /sys/*`,
    );
    expect(stdout + stderr).toMatch(/metal-rivet \S+ on \d/);
    expect(stdout.trim().split("\n").at(-1)).toBe("/proc/* /sys/*");
  }, 60_000);

  test("asked for its version or its help it says that alone", () => {
    const version = play("", `${withoutMounts}; inito --version; echo /proc/* /sys/*`).stdout;
    expect(version).toMatch(/^\d+\.\d+\.\d+\S*\nexit code 0\n\/proc\/\* \/sys\/\*\n$/);
    const help = play("", `${withoutMounts}; inito --help; echo /proc/* /sys/*`).stdout;
    expect(help).toMatch(/^Usage: /);
    expect(help.trim().split("\n").at(-1)).toBe("/proc/* /sys/*");
  }, 60_000);

  test.each(["--nonsense", "--tries never"])(
    "arguments that are wrong (%s) leave nothing mounted",
    (args) => {
      const { stdout, stderr } = play(
        "rivet.service=10.0.0.1:9",
        `${withoutMounts}; inito ${args}; echo /proc/* /sys/*`,
      );
      expect(stdout + stderr).toMatch(/exit code (64|78)/);
      expect(stdout.trim().split("\n").at(-1)).toBe("/proc/* /sys/*");
    },
    60_000,
  );

  test("a network that somebody set up is used, and stays", () => {
    const { stdout, stderr } = play(
      "rivet.limit=10 rivet.service_limit=1 rivet.service=10.9.9.1:9 rivet.insecure_plaintext=0",
      `${networkSetUp}; ${ownSys}; inito; ip -4 -o addr show veth9`,
    );
    expect(stdout + stderr).toContain("the network is up: it is left as it is");
    expect(stdout).toContain("inet 10.9.9.9/24");
  }, 60_000);

  test("the name servers that the kernel was told are asked while it runs", () => {
    // a copy of /proc whose net has what Debian's kernel does not: /proc/net/pnp
    const kernelTold = [
      `mkdir ${join(folder, "proc")}; mount --rbind /proc ${join(folder, "proc")}; mount -t tmpfs tmpfs /proc`,
      `ln -s ${join(folder, "proc")}/* /proc/; rm /proc/net; mkdir /proc/net; ln -s ${join(folder, "proc/self/net/route")} /proc/net/`,
      "printf '#PROTO: DHCP\\nnameserver 10.9.9.1\\n' > /proc/net/pnp",
      `echo nameserver 8.8.8.8 > ${join(folder, "resolv")}; mount --bind ${join(folder, "resolv")} /etc/resolv.conf`,
    ].join("; ");
    const { stdout, stderr } = play(
      "rivet.limit=10 rivet.service_limit=1 rivet.service=10.9.9.1:9 rivet.insecure_plaintext=0",
      `${networkSetUp}; ${ownSys}; ${kernelTold}; inito; cat /etc/resolv.conf`,
    );
    expect(stdout + stderr).toContain("names: the kernel was told to ask 10.9.9.1\n");
    expect(stdout.trim().split("\n").at(-1)).toBe("nameserver 8.8.8.8");
  }, 60_000);

  test("where nothing names a service or a document it ends before it looks for a network, and says so", () => {
    const { stdout } = play("rivet.log=text", `${ownSys}; inito`);
    expect(stdout).toMatch(/^configuration: service: is not set /m);
    expect(stdout).toContain("exit code 78\n");
    expect(stdout).not.toContain("network");
    expect(outcome()).toMatchObject({
      outcome: "error",
      exit_code: 78,
      text: expect.stringContaining("rivet.service="),
    });
  }, 60_000);

  test("what hangs and cannot be told to end is left behind at the limit", () => {
    const { stdout, stderr } = play(
      `rivet.limit=10 rivet.network_limit=1 rivet.config=${join(folder, "nobody-writes")}`,
      // a network that is up: else that would be told
      `mkfifo ${join(folder, "nobody-writes")}; ${networkSetUp}; ${ownSys}; inito`,
    );
    expect(stdout + stderr).toContain("the run took longer than its limit of 10 s");
    expect(stdout).toContain("exit code 75");
    expect(stdout).not.toContain("did not end within its limit");
    expect(outcome()).toMatchObject({ outcome: "error", exit_code: 75 });
  }, 60_000);

  test("a configuration that is wrong is told to the next program at the standard place, which is made", () => {
    const { stdout } = play(
      "rivet.tries=never rivet.service=10.0.0.1:9",
      "mount -t tmpfs tmpfs /run; inito; cat /run/metal-rivet/outcome.json; stat -c %a /run/metal-rivet/outcome.json",
    );
    expect(stdout).toContain("exit code 78");
    expect(stdout).toContain('"exit_code": 78');
    expect(stdout.trim().split("\n").at(-1)).toBe("600");
  }, 60_000);
});

describe("as a program of any init", () => {
  /** It takes connections and says nothing. */
  async function silentServer() {
    const server = createServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { server, port: (server.address() as AddressInfo).port };
  }

  test("the outcome says that a run is under way; SIGTERM ends it in order, and the outcome says so", async () => {
    writeFileSync(join(folder, "empty"), "");
    const { server, port } = await silentServer();
    const args = ["run", "--cmdline", join(folder, "empty"), "--config", `http://127.0.0.1:${port}/site.yaml`];
    const file = join(folder, "run/outcome.json");
    const child = spawn(process.execPath, [program, ...args, "--outcome", file], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    child.stdout.on("data", (bytes: Buffer) => {
      said += bytes;
    });
    const ended = new Promise((resolve) => child.once("close", resolve));
    await new Promise((resolve) => server.once("connection", resolve));
    expect(outcome()).toMatchObject({ outcome: "unfinished", exit_code: 75, ended: null, bmc: null });
    child.kill("SIGTERM");
    expect(await ended).toBe(75);
    server.close();
    expect(said).toContain("ended early by SIGTERM");
    expect(outcome()).toMatchObject({ outcome: "error", exit_code: 75, text: expect.stringContaining("SIGTERM") });
  }, 60_000);
});
