/**
 * Trends of a few noisy numbers, without a shape assumed: Kendall's test of a monotone trend, exact and with ties, and
 * the Theil–Sen slope.
 */
export interface Trend {
  /** Concordant less discordant pairs, over all pairs: 1 for a series that only rises, -1 for one that only falls. */
  readonly tau: number;
  /** Chance of so many rising pairs or more, where every order of the values is as likely as another. */
  readonly pRise: number;
  /** Chance of so many falling pairs or more. */
  readonly pFall: number;
  /** Median of the slopes of all pairs (Theil 1950, Sen 1968), a step. */
  readonly slope: number;
}

/** The trend of values at steps that rise; both are finite and as many. */
export function trendOf(steps: readonly number[], values: readonly number[]): Trend {
  let [rising, falling] = [0, 0];
  const slopes: number[] = [];
  for (let j = 1; j < values.length; j++) {
    for (let i = 0; i < j; i++) {
      if (values[j]! > values[i]!) rising++;
      else if (values[j]! < values[i]!) falling++;
      slopes.push((values[j]! - values[i]!) / (steps[j]! - steps[i]!));
    }
  }
  const chances = inversionChances(tieSizes(values));
  const upTo = (count: number) =>
    Math.min(
      1,
      chances.slice(0, count + 1).reduce((sum, chance) => sum + chance, 0),
    );
  return {
    tau: slopes.length > 0 ? (rising - falling) / slopes.length : 0,
    // A rise has few falling pairs; with the ties fixed, both counts have the same distribution.
    pRise: upTo(falling),
    pFall: upTo(rising),
    slope: medianOf(slopes),
  };
}

/** How often each value occurs. */
function tieSizes(values: readonly number[]): number[] {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts.values()];
}

/**
 * The distribution of the number of inversions over all orders of a multiset: the product of Gaussian binomial
 * coefficients [t₁ + … + t_k choose t_k], all of whose coefficients are positive, so that nothing cancels.
 */
function inversionChances(sizes: readonly number[]): number[] {
  let chances = [1];
  let placed = 0;
  for (const size of sizes) {
    chances = convolve(chances, boxChances(placed, size));
    placed += size;
  }
  return chances;
}

/** Chances of the inversions between `left` earlier values and `right` equal ones: a Gaussian binomial, normed. */
function boxChances(left: number, right: number): number[] {
  // row[b] is for b of the equal ones; a value more comes last (over none of them) or an equal one does (under all).
  let rows: number[][] = Array.from({ length: right + 1 }, () => [1]);
  for (let a = 1; a <= left; a++) {
    const next: number[][] = [[1]];
    for (let b = 1; b <= right; b++) {
      const [withValue, withEqual] = [b / (a + b), a / (a + b)];
      const mixed = new Array<number>(a * b + 1).fill(0);
      // The last of a + b places holds an equal one with chance b / (a + b), then nothing is before a smaller one.
      for (const [k, chance] of next[b - 1]!.entries()) mixed[k]! += withValue * chance;
      for (const [k, chance] of rows[b]!.entries()) mixed[k + b]! += withEqual * chance;
      next.push(mixed);
    }
    rows = next;
  }
  return rows[right]!;
}

function convolve(left: readonly number[], right: readonly number[]): number[] {
  const product = new Array<number>(left.length + right.length - 1).fill(0);
  for (const [i, a] of left.entries()) for (const [j, b] of right.entries()) product[i + j]! += a * b;
  return product;
}

function medianOf(values: number[]): number {
  if (values.length === 0) return 0;
  values.sort((a, b) => a - b);
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2;
}
