import type { BmcFacts } from "../proto/gen/metalstack/bmc/v1/bmc.ts";
import {
  type Linkage,
  PasswordForm,
  type Policy,
  type WatchHandOffResponse,
} from "../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { EnrolmentClient } from "./world.ts";

/** What the service asks for, unless its operator changed it. */
export const standardPolicy: Policy = {
  userNamePrefix: "rivet",
  privilege: 4,
  verificationRequired: true,
  consoleUserWanted: false,
};

/** A service that keeps nothing and says yes to everything: for a dry run, which must not enrol. */
export interface PretendedService {
  readonly client: EnrolmentClient;
  /** What the run reported of the BMC. */
  readonly facts: BmcFacts | undefined;
  /** The random user name that the run made, if it came that far. */
  readonly userName: string | undefined;
}

/** @param linkage what it knows of the machine */
export function pretendedService(linkage: Linkage | undefined): PretendedService {
  let facts: BmcFacts | undefined;
  let userName: string | undefined;
  const client: EnrolmentClient = {
    begin: async () => ({
      sessionToken: "",
      linkage,
      policy: standardPolicy,
      certificate: Buffer.alloc(0),
      linkageNonce: "rivet-********",
    }),
    async reportBmc({ found }) {
      if (found?.$case === "bmc") facts = found.value;
      return { passwordFormHint: PasswordForm.PASSWORD_FORM_UNSPECIFIED };
    },
    reportInventory: async () => ({}),
    async escrowAccount(request) {
      userName = request.userName;
      return { accountId: "" };
    },
    confirmAccount: async () => ({}),
    abort: async () => ({}),
    watchHandOff: () => handedOff(),
    [Symbol.asyncDispose]: async () => undefined,
  };
  return {
    client,
    get facts() {
      return facts;
    },
    get userName() {
      return userName;
    },
  };
}

async function* handedOff(): AsyncIterable<WatchHandOffResponse> {
  yield { at: undefined, event: { $case: "handedOff", value: { driver: "" } } };
}
