import { existsSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { LineCounter, parseDocument, visit, type Document as YamlFile } from "yaml";
import { parseServiceAddress } from "../service/address.ts";
import { type BmcClient, connectBmcService } from "../service/bmc.ts";
import { ServiceError } from "../service/service-error.ts";
import { ConfigError, UsageError } from "./failure.ts";
import { fileProblem } from "./file-problem.ts";
import { warnIfOpen } from "./open-file.ts";
import type { World } from "./world.ts";

export const outputFormats = ["table", "yaml", "json"] as const;
export type OutputFormat = (typeof outputFormats)[number];

export const roles = ["viewer", "operator", "admin"] as const;
export type Role = (typeof roles)[number];

/** The options that every command takes; each may stand in the file instead. */
export interface GlobalOptions {
  readonly service?: string;
  readonly pki?: string;
  readonly role?: Role;
  readonly output?: OutputFormat;
  /** Seconds. */
  readonly timeout?: number;
  readonly config?: string;
  /** No TLS, to a service on this machine; a flag only. */
  readonly insecurePlaintext?: boolean;
}

interface FileSettings {
  readonly file: string;
  readonly service?: string;
  readonly pki?: string;
  readonly role?: Role;
  readonly output?: OutputFormat;
  readonly timeout?: number;
}

/** The longest --timeout. Timers of Node end after 24 days. */
export const mostSeconds = 3_600;

const keys = ["service", "pki", "role", "output", "timeout"] as const;

/**
 * What was asked for: the flag first, then the file. Nothing is guessed.
 * @throws ConfigError if the file is wrong
 */
export function readSettings(options: GlobalOptions, env: World["env"]): GlobalOptions & { readonly file: string } {
  const fromFile = readFile(options.config, env);
  return { ...fromFile, ...options };
}

/**
 * Connects with the certificate of the role in the PKI directory; "operator" unless another is named.
 * @param limitMs longest wait for one answer, unless the settings name another
 * @param stderr is told of a key that others may read
 * @throws UsageError if service or PKI directory are not named; ConfigError if they cannot be used
 */
export function connect(
  settings: GlobalOptions & { readonly file: string },
  limitMs: number,
  stderr: World["stderr"],
): BmcClient {
  const { service: address, pki, role = "operator", file } = settings;
  if (address === undefined)
    throw new UsageError(`no service named: give --service HOST:PORT, or "service:" in ${file}`);
  const callLimitMs = settings.timeout === undefined ? limitMs : settings.timeout * 1_000;
  if (settings.insecurePlaintext === true) return connectPlaintext(address, callLimitMs);
  if (pki === undefined) throw new UsageError(`no PKI directory named: give --pki DIR, or "pki:" in ${file}`);
  const parts = { ca: join(pki, "ca.pem"), cert: join(pki, `${role}.pem`), key: join(pki, `${role}.key`) } as const;
  const ca = readPem(parts.ca);
  const cert = readOwn(parts.cert, pki);
  const key = readOwn(parts.key, pki);
  warnIfOpen(parts.key, statSync(parts.key).mode, stderr);
  try {
    return connectBmcService({ address, ca, cert, key, callLimitMs });
  } catch (error) {
    if (!(error instanceof ServiceError) || error.status !== "configuration") throw error;
    const [, part, rest] = /^(ca|cert|key): (.*)$/s.exec(error.message) ?? [];
    if (part === "ca" || part === "cert" || part === "key") {
      throw new ConfigError(`${parts[part]}: ${rest}`, { cause: error });
    }
    throw new UsageError(error.message, { cause: error });
  }
}

function connectPlaintext(address: string, callLimitMs: number): BmcClient {
  try {
    return connectBmcService({ address, plaintext: true, callLimitMs });
  } catch (error) {
    if (!(error instanceof ServiceError) || error.status !== "configuration") throw error;
    throw new UsageError(`--insecure-plaintext: ${error.message}`, { cause: error });
  }
}

/** Part of the role's certificate; if it is missing, the roles that there are are named. */
function readOwn(path: string, pki: string): Buffer {
  try {
    return readPem(path);
  } catch (error) {
    if (!(error instanceof ConfigError) || !isMissing(error.cause)) throw error;
    const there = rolesIn(pki);
    const advice = there.length === 0 ? "no role" : there.map((role) => `--role ${role}`).join(", ");
    throw new ConfigError(`${error.message}; it has the files for ${advice}`, { cause: error });
  }
}

function rolesIn(pki: string): readonly Role[] {
  const has = (name: string) => existsSync(join(pki, name));
  return roles.filter((role) => has(`${role}.pem`) && has(`${role}.key`));
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new ConfigError(
      `${path}: ${fileProblem(cause)}; --pki names a directory as "bmc-service init-pki" makes it`,
      {
        cause,
      },
    );
  }
}

function readFile(named: string | undefined, env: World["env"]): FileSettings {
  const home = env.HOME || homedir();
  const file = named ?? join(env.XDG_CONFIG_HOME || join(home, ".config"), "bmcctl.yaml");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    if (named === undefined && isMissing(cause)) return { file };
    throw new ConfigError(`${file}: ${fileProblem(cause)}`, { cause });
  }
  return { file, ...parseSettings(text, file, home) };
}

function parseSettings(text: string, file: string, home: string): Omit<FileSettings, "file"> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const [fault] = document.errors;
  if (fault) throw new ConfigError(`${at(fault.pos[0])}: not YAML: ${fault.message}`);
  visit(document, {
    Alias(_key, node) {
      if (node.resolve(document) !== undefined) return;
      throw new ConfigError(`${at(node.range?.[0] ?? 0)}: not YAML: the anchor of *${node.source} is missing`);
    },
  });
  const content = contentOf(document, file);
  if (content === null) return {};
  if (typeof content !== "object" || Array.isArray(content)) {
    throw new ConfigError(`${file}: give "key: value" lines; the keys are ${keys.join(", ")}`);
  }
  const found: { -readonly [key in keyof FileSettings]?: FileSettings[key] } = {};
  for (const [key, value] of Object.entries(content)) {
    const node = document.get(key, true);
    const offset = typeof node === "object" && node !== null && "range" in node ? (node.range as number[])[0] : 0;
    const where = at(offset ?? 0);
    switch (key) {
      case "service":
        found.service = expectAddress(expectText(value, key, where), where);
        break;
      case "pki":
        // No shell stands between the file and us: "~" is ours to expand, and a relative path is relative to the file.
        found.pki = resolve(dirname(resolve(file)), expectText(value, key, where).replace(/^~(?=\/|$)/, home));
        break;
      case "role":
        found.role = parseRole(value, where);
        break;
      case "output":
        found.output = parseOutput(value, where);
        break;
      case "timeout":
        if (typeof value !== "number" || !(value > 0 && value <= mostSeconds)) {
          throw new ConfigError(`${where}: timeout: give seconds, more than 0 and at most ${mostSeconds}`);
        }
        found.timeout = value;
        break;
      default:
        throw new ConfigError(`${where}: unknown key ${JSON.stringify(key)}; the keys are ${keys.join(", ")}`);
    }
  }
  return found;
}

/** Aliases are followed only here: a few lines of them may stand for more than fits into memory. */
function contentOf(document: YamlFile, file: string): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    throw new ConfigError(`${file}: not YAML: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

function expectText(value: unknown, key: string, where: string): string {
  if (typeof value !== "string" || value === "") throw new ConfigError(`${where}: ${key}: give a text`);
  return value;
}

function expectAddress(text: string, where: string): string {
  try {
    return parseServiceAddress(text).text;
  } catch (cause) {
    throw new ConfigError(`${where}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

function parseOutput(value: unknown, where: string): OutputFormat {
  const format = outputFormats.find((each) => each === value);
  if (format === undefined) throw new ConfigError(`${where}: output: give ${outputFormats.join(", ")}`);
  return format;
}

function parseRole(value: unknown, where: string): Role {
  const role = roles.find((each) => each === value);
  if (role === undefined) throw new ConfigError(`${where}: role: give ${roles.join(", ")}`);
  return role;
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ENOENT";
}
