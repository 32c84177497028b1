/**
 * Logins that ask for no good password, as a BMC tells them by its LAN parameters; and how that is said to an operator, who
 * hears it from the machine's own side and from remote.
 */

/** Suite 0 asks for no password, suite 1 protects nothing after the login. IPMI 2.0 table 22-20. */
const weakSuites: ReadonlySet<number> = new Set([0, 1]);

export const isWeakSuite = (suite: number | undefined): boolean => suite !== undefined && weakSuites.has(suite);

/**
 * The weak cipher suites that are switched on.
 * @param suites the used entries of the list
 * @param levels of each entry, in the order of the list: its greatest privilege; 0 switches it off
 */
export function weakSuitesOn(suites: readonly number[], levels: readonly number[]): number[] {
  return suites.filter((suite, at) => isWeakSuite(suite) && levels[at] !== 0);
}

/** "cipher suites 0 and 1". */
export function cipherSuitesText(suites: readonly number[]): string {
  return `cipher suite${suites.length > 1 ? "s" : ""} ${suites.join(" and ")}`;
}

/** Whether IPMI 1.5 lets anybody in at some level. */
export function allowsTypeNone(enables: Readonly<Record<string, { readonly none: boolean }>>): boolean {
  return Object.values(enables).some(({ none }) => none);
}

export const typeNoneText = 'authentication type "none"';

/** @param what "cipher suite 0" */
export function weakLoginText(what: string, channel: number): string {
  return `Logins with ${what} are allowed on channel ${channel}.`;
}

/** Whether a finding is one of those. */
export function isWeakLoginText(finding: string): boolean {
  return /^Logins with .* are allowed on channel \d+\.$/.test(finding);
}
