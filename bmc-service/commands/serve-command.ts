import { Command, InvalidArgumentError, Option } from "commander";
import { connectLan } from "../../outband-client/lan/index.ts";
import { defaultPowerPatience } from "../drivers/ipmi/ipmi-driver.ts";
import type { Endpoint } from "../endpoint.ts";
import { defaultHandOffLimits } from "../hand-off/take-over.ts";
import { type LogLevel, logLevels, newLog } from "../log.ts";
import { parseSubject, type SubjectAttributes } from "../pki/agent-certificates.ts";
import { parseAddressEntry } from "../reach/bmc-address.ts";
import { BmcNetworks, type Network, parseNetwork } from "../reach/bmc-networks.ts";
import { defaultLimits } from "../rpc/limits.ts";
import { startService } from "../service.ts";
import { countOption, durationOption, endpointOption } from "./option-kinds.ts";

const more = `
Files:
  DATA/bmc-service.db  everything the service knows (SQLite); back it up with its key
  PKI/ca.pem, PKI/server.pem, PKI/server.key  as \`bmc-service init-pki\` makes them
  PKI/agents-ca.pem, PKI/agents-ca.key  what the certificates of machines that come with an enrolment token
                       are signed with; without them no tokens are taken
  PKI/secret.key       the key that opens the passwords in the database; made with mode 0600 at the first
                       start, when the database is new. Lost key, lost passwords: back it up elsewhere.
                       \`bmc-service rekey\` changes it; with secret.key.new beside it, the one that fits is taken.

Environment:
  CREDENTIALS_DIRECTORY  set by systemd (LoadCredential=bmc-service.key:FILE): its file bmc-service.key is
                         the key then, unless --key is given

Signals: SIGTERM and SIGINT end the service; remote logins that run get 10 seconds.

Standard output carries the log, one JSON object a line; the line with msg "listening" says which
addresses are open. GET /healthz answers 200 if the database can be read
and the last write was stored, else 503 with the reason; GET /metrics is for Prometheus.

Examples:
  $ bmc-service init-pki --out pki --name bmc.example.org
  $ bmc-service serve --listen 0.0.0.0:4443 --data /var/lib/bmc-service --pki pki
  A simulated BMC on this machine:
  $ bmc-service serve --data data --pki pki --bmc-address 52:54:00:b1:00:01=127.0.0.1:9001

Exit codes: 0 stopped by a signal, 64 wrong usage, 70 a bug, 75 another service works with the data
  directory, 78 certificates, key, database or an address are not usable (the message names which and why).
`;

interface ServeOptions {
  readonly listen: Endpoint;
  readonly data: string;
  readonly pki: string;
  readonly health?: Endpoint;
  readonly key?: string;
  readonly bmcAddress: ReadonlyMap<string, Endpoint>;
  readonly bmcNetworks: readonly Network[];
  readonly agentCertificate: readonly SubjectAttributes[];
  readonly freshFor: number;
  readonly sessionFor: number;
  readonly sessionIdle: number;
  readonly insecurePlaintext: boolean;
  readonly maxLogins: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  readonly maxSessions: number;
  readonly maxSessionsPerAddress: number;
  readonly maxMachines: number;
  readonly maxNewMachines: number;
  readonly maxBegins: number;
  readonly maxWrongTokens: number;
  readonly keepUnproved: number;
  readonly keepConflicts: number;
  readonly userPrefix: string;
  readonly privilege: "operator" | "administrator";
  readonly logLevel: LogLevel;
}

/** @param stop resolves when the process is told to end */
export function serveCommand(
  environment: Readonly<Record<string, string | undefined>>,
  stop: () => Promise<unknown>,
): Command {
  return new Command("serve")
    .summary("run the service")
    .description("Serves agents (EnrolmentService) and operators (BmcService): gRPC over mutual TLS 1.3.")
    .addOption(
      endpointOption("--listen <HOST:PORT>", "where to serve gRPC").default(
        { host: "127.0.0.1", port: 4443 },
        "127.0.0.1:4443",
      ),
    )
    .requiredOption("--data <DIR>", "directory of the database; made if it is missing")
    .requiredOption("--pki <DIR>", "directory of the certificates")
    .addOption(
      endpointOption(
        "--health <HOST:PORT>",
        "where to serve /healthz and /metrics, plain HTTP (default: 127.0.0.1, one port above --listen; any free one if that is taken)",
      ),
    )
    .addOption(
      new Option(
        "--bmc-address <MAC=HOST:PORT...>",
        "where to reach a BMC that is not at the address it reports, for example a simulated one; may be repeated",
      )
        .argParser(addAddress)
        .default(new Map(), "the reported addresses"),
    )
    .addOption(
      new Option(
        "--bmc-networks <CIDR,...>",
        "where BMCs may be; the service logs in nowhere else (default: everywhere but at its own machine's and link-local addresses, which a network of this list can allow: 127.0.0.0/8, ::1, 169.254.0.0/16, fe80::/10)",
      )
        .argParser(addNetworks)
        .default([], "see above"),
    )
    .addOption(
      new Option(
        "--agent-certificate <SUBJECT...>",
        "certificates with these attributes in their subject (CN=grpc-client,OU=DevOps) are agents' and nobody else's, as if they had OU=agent; may be repeated",
      )
        .argParser(addSubject)
        .default([], "none"),
    )
    .option("--key <FILE>", "key of the secrets in the database (default: see below)")
    .addOption(
      durationOption(
        "--fresh-for <DURATION>",
        "how long after a remote login a machine that boots leaves its BMC alone",
      ).default(30 * 86_400_000, "30d"),
    )
    .addOption(durationOption("--session-for <DURATION>", "how long one enrolment may take").default(3_600_000, "1h"))
    .addOption(
      durationOption(
        "--session-idle <DURATION>",
        "how long an enrolment that says nothing keeps others of the same machine waiting",
      ).default(60_000, "60s"),
    )
    .addOption(new Option("--max-logins <N>", "remote logins at once; more wait").argParser(parseLogins).default(16))
    .addOption(countOption("--max-connections <N>", "connections at once").default(defaultLimits.connections))
    .addOption(
      countOption("--max-connections-per-address <N>", "of those, from one address").default(
        defaultLimits.connectionsPerAddress,
      ),
    )
    .addOption(countOption("--max-sessions <N>", "enrolments whose time is not over").default(defaultLimits.sessions))
    .addOption(
      countOption("--max-sessions-per-address <N>", "of those, from one address").default(
        defaultLimits.sessionsPerAddress,
      ),
    )
    .addOption(
      countOption("--max-machines <N>", "machines that are known, and as many BMCs").default(defaultLimits.machines),
    )
    .addOption(
      countOption(
        "--max-new-machines <N>",
        "machines not known before, per day from one address with one certificate or token",
      ).default(defaultLimits.newMachinesPerDay),
    )
    .addOption(
      countOption(
        "--max-begins <N>",
        "how often a machine may begin with one certificate or token, per minute",
      ).default(defaultLimits.beginsPerMinute),
    )
    .addOption(
      countOption("--max-wrong-tokens <N>", "enrolment tokens that open nothing from one address, per minute").default(
        defaultLimits.wrongTokensPerMinute,
      ),
    )
    .addOption(
      durationOption(
        "--keep-unproved <DURATION>",
        "when a row is forgotten that no remote login has proved, after its machine was last heard",
      ).default(90 * 86_400_000, "90d"),
    )
    .addOption(
      durationOption(
        "--keep-conflicts <DURATION>",
        "when a conflict is forgotten, after it was last claimed or decided",
      ).default(90 * 86_400_000, "90d"),
    )
    .addOption(
      new Option("--user-prefix <PREFIX>", "how the user names of new accounts begin")
        .argParser(parsePrefix)
        .default("rivet"),
    )
    .addOption(
      new Option("--privilege <LEVEL>", "privilege of new accounts")
        .choices(["operator", "administrator"])
        .default("administrator"),
    )
    .option(
      "--insecure-plaintext",
      "speak no TLS, for tests; only with --listen on 127.0.0.1 or [::1]. Whoever can use this machine is agent and admin",
      false,
    )
    .addOption(new Option("--log-level <LEVEL>", "least level of log lines").choices(logLevels).default("info"))
    .addHelpText("after", more)
    .action(async (options: ServeOptions) => {
      const log = newLog(options.logLevel);
      const privilege = options.privilege === "operator" ? 3 : 4;
      const service = await startService(
        {
          listen: options.listen,
          data: options.data,
          pki: options.pki,
          health: options.health,
          key: options.key,
          addresses: options.bmcAddress,
          networks: new BmcNetworks(options.bmcNetworks),
          agentCertificates: options.agentCertificate,
          freshForMs: options.freshFor,
          sessionMs: options.sessionFor,
          sessionIdleMs: options.sessionIdle,
          insecurePlaintext: options.insecurePlaintext,
          mostLogins: options.maxLogins,
          limits: {
            ...defaultLimits,
            connections: options.maxConnections,
            connectionsPerAddress: options.maxConnectionsPerAddress,
            sessions: options.maxSessions,
            sessionsPerAddress: options.maxSessionsPerAddress,
            machines: options.maxMachines,
            newMachinesPerDay: options.maxNewMachines,
            beginsPerMinute: options.maxBegins,
            wrongTokensPerMinute: options.maxWrongTokens,
          },
          keep: { unprovedMs: options.keepUnproved, conflictsMs: options.keepConflicts },
          policy: {
            userNamePrefix: options.userPrefix,
            privilege,
            verificationRequired: true,
            consoleUserWanted: false,
          },
          handOffLimits: defaultHandOffLimits,
          powerPatience: defaultPowerPatience,
        },
        { environment, connect: connectLan, log },
      );
      await stop();
      await service.stop();
    });
}

function addAddress(text: string, before: ReadonlyMap<string, Endpoint>): ReadonlyMap<string, Endpoint> {
  try {
    const [mac, endpoint] = parseAddressEntry(text);
    if (before.has(mac)) throw new RangeError(`${mac} is given twice`);
    return new Map([...before, [mac, endpoint]]);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function addNetworks(text: string, before: readonly Network[]): readonly Network[] {
  try {
    return [...before, ...text.split(",").map(parseNetwork)];
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function addSubject(text: string, before: readonly SubjectAttributes[]): readonly SubjectAttributes[] {
  try {
    return [...before, parseSubject(text)];
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function parseLogins(text: string): number {
  const number = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (number < 1) throw new InvalidArgumentError("give a number from 1 to 9999");
  return number;
}

/** A user name has 16 characters; half of them are left for what tells accounts apart. */
function parsePrefix(text: string): string {
  if (!/^[a-z][a-z0-9]{0,7}$/.test(text)) {
    throw new InvalidArgumentError("give 1 to 8 lower-case letters and digits, a letter first");
  }
  return text;
}
