/** What an agent says of a row that is proved is short, and nobody takes it for the service's own words. */
const mark = "told by the agent, not proved: ";
const mostCharacters = 512;

/** @param context what the service says of it itself */
export function unprovedText(told: string, context = ""): string {
  return `${mark}${context}${shortened(told)}`;
}

/** Characters; the end is left out. */
function shortened(told: string): string {
  return told.length <= mostCharacters ? told : `${told.slice(0, mostCharacters - 1)}…`;
}

/** A remark of the service with what an agent says behind it, in the place of what one has said before. */
export function withUnproved(remark: string, unproved: string): string {
  const [own = ""] = remark.split(mark);
  const proved = own.replace(/; $/, "");
  return proved === "" ? unproved : `${proved}; ${unproved}`;
}

/** Whether it is made by unprovedText. */
export function isUnproved(text: string): boolean {
  return text.startsWith(mark);
}
