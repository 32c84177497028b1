import { status } from "@grpc/grpc-js";
import type { BmcServiceServer, Token } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import type { TokenRow } from "../store/enrolment-token.ts";
import type { Store } from "../store/store.ts";
import { noAgentsCa } from "../tokens/admission.ts";
import { makeToken } from "../tokens/token-text.ts";
import { requireMachineUuid, requireRange, requireText } from "./fields.ts";
import type { Guard } from "./guarded.ts";
import { RpcError } from "./rpc-error.ts";

const defaultTtlSeconds = 900;
const mostTtlSeconds = 30 * 86_400;
const mostUses = 10_000;

/** @param hasAgentsCa whether a machine that comes with a token can be given a certificate */
export function tokenCalls(
  store: Store,
  guard: Guard,
  hasAgentsCa: boolean,
): Pick<BmcServiceServer, "createToken" | "listTokens" | "revokeToken"> {
  return {
    createToken: guard.unary("CreateToken", async ({ machineUuid, ttlSeconds, uses }, { caller, note }) => {
      if (!hasAgentsCa) throw new RpcError(status.FAILED_PRECONDITION, noAgentsCa);
      const ttl = requireRange("ttl_seconds", ttlSeconds, 0, mostTtlSeconds) || defaultTtlSeconds;
      const createdAt = new Date();
      const { text, id, hash } = makeToken();
      const row = {
        id,
        machineUuid: machineUuid === "" ? "" : requireMachineUuid("machine_uuid", machineUuid),
        createdAt,
        expiresAt: new Date(createdAt.getTime() + ttl * 1_000),
        uses: requireRange("uses", uses, 0, mostUses) || 1,
        createdBy: caller.name,
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

function tokenMessage(row: TokenRow): Token {
  return { ...row };
}
