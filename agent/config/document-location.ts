/** Whether a document is to be fetched; otherwise its location is a path. */
export const isUrl = (location: string): boolean => /^https?:\/\//.test(location);

/** The URL as it may be shown: user and password in it are hidden, and so is the query, which may carry a token. */
export function withoutCredentials(url: string): string {
  const parsed = URL.parse(url);
  if (!parsed) return "[not a URL]";
  const user = parsed.username || parsed.password ? "[hidden]@" : "";
  return `${parsed.protocol}//${user}${parsed.host}${parsed.pathname}${parsed.search ? "?[hidden]" : ""}`;
}
