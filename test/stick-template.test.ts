import { expect, test } from "vitest";
import { readDocument } from "../agent/config/document.ts";
import { stickFiles } from "../image/stick-files.ts";

const read = (text: string) => readDocument(Buffer.from(text), "metal-rivet.yaml");
const template = stickFiles("EFI/BOOT/BOOTX64.EFI", Buffer.alloc(0), undefined).get("metal-rivet.yaml")?.toString();

test("the stick's document is all comment until somebody fills it in, and each key in it is one of the agent's", async () => {
  if (template === undefined) throw new Error("the stick has no document");
  await expect(read(template)).rejects.toThrow(/is empty/);
  // What a key's "#" hides stands at once behind it; sentences have a blank there.
  const { values } = await read(template.replaceAll(/^#(?=\S| {2}\S)/gm, ""));
  expect([...values.keys()]).toEqual(["service", "ca", "token", "site", "report_key", "then"]);
});
