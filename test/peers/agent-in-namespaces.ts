import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

// The agent is made by `npm run build`: `npm test` runs it before this.
const agent = join(import.meta.dirname, "../../dist/metal-rivet");
const limitMs = 45_000;

/** A machine without hardware, wired to others without hardware. */
export interface Wiring {
  /** How many adapters it has, eth0 and so on; the other end of eth0 is s0, in the namespace "server". Default: 1. */
  readonly adapters?: number;
  /** Lines of bash that make the other end. `server COMMAND...` runs there, `other COMMAND...` in a second namespace. */
  readonly network: readonly string[];
  readonly cmdline: string;
  /** What its own ramdisk did with the network before. The agent puts back what it changes then, else it leaves it up. */
  readonly host?: readonly string[];
}

/** What the agent said, and what the kernel had in the end. */
export interface Seen {
  /** The texts of the console's lines. */
  readonly told: readonly string[];
  readonly exitCode: number;
  /** The outputs of `ip link`, `ip addr`, `ip route` and `ip -6 route`, without lifetimes. */
  readonly kernel: string;
  /** The same before the agent was started. */
  readonly kernelBefore: string;
  readonly resolv: string;
  readonly hostName: string;
  /** All of the output, for whoever looks for the fault. */
  readonly output: string;
}

/** dnsmasq in the foreground, which does and knows nothing but what is said here. */
export const dnsmasq = (link: string, ...words: string[]): string =>
  [
    ...["dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --no-ping --leasefile-ro --bind-dynamic"],
    ...[`--interface=${link}`, ...words, ">/dev/null 2>&1"],
  ].join(" ");

/** Runs beside the agent. */
export const beside = (command: string, afterSeconds = 0): string => `(sleep ${afterSeconds}; ${command}) &`;

/** A web server that answers all questions with the same document. */
export const webServer = (port: number): string =>
  `${process.execPath} -e 'require("http").createServer((_, answer) => answer.end("tries: 2\\n")).listen(${port}, "::")'`;

/**
 * Runs the built agent as a guest, `/inito`, in namespaces of its own (network, mounts, processes, host name) with the kernel's own
 * network, and with foreign servers on the other ends of its wires. All of it is gone when this returns. Needs root.
 */
export async function runInNamespaces({ adapters = 1, network, cmdline, host }: Wiring): Promise<Seen> {
  const folder = mkdtempSync(join(tmpdir(), "rivet-namespaces-"));
  const names = Array.from({ length: adapters }, (_, index) => [`eth${index}`, `s${index}`, index] as const);
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const keep = `rivet.keep_network=${host === undefined ? 1 : 0}`;
  const keys = [`rivet.log=json ${keep} rivet.ipmi_driver=0 rivet.outcome=/mnt/outcome.json`, cmdline];
  const script = [
    "set -e",
    "mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /mnt; mount -t tmpfs tmpfs /run",
    // the machine's own drivers are none of ours
    "[ ! -d /lib/modules ] || mount -t tmpfs tmpfs /lib/modules",
    `mount --bind ${file("resolv.conf", "")} /etc/resolv.conf`,
    `cp ${file("cmdline", keys.join(" "))} /mnt/cmdline`,
    "mkdir -p /run/netns /mnt/net; ip netns add server; ip netns add other",
    `server() { ip netns exec server "$@"; }; other() { ip netns exec other "$@"; }`,
    // who advertises and does not forward is no router to the kernel's neighbour discovery (RFC 4861 §7.2.5)
    "server ip link set lo up; server sysctl -qw net.ipv6.conf.all.forwarding=1",
    ...names.map(
      ([ours, theirs, index]) =>
        `ip link add ${ours} address 52:54:00:00:00:1${index} type veth peer name ${theirs} netns server; server ip link set ${theirs} up`,
    ),
    "server ip addr add 10.7.0.1/24 dev s0; server ip addr add fd07::1/64 dev s0 nodad",
    ...network,
    ...(host ?? []),
    // a veth has no hardware behind it, so it would not be among the adapters
    ...["lo", ...names.map(([name]) => name)].flatMap((name) => [
      `mkdir /mnt/net/${name}; ${name === "lo" ? "" : `mkdir /mnt/net/${name}/device;`} for a in address ifindex carrier type mtu flags; ` +
        `do ln -s /sys/devices/virtual/net/${name}/$a /mnt/net/${name}/$a; done`,
    ]),
    "mount --bind /mnt/net /sys/class/net",
    String.raw`state() { (ip -o link; ip -o addr; ip route; ip -6 route; hostname) | sed "s/ qdisc \S*//; s/ \\\\ *valid_lft.*//; s/ expires \S*//"; }`,
    "echo before; state; echo started",
    `code=0; (exec -a /inito ${agent} --cmdline /mnt/cmdline) || code=$?; echo exit $code`,
    "state",
  ].join("\n");
  try {
    const inside = ["--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "bash", file("script", script)];
    const { all: output } = await execa("unshare", inside, {
      all: true,
      reject: false,
      stdin: "ignore",
      // unshare lets no other signal through
      ...{ timeout: limitMs, killSignal: "SIGKILL" },
    });
    const told = [...output.matchAll(/^\{.*\}$/gm)].flatMap(([line]) => {
      const { msg = "", detail } = JSON.parse(line) as { readonly msg?: string; readonly detail?: string };
      return detail === undefined ? [msg] : [`${msg}: ${detail}`];
    });
    const [, exitCode = "-1", kernel = "", hostName = ""] = /^exit (\d+)\n(.*\n)(\S+)$/ms.exec(output) ?? [];
    const kernelBefore = /^before\n(.*\n)\S+\nstarted$/ms.exec(output)?.[1] ?? "";
    const resolv = readFileSync(join(folder, "resolv.conf"), "utf8");
    return { told, exitCode: Number(exitCode), kernel, kernelBefore, resolv, hostName, output };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
