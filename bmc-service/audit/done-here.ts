import { hostname, userInfo } from "node:os";
import type { Database } from "../store/database.ts";
import { StoreError } from "../store/store-error.ts";
import { appendAudit, type NewAuditEntry } from "./audit-log.ts";

/**
 * What a command on the service's own machine does. No certificate says who typed it: the entry names the user of the operating
 * system and the machine.
 * @param result "BEGUN" before it is done
 */
export function doneHere(action: string, detail: string, result: "BEGUN" | "OK" = "OK"): NewAuditEntry {
  const by = `by ${userName()} on the machine ${hostname()}`;
  return {
    at: new Date(),
    actor: "bmc-service",
    role: "",
    action,
    subject: "",
    detail: `${detail}; ${by}`,
    result,
    from: "",
  };
}

/** Writes it down beside a service that may run. @returns why it is not in the log, for people; undefined if it is */
export function noteDoneHere(database: Database, entry: NewAuditEntry): string | undefined {
  try {
    database.transaction(() => appendAudit(database, entry));
    return undefined;
  } catch (error) {
    if (error instanceof StoreError) return error.message;
    throw error;
  }
}

/** When the backup was begun of which this database is a copy; undefined if its log does not say so. */
export function backupBegan(database: Database): Date | undefined {
  const row = database.get(
    "SELECT at FROM audit WHERE action IN ('Backup', 'backup') AND result = 'BEGUN' ORDER BY number DESC LIMIT 1",
  );
  return row === undefined ? undefined : new Date(Number(row.at));
}

/** A container may run as a number that has no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `user ${process.getuid?.() ?? "unknown"}`;
  }
}
