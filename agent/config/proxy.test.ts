import { createServer, type IncomingMessage, request, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { ConfigError } from "./config-error.ts";
import { DocumentUnavailableError, fetchDocument } from "./fetch-document.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function listening(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const documentServer = () => listening(createServer((_, answer) => answer.end("service: h:1\n")));

/** A proxy that wants user and password if they are given. */
async function proxy(password?: string, refusal = 407) {
  const asked: string[] = [];
  const isAllowed = ({ headers }: IncomingMessage) =>
    password === undefined ||
    headers["proxy-authorization"] === `Basic ${Buffer.from(`boot:${password}`).toString("base64")}`;
  const server = createServer((question, answer) => {
    asked.push(`${question.method} ${question.url}`);
    if (!isAllowed(question)) return void answer.writeHead(refusal).end();
    request(question.url ?? "", (from) => {
      answer.writeHead(from.statusCode ?? 0, { via: "1.1 rack" });
      from.pipe(answer);
    }).end();
  });
  server.on("connect", (question, socket) => {
    asked.push(`CONNECT ${question.url}`);
    if (!isAllowed(question)) return void socket.end(`HTTP/1.1 ${refusal} No\r\n\r\n`);
    const [host = "", port] = (question.url ?? "").split(":");
    const onward = connect(Number(port), host, () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      onward.pipe(socket).pipe(onward);
    });
    onward.on("error", () => socket.end("HTTP/1.1 502 No\r\n\r\n"));
  });
  return { address: await listening(server), asked };
}

const options = { limitMs: 1_000 };
const failure = (url: string, by: string): Promise<Error> =>
  fetchDocument(url, { ...options, proxy: by }).then(
    () => new Error("it was fetched"),
    (error: Error) => error,
  );

test("http: the proxy is asked for the whole URL, with user and password if it has them", async () => {
  const url = `http://${await documentServer()}/site.yaml`;
  const open = await proxy();
  expect(Buffer.from(await fetchDocument(url, { ...options, proxy: `http://${open.address}` })).toString()).toBe(
    "service: h:1\n",
  );
  expect(open.asked).toEqual([`GET ${url}`]);
  const closed = await proxy("secret-word");
  await fetchDocument(url, { ...options, proxy: `http://boot:secret-word@${closed.address}` });
  expect(closed.asked).toEqual([`GET ${url}`]);
});

test("https: by CONNECT; what is behind it is the server's matter", async () => {
  const server = await documentServer();
  const { address, asked } = await proxy();
  const error = await failure(`https://${server}/site.yaml`, `http://${address}`);
  expect(asked[0]).toBe(`CONNECT ${server}`);
  expect(error).toBeInstanceOf(DocumentUnavailableError);
  expect(error.message).toContain(`by the proxy http://${address}/: `);
});

test("each hop that fails is named, and no password shown", async () => {
  const gone = "http://boot:secret-word@127.0.0.1:9";
  const { address } = await proxy("secret-word");
  const wrong = `http://boot:wrong-word@${address}`;
  const server = await documentServer();
  const errors = [
    await failure(`http://${server}/x`, gone),
    await failure(`https://${server}/x`, gone),
    await failure(`http://${server}/x`, wrong),
    await failure(`https://${server}/x`, wrong),
    await failure("https://127.0.0.1:9/x", `http://boot:secret-word@${address}`),
  ];
  expect(errors.map(({ message }) => message)).toEqual([
    expect.stringContaining("the proxy http://[hidden]@127.0.0.1:9/ is not reached: ECONNREFUSED"),
    expect.stringContaining("the proxy http://[hidden]@127.0.0.1:9/ is not reached: ECONNREFUSED"),
    expect.stringContaining(`the proxy http://[hidden]@${address}/ answers 407; it wants a user and a password`),
    expect.stringContaining(`opens no way to ${server}: it answers 407; it wants a user and a password`),
    expect.stringContaining("opens no way to 127.0.0.1:9: it answers 502"),
  ]);
  expect(errors.map((each) => each instanceof ConfigError)).toEqual([false, false, true, true, false]);
  expect(errors.map(({ message }) => message).join()).not.toMatch(/secret-word|wrong-word/);
});

test("a proxy that answers 401 to a wrong password, as tinyproxy does; a server behind one that answers so", async () => {
  const { address } = await proxy("secret-word", 401);
  const server = await listening(createServer((_, answer) => answer.writeHead(401).end()));
  const by = (password: string) => `http://boot:${password}@${address}`;
  const errors = [
    await failure(`http://${server}/x`, by("wrong-word")),
    await failure(`https://${server}/x`, by("wrong-word")),
    await failure(`http://${server}/x`, by("secret-word")),
  ];
  expect(errors.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^proxy: proxy: the proxy \S+, or the server .* answers 401; it wants a user and a password/),
    expect.stringContaining(`opens no way to ${server}: it answers 401; it wants a user and a password`),
    expect.stringMatching(/^document .*: the server behind the proxy \S+ answers 401; check the URL$/),
  ]);
  expect(errors.every((each) => each instanceof ConfigError)).toBe(true);
});
