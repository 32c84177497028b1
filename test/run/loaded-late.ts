/** What a run loads only when it needs it. Loading takes a time that no clock of a test sees: a step would be over its limit. */
import "../../agent/derive-identity.ts";
import "../../agent/linkage-nonce.ts";
import "../../agent/retire-former.ts";
import "../../agent/take-back.ts";
import "../../agent/watchdog.ts";
