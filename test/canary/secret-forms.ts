/** One form in which a secret could lie somewhere. */
export interface SecretForm {
  readonly name: string;
  readonly bytes: Buffer;
  /** Looked for where white space and colons are taken out: dumps and wrapped lines. */
  readonly squeezed: boolean;
}

/** A shorter half says nothing: it may be there by chance. */
const shortestHalf = 8;

/** The forms in which a secret is looked for, the likely ones first. `secret` is ASCII, as passwords and tokens are. */
export function formsOf(secret: string): SecretForm[] {
  const bytes = Buffer.from(secret, "latin1");
  const hex = bytes.toString("hex");
  const pairs = hex.match(/../g) ?? [];
  const raw = (name: string, text: string | Buffer): SecretForm => ({
    name,
    bytes: Buffer.from(text),
    squeezed: false,
  });
  const dumped = (name: string, text: string): SecretForm => ({ name, bytes: Buffer.from(text), squeezed: true });
  const half = secret.length >> 1;
  const halves = [secret.slice(0, half), secret.slice(-half)].filter(({ length }) => length >= shortestHalf);
  const forms = [
    raw("plain", bytes),
    raw("reversed", Buffer.from(bytes).reverse()),
    raw("UTF-16LE", Buffer.from(secret, "utf16le")),
    raw("UTF-16BE", Buffer.from(secret, "utf16le").swap16()),
    dumped("hexadecimal", hex),
    dumped("hexadecimal, capitals", hex.toUpperCase()),
    dumped("hexadecimal numbers", pairs.map((each) => `0x${each}`).join(",")),
    dumped("decimal numbers", bytes.join(",")),
    raw("hexadecimal, reversed", Buffer.from(bytes).reverse().toString("hex")),
    ...[0, 1, 2].flatMap((before) => {
      const text = base64Within(bytes, before);
      return [dumped("base64", text), dumped("base64url", text.replaceAll("+", "-").replaceAll("/", "_"))];
    }),
    raw("JSON", JSON.stringify(secret).slice(1, -1)),
    raw("percent-encoded", encodeURIComponent(secret)),
    raw("percent-encoded throughout", pairs.map((each) => `%${each}`).join("")),
    raw("HTML", secret.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")),
    ...halves.map((each) => raw("half of it", each)),
  ];
  return forms.filter((form, i) => forms.findIndex((each) => each.bytes.equals(form.bytes)) === i);
}

/** What of the base64 text is the same whatever comes after the secret and however many bytes come before, modulo 3. */
function base64Within(bytes: Buffer, before: number): string {
  const text = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
  return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
}
