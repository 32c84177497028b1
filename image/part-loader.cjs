// Loads a part of a program from the executable's assets: a bundle, and beside it the code cache that V8 made of it when
// the program was built. The build puts this in the place of the part's own file.
const { getAsset, getAssetKeys, getRawAsset } = require("node:sea");
const { Script } = require("node:vm");

exports.loadPart = (name) => {
  const cache = `${name}.cache`;
  // a program that was built for another architecture than the builder's has none
  const cachedData = getAssetKeys().includes(cache) ? Buffer.from(getRawAsset(cache)) : undefined;
  const script = new Script(getAsset(name, "utf8"), { filename: name, cachedData });
  // slow, but right; the build looks for these words
  if (script.cachedDataRejected) process.emitWarning(`Code cache data rejected: ${name}`);
  const module = { exports: {} };
  script.runInThisContext()(require, module, module.exports);
  return module.exports;
};
