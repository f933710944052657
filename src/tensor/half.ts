/**
 * IEEE 754 binary16 to float32, exactly: every binary16 number, subnormals and infinities included, is a float32.
 *
 * @param bits - the 16-bit patterns
 */
export function decodeFloat16(bits: Uint16Array): Float32Array {
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const half = bits[i]!;
    const exponent = (half >> 10) & 0x1f;
    const mantissa = half & 0x3ff;
    // 2^-24 is the unit of a subnormal; a normal number is (1024 + mantissa) · 2^(exponent − 25).
    const magnitude =
      exponent === 0
        ? mantissa / 16777216
        : exponent === 31
          ? mantissa === 0
            ? Number.POSITIVE_INFINITY
            : Number.NaN
          : exponent >= 25
            ? (1024 + mantissa) * (1 << (exponent - 25))
            : (1024 + mantissa) / (1 << (25 - exponent));
    out[i] = half & 0x8000 ? -magnitude : magnitude;
  }
  return out;
}
