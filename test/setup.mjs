/**
 * Sets up what a script of package.json needs, then becomes that script:
 *
 *   node test/setup.mjs [--for fast|build|image|lab|bench|test] [-- COMMAND ARGUMENTS...]
 *
 * Runs on the machine's own Node (20 or newer) in a bare clone, so it may use nothing but Node itself.
 * Silent when nothing is missing.
 */

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "..");
const modules = join(root, "node_modules");
const stamp = join(modules, ".metal-rivet-lock");

const exit = { usage: 64, unavailable: 69, configuration: 78 };
const minute = 60_000;
const limits = { npm: 10 * minute, aptUpdate: 5 * minute, aptInstall: 15 * minute, query: minute };

/** Debian packages by purpose. What a purpose needs includes what it is built from. */
// The pinned Node is linked against libatomic, which Debian's minimal system lacks.
const fast = ["libatomic1"];
const build = [...fast, "binutils"];
const boot = ["patchelf", "mtools", "dosfstools", "systemd-boot-efi", "grub-common", "grub-pc-bin", "sbsigntool"];
const image = [...build, ...boot, "apt", "dpkg", "kmod", "libc-bin", "xz-utils"];
const lab = [...image, "qemu-system-x86", "seabios", "ipxe-qemu", "ovmf", "openipmi", "ipmitool"];
// Foreign ramdisks that the agent is put into.
const ramdisks = ["busybox-static", "initramfs-tools-core", "dracut-core", "systemd", "lz4"];
// DHCP servers, boot loaders by TFTP, routers and proxies, and what wires them.
const network = ["dnsmasq-base", "ipxe", "radvd", "tinyproxy-bin", "iproute2", "procps"];
// Builds for machines of arm64, and boots them.
const arm64 = ["binutils-aarch64-linux-gnu", "qemu-system-arm", "qemu-efi-aarch64"];
const peers = [...lab, "freeipmi-tools", "python3-pyghmi", "strace", "cpio", "zstd", ...network, ...ramdisks, ...arm64];
const packages = { fast, build, image, lab, bench: peers, test: peers };

function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

function stop(code, text) {
  say(text);
  process.exit(code);
}

function readArguments() {
  const words = process.argv.slice(2);
  const end = words.indexOf("--");
  const [options, command] = end < 0 ? [words, []] : [words.slice(0, end), words.slice(end + 1)];
  if (options.length === 0) return { purpose: "test", command };
  const [name, purpose] = options;
  if (name !== "--for" || options.length !== 2 || !Object.hasOwn(packages, purpose)) {
    stop(exit.usage, `expected --for ${Object.keys(packages).join("|")} [-- COMMAND...], got: ${options.join(" ")}`);
  }
  return { purpose, command };
}

function checkMachine() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < 20) {
    stop(
      exit.configuration,
      `this is Node ${process.versions.node}; Node 20 or newer is needed to start (the project brings its own Node 26)`,
    );
  }
  if (process.platform !== "linux" || process.arch !== "x64") {
    stop(exit.configuration, `this is ${process.platform} on ${process.arch}; only Linux on x64 is supported`);
  }
}

/** Runs to its end with the output shown; a failure ends the set-up with a sentence that says what was being done. */
function run(what, command, args, timeout, options = {}) {
  const done = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2], timeout, ...options });
  if (done.status === 0) return;
  const why =
    done.error?.code === "ETIMEDOUT"
      ? `not done after ${timeout / minute} minutes`
      : (done.error?.message ?? (done.signal ? `ended by ${done.signal}` : `exit code ${done.status}`));
  stop(exit.unavailable, `${what} failed: ${why}\n  command: ${[command, ...args].join(" ")}`);
}

/** The stamp holds the hash of the lock file that node_modules was installed from. */
function installModules() {
  const lock = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  const node = join(modules, ".bin/node");
  const installed = existsSync(stamp) ? readFileSync(stamp, "utf8").trim() : undefined;
  if (installed === lock && existsSync(node)) return;
  // Whoever has run npm by hand already has what the lock file asks for: then only the stamp is old.
  if (existsSync(node) && matchesNpmRecord()) {
    writeFileSync(stamp, `${lock}\n`);
    return;
  }
  const why = existsSync(modules) ? "node_modules does not match package-lock.json" : "node_modules is missing";
  say(`${why}: running npm ci`);
  run("npm ci", "npm", ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"], limits.npm);
  if (!existsSync(node)) stop(exit.unavailable, "npm ci ended without an error, but node_modules/.bin/node is missing");
  writeFileSync(stamp, `${lock}\n`);
}

/** Whether node_modules/.package-lock.json, which npm writes, lists the same packages as package-lock.json. */
function matchesNpmRecord() {
  const versions = (path) => {
    if (!existsSync(path)) return undefined;
    const listed = Object.entries(JSON.parse(readFileSync(path, "utf8")).packages);
    return new Map(
      listed.filter(([name]) => name !== "").map(([name, { version, optional }]) => [name, { version, optional }]),
    );
  };
  const [wanted, present] = [join(root, "package-lock.json"), join(modules, ".package-lock.json")].map(versions);
  if (!wanted || !present) return false;
  return [...wanted].every(
    ([name, { version, optional }]) => present.get(name)?.version === version || (optional && !present.has(name)),
  );
}

function missingPackages(names) {
  const format = ["Package", "db:Status-Abbrev"].map((field) => `\${${field}}`).join(" ");
  const query = spawnSync("dpkg-query", ["-W", "-f", `${format}\\n`, ...names], {
    encoding: "utf8",
    timeout: limits.query,
  });
  if (query.error) {
    // Not Debian: what the fast part needs beyond Node is on every machine that has a compiler.
    if (names === packages.fast) return [];
    stop(
      exit.configuration,
      `cannot ask dpkg-query which packages are installed (${query.error.code}); on Debian or Ubuntu it is there, elsewhere install what these packages bring: ${names.join(" ")}`,
    );
  }
  // dpkg-query's exit code is 1 when it does not know one of the names; the list still holds the others.
  const installed = new Set(
    query.stdout
      .split("\n")
      .map((line) => line.split(" "))
      .filter(([, status]) => status?.startsWith("ii") || status?.startsWith("hi"))
      .map(([name]) => name),
  );
  return names.filter((name) => !installed.has(name));
}

function installPackages(purpose) {
  const missing = missingPackages(packages[purpose]);
  if (missing.length === 0) return;
  const command = `apt-get update && apt-get install -y --no-install-recommends ${missing.join(" ")}`;
  const asRoot = process.getuid() === 0;
  const sudo = asRoot ? undefined : spawnSync("sudo", ["-n", "true"], { stdio: "ignore", timeout: limits.query });
  if (sudo && sudo.status !== 0) {
    const [why, become] = sudo.error
      ? ["there is no sudo", "su - -c"] // a login: apt-get needs root's PATH
      : ["sudo asks for a password", "sudo sh -c"];
    stop(
      exit.configuration,
      `Debian packages are missing: ${missing.join(" ")}\n  You are not root and ${why}. Type this, then run the same command again:\n\n    ${become} '${command}'\n`,
    );
  }
  say(`Debian packages missing for "${purpose}": installing ${missing.join(" ")}${asRoot ? "" : " (by sudo)"}`);
  const apt = (what, args, timeout) => {
    // Another apt may hold the lock, for example the machine's own updates: wait for it, but not for ever.
    const words = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", ...args];
    const environment = ["env", "DEBIAN_FRONTEND=noninteractive"];
    const [program, ...rest] = asRoot ? [...environment, ...words] : ["sudo", "-n", ...environment, ...words];
    run(what, program, rest, timeout);
  };
  apt("apt-get update", ["update"], limits.aptUpdate);
  apt("apt-get install", ["install", "-y", "--no-install-recommends", ...missing], limits.aptInstall);
  const still = missingPackages(missing);
  if (still.length > 0)
    stop(exit.unavailable, `apt-get ended without an error, but these are still missing: ${still.join(" ")}`);
}

/** Becomes the command, as far as a Node program can: its terminal, its signals, its exit code. */
function become([program, ...args]) {
  // Listening begins before the child does: a signal in between would end this process and leave the child behind.
  let child;
  const passedAt = new Map();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) {
    process.on(signal, () => {
      // Ctrl-C goes from the terminal to all of us, and npm sends it on once more: the child needs it once.
      if ((signal === "SIGINT" || signal === "SIGQUIT") && inForeground()) return;
      const now = Date.now();
      if (now - (passedAt.get(signal) ?? 0) < 1000) return;
      passedAt.set(signal, now);
      child?.kill(signal);
    });
  }
  child = spawn(program, args, { cwd: root, stdio: "inherit" });
  child.on("error", (error) => stop(exit.unavailable, `cannot start ${program}: ${error.message}`));
  child.on("exit", (code, signal) => {
    process.exit(signal ? 128 + (constants.signals[signal] ?? 0) : (code ?? exit.unavailable));
  });
}

/** Whether we are in the foreground process group of a terminal. Source: proc(5), /proc/pid/stat, pgrp and tpgid. */
function inForeground() {
  const [, , pgrp, , , tpgid] = readFileSync("/proc/self/stat", "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return pgrp === tpgid;
}

const { purpose, command } = readArguments();
checkMachine();
// In this order: the install scripts of npm packages already run on the pinned Node.
installPackages(purpose);
installModules();
if (command.length > 0) become(command);
else if (process.stdin.isTTY) say("everything is there");
