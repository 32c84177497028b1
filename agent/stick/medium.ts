/** The lowest seam of the stick: its files while it is mounted. Tests stand in for it. Paths begin below its root, without "/". */
export interface MountedStick {
  /** Undefined if there is no such file. */
  read(path: string): Promise<Buffer | undefined>;
  /** A folder that is there stays. */
  makeFolder(path: string): Promise<void>;
  /** Writes a whole file; its content is on the medium when it resolves, its name may not be. */
  write(path: string, content: Uint8Array): Promise<void>;
  /** A file that has the name is replaced: at every instant one of the two has it. */
  rename(from: string, to: string): Promise<void>;
  /** Nothing happens if there is no such file. */
  remove(path: string): Promise<void>;
  /** Names in the folder are on the medium when it resolves. */
  syncFolder(path: string): Promise<void>;
  /** What was written is on the medium when it resolves. */
  unmount(): Promise<void>;
}

/** The stick in its port, mounted only while it is used: who pulls it at another time harms nothing. */
export interface StickMedium {
  /** Finds it and mounts it. @throws StickError */
  mount(access: "read" | "write"): Promise<MountedStick>;
  /** Has it looked for once more, where it was there and did not answer. */
  probeAgain(): void;
}

/** Mounts the stick for a piece of work. @throws StickError, and what the work throws */
export async function withStick<T>(
  medium: StickMedium,
  access: "read" | "write",
  work: (stick: MountedStick) => Promise<T>,
): Promise<T> {
  const stick = await medium.mount(access);
  let result: T;
  try {
    result = await work(stick);
  } catch (error) {
    // The first thing that went wrong is what is told.
    await stick.unmount().catch(() => undefined);
    throw error;
  }
  await stick.unmount();
  return result;
}
