import { status } from "@grpc/grpc-js";
import type { BmcServiceServer, Token } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import type { TokenRow } from "../store/enrolment-token.ts";
import type { Store } from "../store/store.ts";
import { noAgentsCa } from "../tokens/admission.ts";
import { makeToken } from "../tokens/token-text.ts";
import { requireMachineUuid, requireRange, requireText } from "./fields.ts";
import type { Guard } from "./guarded.ts";
import { invalid, RpcError } from "./rpc-error.ts";

const defaultTtlSeconds = 900;
const mostTtlSeconds = 30 * 86_400;
const mostUses = 10_000;
/** Of a token that a program makes for whoever asks by the network: for one enrolment, and long enough for a slow boot. */
const mostBootTtlSeconds = 3_600;

/** @param hasAgentsCa whether a machine that comes with a token can be given a certificate */
export function tokenCalls(
  store: Store,
  guard: Guard,
  hasAgentsCa: boolean,
): Pick<BmcServiceServer, "createToken" | "listTokens" | "revokeToken"> {
  return {
    createToken: guard.unary("CreateToken", async (request, { caller, note }) => {
      if (!hasAgentsCa) throw new RpcError(status.FAILED_PRECONDITION, noAgentsCa);
      const { machineUuid, ttlSeconds, uses, purpose = "", former = "" } = request;
      const isBoot = caller.role === "boot";
      const ttl =
        requireRange("ttl_seconds", ttlSeconds, 0, isBoot ? mostBootTtlSeconds : mostTtlSeconds) || defaultTtlSeconds;
      const createdAt = new Date();
      const createdBy = purpose === "" ? caller.name : `${caller.name} for ${requirePurpose(purpose)}`;
      if (former !== "") {
        const kept = await store.keepToken(former, createdBy, createdAt);
        if (kept !== undefined) {
          note({ token: kept.id });
          return { text: Buffer.alloc(0), token: tokenMessage(kept) };
        }
      }
      const { text, id, hash } = makeToken();
      const row = {
        id,
        machineUuid: machineUuid === "" ? "" : requireMachineUuid("machine_uuid", machineUuid),
        createdAt,
        expiresAt: new Date(createdAt.getTime() + ttl * 1_000),
        uses: requireRange("uses", uses, 0, isBoot ? 1 : mostUses) || 1,
        createdBy,
      };
      await store.createToken({ ...row, hash });
      note({ token: id });
      return { text, token: tokenMessage({ ...row, used: 0, revokedAt: undefined }) };
    }),

    listTokens: guard.unary("ListTokens", async () => ({ tokens: (await store.tokens()).map(tokenMessage) })),

    revokeToken: guard.unary("RevokeToken", async ({ id }, { note }) => {
      const row = await store.revokeToken(requireText("id", id), new Date());
      note({ token: row.id });
      return { token: tokenMessage(row) };
    }),
  };
}

/** It is shown to people beside the name of who made the token. */
function requirePurpose(purpose: string): string {
  if (/^[\x21-\x7e](?:[\x20-\x7e]{0,62}[\x21-\x7e])?$/.test(purpose)) return purpose;
  throw invalid("purpose", "give 1 to 64 printable characters of ASCII");
}

function tokenMessage(row: TokenRow): Token {
  return { ...row };
}
