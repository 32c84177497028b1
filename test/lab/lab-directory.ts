import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const prefix = "metal-rivet-lab-";
/** Process id and start time of the lab that works in a directory. */
const ownerFile = "owner";

/** Makes the directory of a lab. What a lab that was killed left behind is removed: its keys must not lie about. */
export function makeLabDirectory(parent = tmpdir()): string {
  removeAbandoned(parent);
  const directory = mkdtempSync(join(parent, prefix));
  chmodSync(directory, 0o700);
  writeFileSync(join(directory, ownerFile), `${process.pid} ${startTimeOf(process.pid)}\n`);
  return directory;
}

/** Leaves the logs to whoever wants to know what went wrong; keys, the service's data and the BMCs' memory go. */
export function keepLogsOnly(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    if (entry.isDirectory() || (entry.isFile() && entry.name.endsWith(".log"))) continue;
    rmSync(join(entry.parentPath, entry.name), { force: true });
  }
}

function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(prefix)) continue;
    const directory = join(parent, name);
    try {
      const [pid = "", startTime] = readFileSync(join(directory, ownerFile), "utf8").trim().split(" ");
      if (startTimeOf(Number(pid)) !== startTime) rmSync(directory, { recursive: true, force: true });
    } catch {
      // Logs that were kept, or somebody else's: not ours to remove.
    }
  }
}

/** Clock ticks from boot to the start of a process, as text; "" if there is none. proc(5), stat, field 22. */
function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
