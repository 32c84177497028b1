import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { credentials, type ServiceError, status } from "@grpc/grpc-js";
import { BeginRequest, EnrolmentServiceClient } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";

/** Told to a thread that floods a service with Begins whose token nobody has made, until it is ended. */
export interface Flood {
  readonly port: number;
  readonly pki: string;
  readonly clients: number;
}

/** What the thread tells twice a second: how often each status was answered so far. */
export type Answers = Readonly<Record<string, number>>;

const { port, pki, clients } = workerData as Flood;
const answers: Record<string, number> = {};
const ssl = credentials.createSsl(readFileSync(join(pki, "ca.pem")));
for (let i = 0; i < clients; i += 1) {
  const client = new EnrolmentServiceClient(`127.0.0.1:${port}`, ssl, {
    "grpc.ssl_target_name_override": "localhost",
    // Each is somebody else, with a connection of its own.
    "grpc.use_local_subchannel_pool": 1,
  });
  const again = () => {
    const text = `rvt_${Math.random().toString(16).slice(2).padEnd(48, "0").slice(0, 48)}`;
    const request = BeginRequest.fromPartial({
      machine: { uuid: "5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1e01" },
      bootId: "boot",
      agentVersion: "flood",
      enrolmentToken: Buffer.from(text),
      // Would cost a look, if anybody looked before the token was known.
      certificateRequest: Buffer.alloc(1_000),
    });
    client.begin(request, (error: ServiceError | null) => {
      const code = status[error?.code ?? status.OK];
      answers[code] = (answers[code] ?? 0) + 1;
      again();
    });
  };
  again();
}
setInterval(() => parentPort?.postMessage(answers), 50);
