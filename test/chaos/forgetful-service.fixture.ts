/** The BMC service with a fault built in on purpose: it retires what it had in escrow as soon as another account comes. */
import { Database } from "../../bmc-service/store/database.ts";
import { AccountState } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";

const run = Database.prototype.run;

Database.prototype.run = function (sql, ...values) {
  if (sql.startsWith("INSERT INTO accounts")) {
    run.call(this, "UPDATE accounts SET state = ?", AccountState.ACCOUNT_STATE_RETIRED);
  }
  return run.call(this, sql, ...values);
};

await import("../../bmc-service/main.ts");
