/**
 * The plain x86-64 of QEMU, and RDRAND, which every server has that was built since 2013: without it a kernel waits for a second,
 * under emulation, until it has gathered what the first random bytes are made of.
 */
export const processor = "qemu64,+rdrand";
