import { expect, it } from "vitest";
import { decodeFloat16 } from "./index.js";

const view = new DataView(new ArrayBuffer(4));

/** binary16 widened by moving bits: an independent way, through the bit pattern of the float32 result. */
function widened(half: number): number {
  const [sign, exponent] = [(half & 0x8000) << 16, (half >> 10) & 0x1f];
  let mantissa = half & 0x3ff;
  if (exponent === 31) view.setUint32(0, (sign | 0x7f800000 | (mantissa << 13)) >>> 0);
  else if (exponent > 0) view.setUint32(0, (sign | ((exponent + 112) << 23) | (mantissa << 13)) >>> 0);
  else if (mantissa === 0) view.setUint32(0, sign >>> 0);
  else {
    // A subnormal half is a normal float32: shift its leading bit out.
    let shift = 0;
    while ((mantissa & 0x400) === 0) {
      mantissa <<= 1;
      shift++;
    }
    view.setUint32(0, (sign | ((113 - shift) << 23) | ((mantissa & 0x3ff) << 13)) >>> 0);
  }
  return view.getFloat32(0);
}

it("decodes all 65,536 patterns of float16 exactly, −0 and infinities by identity, NaN as NaN", () => {
  const decoded = decodeFloat16(Uint16Array.from({ length: 65536 }, (_, bits) => bits));
  const wrong = Array.from(decoded, (value, bits) => ({ bits, value, wanted: widened(bits) })).filter(
    ({ value, wanted }) => !Object.is(value, wanted),
  );
  expect(wrong).toEqual([]);
});

it.each([
  [0x3c00, 1],
  [0xc000, -2],
  [0x7bff, 65504],
  [0x0400, 2 ** -14],
  [0x0001, 2 ** -24],
  [0x3555, 0.333251953125],
  [0x7c00, Infinity],
  [0xfc00, -Infinity],
  [0x7e00, NaN],
  [0x8000, -0],
])("decodes 0x%s as IEEE 754 says", (bits, value) => {
  expect(decodeFloat16(Uint16Array.of(bits))[0]).toBe(value);
});
