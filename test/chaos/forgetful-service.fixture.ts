/** The BMC service with a fault built in on purpose: it forgets what it had in escrow as soon as another account comes. */
import { Database } from "../../bmc-service/store/database.ts";

const run = Database.prototype.run;

Database.prototype.run = function (sql, ...values) {
  if (sql.startsWith("INSERT INTO accounts")) run.call(this, "DELETE FROM accounts");
  return run.call(this, sql, ...values);
};

await import("../../bmc-service/main.ts");
