/**
 * Philox4x32-10: four random words of 32 bits for each counter, from a key, with nothing carried between counters.
 *
 * So what is drawn for a token depends on seed, row and place alone, not on what was drawn before or beside it. It uses
 * integer operations only: the same words on every engine. Salmon, Moraes, Dror and Shaw 2011; `philox.test.ts` holds
 * the known answers of its authors' Random123.
 */
export class Philox {
  /** The words of the counter last given. */
  readonly words = new Uint32Array(4);
  private readonly low: number;
  private readonly high: number;

  /** @param seed - a whole number from 0 to 2^53 − 1: the key's 64 bits */
  constructor(seed: number) {
    this.low = seed >>> 0;
    this.high = Math.floor(seed / 0x1_0000_0000) >>> 0;
  }

  /** Fills `words` for a counter of four words. */
  draw(first: number, second: number, third = 0, fourth = 0): Uint32Array {
    let c0 = first;
    let c1 = second;
    let c2 = third;
    let c3 = fourth;
    let k0 = this.low;
    let k1 = this.high;
    for (let round = 0; round < 10; round++) {
      const high0 = highProduct(0xd2511f53, c0);
      const high1 = highProduct(0xcd9e8d57, c2);
      const low0 = Math.imul(0xd2511f53, c0);
      const low1 = Math.imul(0xcd9e8d57, c2);
      c0 = high1 ^ c1 ^ k0;
      c1 = low1;
      c2 = high0 ^ c3 ^ k1;
      c3 = low0;
      k0 = (k0 + 0x9e3779b9) | 0;
      k1 = (k1 + 0xbb67ae85) | 0;
    }
    const { words } = this;
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
    return words;
  }
}

/** The upper 32 bits of a product of two words, from halves: no partial sum passes 32 bits. */
function highProduct(left: number, right: number): number {
  const leftHigh = left >>> 16;
  const leftLow = left & 0xffff;
  const rightHigh = right >>> 16;
  const rightLow = right & 0xffff;
  const middle = leftHigh * rightLow + ((leftLow * rightLow) >>> 16);
  const cross = leftLow * rightHigh + (middle & 0xffff);
  return leftHigh * rightHigh + (middle >>> 16) + (cross >>> 16);
}
