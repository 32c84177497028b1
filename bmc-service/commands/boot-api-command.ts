import { Command, InvalidArgumentError, Option } from "commander";
import { type AllowRule, parseAllowRule } from "../boot/allow.ts";
import { startBootApi } from "../boot/boot-api.ts";
import { wordsProblem } from "../boot/kernel-words.ts";
import { ConfigError } from "../config-error.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import { type LogLevel, logLevels, newLog } from "../log.ts";
import { countOption, durationOption, endpointOption } from "./option-kinds.ts";

/** Longest life of a token that whoever asks by the network gets, ms; the service keeps this limit, too. */
const longestTtlMs = 3_600_000;

const more = `
Answers, by plain HTTP:
  /v1/boot/MAC      pixiecore's API mode: kernel, ramdisks, and a command line with a token for one enrolment
  /v1/dhcp/UUID     what metal-stack's pixie asks before its DHCP offer; no token
  /boot.ipxe        script for iPXE, for sites without pixiecore: DHCP names it as the boot file
  /metal-rivet.efi  --uki for UEFI HTTP boot: DHCP names it to clients of the class HTTPClient. Its command line is put in
                    when it is served, unless it is signed or has rivet.config= or rivet.service= already
  /config.yaml      the document: service, CA and what --config says. /ca.pem: the CA
  /enrol.yaml       the document with a token, for a signed --uki that was built with rivet.config=URL/enrol.yaml

Who is allowed (--allow; any of them is enough):
  all               whoever asks
  10.1.0.0/16,...   who asks from there: the machine itself, or pixiecore for it
  leases:FILE       machines with a lease in a file of dnsmasq, ISC dhcpd or Kea (memfile). A machine that has never
                    booted gets its first lease while it asks: it is booted at its second try

Tokens: made by the service, with the certificate boot.pem, which may do nothing else. Who asks again gets the same one
while it is unused and half of its time is left; then the next one takes its place. "bmcctl token ls" and the audit log
name the machines. What goes out by HTTP can be read by others on the way: keep this on the network that machines boot
in, and --token-ttl short.

Standard output carries the log, one JSON object a line. GET /metrics on --health is for Prometheus.

Examples:
  $ bmc-service boot-api --listen 10.0.0.1:8080 --service 10.0.0.1:4443 --pki pki --images dist/image --allow all
  $ pixiecore api http://10.0.0.1:8080
  metal-hammer with the overlay behind its ramdisk:
  $ bmc-service boot-api ... --kernel https://images.example.org/metal-kernel \\
      --initrd https://images.example.org/metal-hammer-initrd.img.lz4 --initrd overlay.img

Exit codes: 0 stopped by a signal, 64 wrong usage, 70 a bug, 78 certificates, images or an address are not usable.
`;

interface BootApiOptions {
  readonly listen: Endpoint;
  readonly url?: URL;
  readonly health?: Endpoint;
  readonly service: Endpoint;
  readonly serviceForMachines?: Endpoint;
  readonly pki: string;
  readonly role: "boot" | "operator";
  readonly images: string;
  readonly kernel: string;
  readonly initrd?: readonly string[];
  readonly uki: string;
  readonly cmdline: string;
  readonly config?: string;
  readonly allow: readonly AllowRule[];
  readonly tokenTtl: number;
  readonly maxBoots: number;
  readonly throughPixiecore: boolean;
  readonly logLevel: LogLevel;
}

/** @param stop resolves when the process is told to end */
export function bootApiCommand(stop: () => Promise<unknown>): Command {
  return new Command("boot-api")
    .summary("boot machines from the network, each with a token")
    .description(
      "Tells pixiecore, iPXE and UEFI firmware what to boot, and serves it. Each machine gets a token of its own.",
    )
    .addOption(endpointOption("--listen <HOST:PORT>", "where to serve HTTP").makeOptionMandatory())
    .addOption(
      new Option(
        "--url <URL>",
        "under which machines reach it, http://HOST[:PORT] (default: http://, and --listen)",
      ).argParser(parseUrl),
    )
    .addOption(endpointOption("--service <HOST:PORT>", "the BMC service").makeOptionMandatory())
    .addOption(
      endpointOption("--service-for-machines <HOST:PORT>", "the same as machines reach it (default: as --service)"),
    )
    .requiredOption("--pki <DIR>", "directory with ca.pem and the certificate of --role")
    .addOption(
      new Option("--role <ROLE>", "whose certificate is shown to the service")
        .choices(["boot", "operator"])
        .default("boot"),
    )
    .requiredOption("--images <DIR>", "directory of kernel, ramdisk and UEFI program")
    .option("--kernel <NAME|URL>", "kernel: a file in --images, or a URL", "vmlinuz")
    .addOption(
      new Option(
        "--initrd <NAME|URL>",
        "ramdisk: a file in --images, or a URL; may be repeated, later ones win (default: initramfs.img)",
      ).argParser((text, before: readonly string[] = []) => [...before, text]),
    )
    .option("--uki <NAME>", "UEFI program in --images, if it is there", "metal-rivet.efi")
    .addOption(
      new Option("--cmdline <WORDS>", "more words for the kernel command line, for example console=ttyS1,115200")
        .argParser(parseWords)
        .default("", "none"),
    )
    .option(
      "--config <FILE>",
      "more keys for the document that every machine gets (YAML): nothing secret; what machines would refuse ends it at once",
    )
    .addOption(
      new Option("--allow <RULE>", "who is booted: all, networks or leases:FILE (see below); may be repeated")
        .argParser(addRule)
        .makeOptionMandatory(),
    )
    .addOption(
      durationOption("--token-ttl <DURATION>", "how long a token is good, an hour at most").default(900_000, "15m"),
    )
    .addOption(
      countOption("--max-boots <N>", "boots that one address may ask for, per minute: pixiecore asks for all").default(
        600,
      ),
    )
    .option("--through-pixiecore", "machines reach nothing but pixiecore: it fetches the document for them, too", false)
    .addOption(
      endpointOption(
        "--health <HOST:PORT>",
        "where to serve /healthz and /metrics (default: a free port of 127.0.0.1)",
      ),
    )
    .addOption(new Option("--log-level <LEVEL>", "least level of log lines").choices(logLevels).default("info"))
    .addHelpText("after", more)
    .action(async (options: BootApiOptions) => {
      const { initrd = ["initramfs.img"], cmdline: words, maxBoots: mostPerMinute, tokenTtl: tokenTtlMs } = options;
      if (tokenTtlMs > longestTtlMs) throw new ConfigError("--token-ttl", "an hour (1h) is the most");
      await using _server = await startBootApi(
        {
          ...options,
          ...{ words, mostPerMinute, tokenTtlMs, initrds: initrd },
          url: options.url,
          config: options.config,
          health: options.health,
          serviceForMachines: serviceForMachines(options),
        },
        { log: newLog(options.logLevel) },
      );
      await stop();
    });
}

/** @throws ConfigError for an address that is this machine's own only */
function serviceForMachines({ service, serviceForMachines: given }: BootApiOptions): Endpoint {
  const told = given ?? service;
  if (!/^(127\.|::1$|localhost$)/.test(told.host)) return told;
  throw new ConfigError("--service-for-machines", `no other machine reaches ${formatEndpoint(told)}: tell how they do`);
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  const isPlain =
    url !== null && url.protocol === "http:" && url.pathname === "/" && url.search === "" && url.hash === "";
  if (!isPlain || url.username !== "") throw new InvalidArgumentError("give http://HOST or http://HOST:PORT");
  return url;
}

function parseWords(text: string): string {
  const problem = wordsProblem(text);
  if (problem !== undefined) throw new InvalidArgumentError(problem);
  return text;
}

function addRule(text: string, before: readonly AllowRule[] = []): readonly AllowRule[] {
  try {
    return [...before, parseAllowRule(text)];
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}
