/**
 * How much a decoded value holds: bytes of arrays, characters of texts, and 8 for each thing that is in it. What is referred to
 * twice counts twice, as it does once somebody prints it.
 * @param enough stops counting when more than this is found
 */
export function valueSize(value: unknown, enough: number): number {
  let size = 0;
  const above = new Set<object>();
  const count = (each: unknown): void => {
    size += 8;
    if (typeof each === "string") size += each.length;
    else if (typeof each === "bigint") size += each.toString(16).length / 2;
    else if (typeof each === "object" && each !== null) countObject(each);
  };
  const countAll = (items: Iterable<unknown>): void => {
    for (const item of items) {
      if (size > enough) return;
      count(item);
    }
  };
  const countObject = (each: object): void => {
    if (ArrayBuffer.isView(each)) {
      size += each.byteLength;
      return;
    }
    if (above.has(each)) return;
    above.add(each);
    if (each instanceof Map) {
      for (const [key, item] of each) {
        if (size > enough) break;
        count(key);
        count(item);
      }
    } else if (Symbol.iterator in each) {
      countAll(each as Iterable<unknown>);
    } else {
      countAll(Object.values(each));
    }
    above.delete(each);
  };
  count(value);
  return size;
}
