import { describe, expect, test } from "vitest";
import { isShared, parseSubject } from "./agent-certificates.ts";

const subject = { CN: "grpc-client", OU: ["DevOps", "agents, shared"], O: "metal-stack", C: "DE", L: "", ST: "" };
const isAgent = (...texts: string[]) => isShared({ subject }, { issuer: undefined, shared: texts.map(parseSubject) });

describe("a certificate that agents share", () => {
  test.each([
    ["CN=grpc-client"],
    [" cn = grpc-client , ou=DevOps"],
    ["OU=agents\\, shared"],
    ["CN=grpc-client,OU=DevOps,O=metal-stack,C=DE"],
  ])("is known by %j", (text) => {
    expect(isAgent(text)).toBe(true);
  });

  test.each([["CN=grpc-clients"], ["CN=grpc-client,OU=Ops"], ["UID=grpc-client"], ["CN=GRPC-CLIENT"]])(
    "is another one than %j",
    (text) => {
      expect(isAgent(text)).toBe(false);
    },
  );

  test("is any of several, and none where none is named", () => {
    expect(isAgent("CN=x", "OU=DevOps")).toBe(true);
    expect(isAgent()).toBe(false);
  });

  test.each([
    ["", '"" does not begin with an attribute (CN, OU,'],
    ["grpc-client", "does not begin with an attribute"],
    ["CNAME=x", "does not begin with an attribute"],
    ["CN=", '"CN=" has no value'],
    ["CN=a,", '"" does not begin'],
    ["CN=a,cn=b", '"cn=b" names an attribute a second time'],
  ])("is not named by %j", (text, problem) => {
    expect(() => parseSubject(text)).toThrow(problem);
  });
});
