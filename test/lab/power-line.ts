import { chmodSync, closeSync, constants, openSync, readFileSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { execa } from "execa";

/** What a BMC asks of the machine's power supply and firmware. */
export type PowerRequest =
  | { readonly kind: "power"; readonly on: boolean }
  | { readonly kind: "reset" }
  | { readonly kind: "boot"; readonly device: string }
  | { readonly kind: "shutdown" }
  | { readonly kind: "identify"; readonly seconds: number };

/**
 * The wires between ipmi_sim and a VM. ipmi_sim knows only a program that it starts for each request (`chassis_control`); that
 * program is a shell script which answers from files and passes requests on through a FIFO.
 */
export interface PowerLine extends Disposable {
  /** For ipmi_sim's `chassis_control`. */
  readonly program: string;
  /** What Get Chassis Status tells. */
  setPower(on: boolean): void;
  /** Boot device that was asked for, in ipmi_sim's words: "none", "pxe", "default" (the disk), "cdrom" or "bios". */
  readonly bootDevice: string;
  /** As when a machine starts: tells the boot device that was asked for, which is then used up. */
  takeBootDevice(): string;
}

/** @param onRequest called for every request, in order */
export async function openPowerLine(directory: string, onRequest: (request: PowerRequest) => void): Promise<PowerLine> {
  const fifo = join(directory, "power-requests");
  const powerFile = join(directory, "power");
  const bootFile = join(directory, "boot-device");
  const program = join(directory, "chassis-control");
  writeFileSync(powerFile, "0\n");
  writeFileSync(bootFile, "none\n");
  writeFileSync(program, script(directory));
  chmodSync(program, 0o755);
  await execa("mkfifo", [fifo]);
  // Read-write: the script must never wait for a reader, and we must never see an end of file.
  const fd = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  const socket = new Socket({ fd, readable: true, writable: false });
  let rest = "";
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const request = parseRequest(line);
      if (request !== undefined) onRequest(request);
    }
  });
  socket.on("error", () => undefined);
  return {
    program,
    setPower(on) {
      writeFileSync(powerFile, on ? "1\n" : "0\n");
    },
    get bootDevice() {
      return readFileSync(bootFile, "utf8").trim();
    },
    takeBootDevice() {
      const device = readFileSync(bootFile, "utf8").trim();
      writeFileSync(bootFile, "none\n");
      return device;
    },
    [Symbol.dispose]() {
      socket.destroy();
      try {
        closeSync(fd);
      } catch {
        // The socket closed it.
      }
    },
  };
}

function parseRequest(line: string): PowerRequest | undefined {
  const [kind, value = ""] = line.trim().split(/\s+/);
  switch (kind) {
    case "power":
      return { kind, on: value === "1" };
    case "reset":
    case "shutdown":
      return value === "1" ? { kind } : undefined;
    case "boot":
      return { kind, device: value };
    case "identify":
      return { kind, seconds: Number(value) };
    default:
      return undefined;
  }
}

// Power-on is told at once, power-off only when the VM is really gone: power cycle waits for that.
function script(directory: string): string {
  return `#!/bin/sh
cd '${directory}' || exit 1
operation=$1
shift
while [ $# -gt 0 ]; do
  case "$operation $1" in
    "get power") read -r value < power; echo "power:$value"; shift ;;
    "get boot") read -r value < boot-device; echo "boot:$value"; shift ;;
    "set boot") echo "$2" > boot-device; echo "boot $2" > power-requests; shift 2 ;;
    "set power") [ "$2" = 1 ] && echo 1 > power; echo "power $2" > power-requests; shift 2 ;;
    "set "*) echo "$1 $2" > power-requests; shift 2 ;;
    *) echo "chassis-control: $operation $1 is not known"; exit 1 ;;
  esac
done
exit 0
`;
}
