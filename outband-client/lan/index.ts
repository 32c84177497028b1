/** IPMI over LAN: RMCP+ sessions with cipher suites 17 and 3, requests outside sessions, presence ping. */
export type { CipherSuiteId } from "./cipher-suite.ts";
export { connectLan, defaultTimeouts, type LanOptions, type LanTimeouts } from "./connect.ts";
export type { Datagram } from "./datagram.ts";
export type { KeepAlive, LanSession, LoginPrivilege, SessionTimeouts } from "./lan-session.ts";
export { type Pong, RMCP_PORT } from "./rmcp.ts";
export { SessionError, type SessionStatus } from "./session-error.ts";
export { ping, type Sessionless, type SessionlessOptions, sessionless } from "./sessionless.ts";
export { Span } from "./span.ts";
