/** The texts that depmod makes: modules.dep(5), modules.alias. Pure: no file is read here. */

/** "kernel/drivers/i2c/busses/i2c-i801.ko.xz" -> "i2c_i801": the name by which the kernel knows the module. */
export function moduleName(path: string): string {
  const file = path.slice(path.lastIndexOf("/") + 1);
  return file.replace(/\.ko(\.(xz|zst|gz))?$/, "").replaceAll("-", "_");
}

/** modules.dep by module name: the path of each file, and the paths of all that it needs, the last of which loads first. */
export type ModuleDependencies = ReadonlyMap<string, { readonly path: string; readonly needs: readonly string[] }>;

/** Lines without a colon are left out: a damaged list must not stop the boot. */
export function parseModulesDep(text: string): ModuleDependencies {
  const found = new Map<string, { path: string; needs: string[] }>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const path = line.slice(0, colon).trim();
    found.set(moduleName(path), {
      path,
      needs: line
        .slice(colon + 1)
        .split(" ")
        .filter(Boolean),
    });
  }
  return found;
}

/** The files to load for one module, in their order, itself last; undefined for a module that is no file. */
export function loadOrder(dependencies: ModuleDependencies, name: string): string[] | undefined {
  const module = dependencies.get(name.replaceAll("-", "_"));
  return module && [...module.needs.toReversed(), module.path];
}

/** Characters of a modalias by which lines are chosen; what is left is compared in full. */
const prefixCharacters = 64;

/**
 * The modules whose alias matches the modalias of a device, each once, in the order of the list. Comments and other lines than
 * "alias PATTERN MODULE" are left out.
 * @param list the text of modules.alias. It has some thousand lines, and is searched as a whole: taking each line apart costs
 * milliseconds, and under emulation a tenth of a second.
 */
export function modulesFor(list: string, modalias: string): string[] {
  const likely = new RegExp(`^alias (?=${anyPrefixOf(modalias.slice(0, prefixCharacters))})(\\S+) (\\S+)$`, "gm");
  const found = [...list.matchAll(likely)].filter(([, pattern = ""]) => matchesPattern(pattern, modalias));
  return [...new Set(found.map(([, , module = ""]) => module))];
}

/** A regular expression for what begins with a part of the text, up to a wildcard or the end; or with all of it. */
function anyPrefixOf(text: string): string {
  return text
    .split("")
    .reduceRight((rest, next) => `(?:[ *?[\\\\]|${next.replace(/[\\^$.*+?|()[\]{}]/, "\\$&")}${rest})`, "");
}

const regularExpressions = new Map<string, RegExp>();

/** fnmatch(3) without flags, as kmod uses it: `*`, `?` and `[...]` with ranges and a leading `!`. */
export function matchesPattern(pattern: string, text: string): boolean {
  const literal = /^[^*?[\\]*/.exec(pattern)?.[0] ?? "";
  if (!text.startsWith(literal)) return false;
  let expression = regularExpressions.get(pattern);
  if (!expression) {
    const source = pattern.replace(
      /\[([!^]?)([^\]]+)\]|[*?]|[\\^$.|+()[\]{}]/g,
      (token, not?: string, set?: string) => {
        if (token === "*") return ".*";
        if (token === "?") return ".";
        if (set !== undefined) return `[${not ? "^" : ""}${set.replace(/[\\^\]]/g, "\\$&")}]`;
        return `\\${token}`;
      },
    );
    expression = new RegExp(`^${source}$`, "s");
    regularExpressions.set(pattern, expression);
  }
  return expression.test(text);
}
