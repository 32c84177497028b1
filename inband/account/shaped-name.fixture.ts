import { generateUserName } from "./credentials.ts";

/** A name of our shape with the prefix "rivet", always the same for the same number, from 1 on. */
export function shapedName(nth: number): string {
  let drawn = nth;
  return generateUserName("rivet", (below) => {
    drawn = (drawn * 16_807) % 2_147_483_647;
    return drawn % below;
  });
}
