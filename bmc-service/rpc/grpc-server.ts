import { constants } from "node:crypto";
import { createServer as createPlainServer, type Server as NetServer, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { addressOf } from "../audit/audit-trail.ts";
import { ConfigError, systemReason } from "../config-error.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import type { AgentCertificates } from "../pki/agent-certificates.ts";
import type { ServerPki } from "../pki/load-pki.ts";
import type { Connections, Suspect, Visitor } from "./connections.ts";
import type { Limits } from "./limits.ts";
import { identityOf, roleOf } from "./role.ts";
import { watchedRequests } from "./watched-requests.ts";

/** The largest message that is read at all; what fits is then held against the limit of each field. */
const largestMessage = 256 * 1024;
/** What a server keeps of its callers. */
export interface Watch {
  readonly limits: Pick<Limits, "requestMs" | "idleMs">;
  readonly connections: Connections;
  readonly suspect: Suspect;
  readonly agents: AgentCertificates;
}

/** A gRPC server without a port; `listen` brings it connections. */
export function newGrpcServer({ limits, connections, suspect }: Watch): Server {
  const watched = watchedRequests(limits.requestMs, {
    called: (peer) => connections.called(peer),
    late: (peer) => connections.end(peer),
    refused: (rpc, peer) => suspect("unreadable request", { from: addressOf(peer), rpc }, "call refused"),
  });
  return new Server({
    interceptors: [watched],
    "grpc.max_receive_message_length": largestMessage,
    // One client is one machine or one operator.
    "grpc.max_concurrent_streams": 64,
    // A machine that was switched off leaves a dead connection behind.
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.max_connection_idle_ms": limits.idleMs,
  });
}

/**
 * Without TLS everybody who gets through is taken for agent and admin.
 * @throws ConfigError if others than this machine itself would get through
 */
export function requireLoopback(endpoint: Endpoint): "plaintext" {
  if (/^127\.\d+\.\d+\.\d+$|^::1$/.test(endpoint.host)) return "plaintext";
  const where = formatEndpoint(endpoint);
  throw new ConfigError("--insecure-plaintext", `it serves 127.0.0.1 and [::1] only, --listen is ${where}`);
}

/** An open port. */
export interface Listener extends Disposable {
  /** Another one than asked for only if 0 was. */
  readonly port: number;
  /** Takes no new connections; resolves when the last one has gone. */
  close(): Promise<void>;
  /** Ends the connections too. */
  [Symbol.dispose](): void;
}

/**
 * Opens the port. Only TLS 1.3 is spoken. Every connection is judged here, once: who shows no certificate is let in (what it may call
 * is up to the guard), who shows one that does not hold is not. grpc-js knows only "must have one" and "need not", so it gets
 * connections that are judged already.
 * @param pki "plaintext": no TLS at all; only for an address of this machine itself
 * @throws ConfigError
 */
export async function listen(
  server: Server,
  endpoint: Endpoint,
  pki: ServerPki | "plaintext",
  watch: Watch,
): Promise<Listener> {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listener =
    pki === "plaintext"
      ? createPlainServer((socket) => {
          // Without TLS there is nothing to show: whoever is on this machine is let in.
          if (watch.connections.admit(socket, "agent")) injector.injectConnection(socket);
        })
      : tlsServer(pki, watch, (socket) => injector.injectConnection(socket));
  // Before the handshake begins.
  listener.prependListener("connection", (socket: Socket) => watch.connections.add(socket));
  const port = await bound(listener, endpoint);
  return {
    port,
    close: () => closed(listener),
    [Symbol.dispose]() {
      listener.close();
      watch.connections[Symbol.dispose]();
    },
  };
}

function tlsServer(
  pki: ServerPki,
  { limits, connections, suspect, agents }: Watch,
  take: (socket: TLSSocket) => void,
): NetServer {
  const { ca, certificate, key, agentsCa } = pki;
  const options = {
    ca: agentsCa === undefined ? [ca] : [ca, agentsCa.certificate],
    cert: certificate,
    key,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: "TLSv1.3",
    ALPNProtocols: ["h2"],
    handshakeTimeout: limits.requestMs,
    // Nothing is resumed: what an earlier connection was judged to be may not hold any more.
    secureOptions: constants.SSL_OP_NO_TICKET,
  } as const;
  const server = createTlsServer(options, (socket) => {
    // What happens to a connection is told by its calls.
    socket.on("error", () => undefined);
    const shown = socket.getPeerX509Certificate();
    if (shown === undefined || socket.authorized) {
      if (connections.admit(socket, visitorOf(socket, shown !== undefined, agents))) take(rememberPeer(socket));
      return;
    }
    const { remoteAddress: from } = socket;
    // Typed as an Error; at run time it is OpenSSL's name of the verification error.
    const reason = String(socket.authorizationError);
    const fields = { from, subject: shown.subject, issuer: shown.issuer, reason };
    suspect("client certificate", fields, "client certificate refused");
    socket.destroy();
  });
  server.on("tlsClientError", (error: NodeJS.ErrnoException, { remoteAddress: from }: TLSSocket) => {
    suspect("no TLS", { from, reason: error.code ?? error.message }, "no TLS agreed on");
  });
  return server;
}

function visitorOf(socket: TLSSocket, hasCertificate: boolean, agents: AgentCertificates): Visitor {
  if (!hasCertificate) return "stranger";
  const role = roleOf(identityOf(socket.getPeerCertificate(), agents));
  return role === undefined || role === "agent" ? "agent" : "person";
}

/** grpc-js asks for the certificate at each call, and to take it apart costs as much as the rest of a short call. */
function rememberPeer(socket: TLSSocket): TLSSocket {
  const certificate = socket.getPeerCertificate();
  return Object.assign(socket, { getPeerCertificate: () => certificate });
}

function closed(listener: NetServer): Promise<void> {
  return new Promise((resolve) => {
    listener.close(() => resolve());
  });
}

function bound(listener: NetServer, { host, port }: Endpoint): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const failed = (cause: Error) => {
    reject(new ConfigError("--listen", `${formatEndpoint({ host, port })}: ${systemReason(cause)}`, { cause }));
  };
  listener.once("error", failed);
  listener.listen({ host, port }, () => {
    listener.removeListener("error", failed);
    // Running out of file descriptors is no reason to end.
    listener.on("error", () => undefined);
    const address = listener.address();
    resolve(typeof address === "object" && address !== null ? address.port : port);
  });
  return promise;
}
