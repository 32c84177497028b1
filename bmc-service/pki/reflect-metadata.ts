/**
 * @peculiar/x509 finds its algorithms through a container (tsyringe) that does not load unless Reflect can tell
 * metadata of decorators. Nothing is injected into any constructor there, so that "none" is the right answer.
 */
const withoutMetadata = {
  getMetadata: () => undefined,
  getOwnMetadata: () => undefined,
  defineMetadata: () => undefined,
};

for (const [name, value] of Object.entries(withoutMetadata)) {
  if (!(name in Reflect)) Object.defineProperty(Reflect, name, { value, configurable: true, writable: true });
}
