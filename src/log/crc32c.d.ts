/** The library has types for its main file alone. */
declare module "crc-32/crc32c.js" {
  const crc32c: {
    /** The CRC-32C of bytes, as a signed 32-bit integer. */
    buf(data: Uint8Array, seed?: number): number;
  };
  export default crc32c;
}
