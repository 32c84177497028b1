import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { createSecureContext, type SecureContext } from "node:tls";
import { beginWithToken } from "../../agent/begin-with-token.ts";
import {
  type BeginRequest,
  type BeginResponse,
  InbandProof,
  EnrolmentServiceService as methods,
  PasswordForm,
} from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { listenOnLoopback } from "../simulator/lan-server.ts";
import { AgentConnection, LostError } from "./agent-connection.ts";
import type { FleetMachine } from "./fleet-machine.ts";

/** How long an agent tries while the service is not there, ms; longest and first wait between two tries. */
const patienceMs = 60_000;
const firstWaitMs = 50;
const longestWaitMs = 500;

/** What all agents of a run have in common. */
export interface Fleet {
  /** Of the service on 127.0.0.1. */
  readonly port: number;
  /** With the certificate that all of them share, or with none. */
  readonly context: SecureContext;
  /** A token good for all of them; undefined: they have a certificate. */
  readonly token: Buffer | undefined;
  /** PEM. */
  readonly ca: Buffer;
  /** Whether the service logs in to their BMCs. */
  readonly remote: boolean;
}

/** How an enrolment went. */
export interface Enrolled {
  readonly machine: FleetMachine;
  readonly durationMs: number;
  /** Tries beyond the first one, of all its calls. */
  readonly retries: number;
}

/**
 * One machine, from its first connection to the hand-off: the calls of the agent in their order, each acknowledged before the next.
 * @throws Error if the service refuses something, or is not there for too long
 */
export async function enrol(fleet: Fleet, machine: FleetMachine): Promise<Enrolled> {
  const startedAt = performance.now();
  await using bmc = fleet.remote ? await listenOnLoopback(machine.lan()) : undefined;
  using agent = new PatientAgent(fleet);
  const { sessionToken } = await agent.begin(machine);

  const found = { $case: "bmc", value: machine.facts(bmc?.port) } as const;
  await agent.call((service) => service.unary(methods.reportBmc, { sessionToken, found }));
  const { mac, userName, slot, channel } = machine;
  const { accountId } = await agent.call((service) =>
    service.unary(methods.escrowAccount, {
      ...{ sessionToken, mac, userName, slot },
      password: Buffer.from(machine.password),
    }),
  );
  const proof = InbandProof.INBAND_PROOF_PASSWORD_TESTED;
  const passwordForm = PasswordForm.PASSWORD_FORM_SIXTEEN;
  await agent.call((service) =>
    service.unary(methods.confirmAccount, {
      ...{ sessionToken, accountId, slot, channel, proof, passwordForm },
      nonceWritten: false,
    }),
  );
  const { inventory } = machine;
  await agent.call((service) => service.unary(methods.reportInventory, { sessionToken, inventory }));
  if (fleet.remote) await agent.call((service) => handOff(service, sessionToken));
  return { machine, durationMs: performance.now() - startedAt, retries: agent.retries };
}

async function handOff(service: AgentConnection, sessionToken: string): Promise<void> {
  const last = (await service.stream(methods.watchHandOff, { sessionToken })).at(-1)?.event;
  if (last?.$case === "handedOff") return;
  throw new Error(last?.$case === "failed" ? `hand-off failed: ${last.value.reason}` : "the hand-off has no end");
}

/** Tries again while the service is not there, with a new connection each time. */
class PatientAgent implements Disposable {
  readonly #fleet: Fleet;
  #context: SecureContext;
  #connection: AgentConnection | undefined;
  retries = 0;

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
    this.#context = fleet.context;
  }

  async begin({ uuid, machine }: FleetMachine): Promise<BeginResponse> {
    const request = {
      ...{ machine, bootId: randomUUID(), agentVersion: "metal-rivet fleet" },
      enrolmentToken: Buffer.alloc(0),
      certificateRequest: Buffer.alloc(0),
    };
    const send = (asked: BeginRequest) => this.call((service) => service.unary(methods.begin, asked));
    const { token, ca } = this.#fleet;
    if (token === undefined) return await send(request);
    const { response, own } = await beginWithToken(request, Buffer.from(token), true, send);
    if (own === undefined) throw new Error(`machine ${uuid} was given no certificate`);
    this.#hangUp();
    this.#context = createSecureContext({ ca, cert: own.cert, key: own.key, minVersion: "TLSv1.3" });
    return response;
  }

  async call<T>(work: (service: AgentConnection) => Promise<T>): Promise<T> {
    const until = performance.now() + patienceMs;
    for (let waitMs = firstWaitMs; ; waitMs = Math.min(2 * waitMs, longestWaitMs)) {
      try {
        this.#connection ??= new AgentConnection(this.#fleet.port, this.#context);
        return await work(this.#connection);
      } catch (error) {
        if (!(error instanceof LostError) || performance.now() > until) throw error;
        this.#hangUp();
        this.retries += 1;
        await wait(waitMs * (1 + Math.random()));
      }
    }
  }

  [Symbol.dispose](): void {
    this.#hangUp();
  }

  #hangUp(): void {
    this.#connection?.[Symbol.dispose]();
    this.#connection = undefined;
  }
}
