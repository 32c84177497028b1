// The first lines of every program that is built (build.mjs). Node and its gRPC library print what they move, passwords
// included, if their environment says so, and the kernel hands words of its command line on as such to its init. Node has read
// it by now: so a program that finds such a variable takes its own place without, under the name by which it was called.
if (Object.keys(process.env).some((name) => /^(NODE|GRPC)_/.test(name))) {
  const plain = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE|GRPC)_/.test(name)));
  process.execve(process.execPath, [process.argv0, ...process.argv.slice(2)], plain);
}
