// Stands in for @grpc/proto-loader in the bundles: this project's messages are generated beforehand (proto/gen), and the
// loader would bring a parser of .proto files into every program.
const refuse = () => {
  throw new Error("loading .proto files at run time is not part of this program");
};
module.exports = { load: refuse, loadSync: refuse, loadFileDescriptorSetFromBuffer: refuse };
