import { InvalidArgumentError } from "commander";
import { wrap } from "../lab/screen.ts";
import type { Profile } from "./profile.ts";
import { everyProfile } from "./variants.ts";

/** The profile of that name, for a program's option. @throws InvalidArgumentError that lists those that there are */
export function knownProfile(name: string): Profile {
  const profile = everyProfile.get(name);
  if (profile !== undefined) return profile;
  const names = wrap([...everyProfile.keys()].join(", "), 78).join("\n");
  throw new InvalidArgumentError(`There is no such profile. There are:\n${names}`);
}
