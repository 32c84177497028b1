/** One line for whoever watches: what is waited for and for how long, what was learnt. Never a secret. */
export type Note = (text: string) => void;
