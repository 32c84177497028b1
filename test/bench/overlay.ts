import { readFileSync, writeFileSync } from "node:fs";
import { execa } from "execa";
import { type CpioEntry, cpioArchive } from "../../image/cpio.ts";
import { type SharedLibrary, sharedLibraries } from "../../image/shared-libraries.ts";

/** How others make an account on a BMC, as commands that a machine runs. */
export interface Contender {
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** Each is the path of a program in the ramdisk and its arguments. */
  readonly commands: readonly (readonly string[])[];
}

const ipmitool = "/usr/bin/ipmitool";
const ipmiConfig = "/usr/sbin/ipmi-config";

/** Slots that are free on a simulated BMC, and not the one that the agent takes. */
const slots = { goHal: "10", maas: "11" } as const;

/** A password of the throw-away BMC: both ways of today put it into argv, so it is no secret. */
const password = "bench-Pass-0";

/** What go-hal does on a machine it sees for the first time, one process of ipmitool for each step. */
const goHal: Contender = {
  name: "go-hal",
  title: "go-hal: 8 x ipmitool",
  commands: [
    ["lan", "print", "1"],
    ["fru"],
    ["bmc", "info"],
    ["user", "set", "name", slots.goHal, "metal"],
    ["user", "set", "password", slots.goHal, password],
    ["user", "enable", slots.goHal],
    ["channel", "setaccess", "1", slots.goHal, "link=on", "ipmi=on", "callin=on", "privilege=4"],
    // ipmi_sim knows no payload access: like go-hal, go on.
    ["sol", "payload", "enable", "1", slots.goHal],
  ].map((args) => [ipmitool, "-I", "open", ...args]),
};

/** What MAAS's bmc_config.py does: read the whole configuration, then write five settings in this order, one process each. */
const maas: Contender = {
  name: "maas",
  title: "MAAS: 6 x bmc-config",
  commands: [
    ["--checkout", "--verbose"],
    ...[
      "Username=maas",
      `Password=${password}`,
      "Enable_User=Yes",
      "Lan_Privilege_Limit=Administrator",
      "Lan_Enable_IPMI_Msgs=Yes",
    ].map((pair) => ["--commit", `--key-pair=User${slots.maas}:${pair}`]),
  ].map((args) => [ipmiConfig, "--category=core", "--driver-type=OPENIPMI", "--driver-device=/dev/ipmi0", ...args]),
};

export const contenders: readonly Contender[] = [goHal, maas];

/** Program that the agent hands over to (`rivet.then=exec:`): runs the contenders. */
export const contendersProgram = "/bench/contenders";
/** The same without those that take minutes. */
export const quickContendersProgram = "/bench/quick-contenders";
/** Program for `rdinit=`: starts the agent as process 1 of a namespace and tells how much memory it took. */
export const observerProgram = "/bench/observer";

/** Lines on the console by which the host follows. */
export const marker = "BENCH";

/**
 * Writes a ramdisk that is `base` with the contenders' programs and their libraries behind it.
 * @throws Error if a program or library is missing on this machine
 */
export async function writeBenchRamdisk(base: string, output: string): Promise<void> {
  const programs = [ipmitool, ipmiConfig, "/usr/bin/dash", "/usr/bin/sleep", "/usr/bin/unshare", "/usr/bin/mount"];
  const libraries = new Map<string, SharedLibrary>();
  for (const program of programs) {
    for (const library of await sharedLibraries(program)) libraries.set(library.path, library);
  }
  const file = (path: string, body: Buffer | string): CpioEntry => ({
    kind: "file",
    path: path.slice(1),
    body: Buffer.from(body),
    mode: 0o755,
  });
  const archive = cpioArchive([
    [
      ...programs.map((program) => file(program, readFileSync(program))),
      ...[...libraries.values()].map(({ path, body }) => file(path, body)),
      file(contendersProgram, contendersScript(contenders)),
      file(quickContendersProgram, contendersScript([goHal])),
      file(observerProgram, observerScript),
    ],
  ]);
  // The kernel wants the next archive at a multiple of four bytes; zeros in between are skipped.
  const packed = readFileSync(base);
  const gap = Buffer.alloc((4 - (packed.length % 4)) % 4);
  writeFileSync(output, Buffer.concat([packed, gap, ...archive]));
}

const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;

// The pauses let the host see on the wire where one contender ends and the next begins; they are not measured.
function contendersScript(contenders: readonly Contender[]): string {
  const runs = contenders.map(({ name, commands }) => {
    const lines = commands.map((words, index) => {
      const command = words.map(quoted).join(" ");
      return `${command} </dev/null >/dev/null 2>/tmp/error || failed ${name} ${index + 1} $?`;
    });
    return [
      `say begin ${name}`,
      "/usr/bin/sleep 0.5",
      "up",
      "from=$now",
      ...lines,
      "up",
      `say end ${name} $from $now`,
    ].join("\n");
  });
  return `#!/usr/bin/dash
say() { echo "${marker} $*" > /dev/console; }
up() { read -r now rest < /proc/uptime; }
failed() { why=; while read -r line; do why=$line; done < /tmp/error; say failed $1 "command $2, exit code $3: $why"; }
${runs.join("\n/usr/bin/sleep 0.5\n")}
/usr/bin/sleep 0.5
say over
while :; do /usr/bin/sleep 3600; done
`;
}

// The agent is process 1 of its own namespace, so that it does all that an init does; VmHWM is the peak of its resident memory.
const observerScript = `#!/usr/bin/dash
/usr/bin/mount -t proc proc /mnt
/usr/bin/mount -t devtmpfs devtmpfs /dev
/usr/bin/unshare --pid --fork --mount /init &
say() { echo "${marker} $*" > /dev/console; }
while :; do
  /usr/bin/sleep 0.2
  for status in /mnt/[0-9]*/status; do
    name= peak= anonymous=
    while read -r key value rest; do
      case $key in
        Name:) name=$value ;;
        VmHWM:) peak=$value ;;
        RssAnon:) anonymous=$value ;;
      esac
    done < $status
    case $name in init|metal-rivet|node*|MainThread) [ -n "$peak" ] && say memory "$peak" "$anonymous" ;; esac
  done
done 2>/dev/null
`;

/** Size of a file when packed as the ramdisk is, in bytes. */
export async function zstdBytes(file: string): Promise<number> {
  const { stdout } = await execa("zstd", ["-19", "-T0", "-q", "-c", file], { encoding: "buffer", timeout: 300_000 });
  return stdout.length;
}
