/** What a part counts, undivided. */
export interface PartSums {
  readonly numerator: number;
  readonly denominator: number;
  readonly rank: number;
}

/** What an aggregation makes of the parts: the loss, and what multiplies the gradient of each part's numerator. */
export interface Aggregated {
  readonly loss: number;
  readonly factors: readonly number[];
}

/** A way in which trainers put the parts of a step together. Simplest first in {@link aggregations}. */
export interface Aggregation {
  /** The words of the audit's JSON. */
  readonly name: string;
  /** What kind of mistake it is; `"none"` for the one right way. */
  readonly about: "none" | "parts" | "ranks";
  apply(parts: readonly PartSums[]): Aggregated;
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, x) => total + x, 0);
/** 0/0 is a part without a unit, which trainers drop or clamp: it adds nothing. */
const quotient = (numerator: number, denominator: number) => (denominator === 0 ? 0 : numerator / denominator);
const inverse = (denominator: number) => quotient(1, denominator);

const whole = (parts: readonly PartSums[]): Aggregated => {
  const denominator = sum(parts.map((part) => part.denominator));
  const loss = quotient(sum(parts.map((part) => part.numerator)), denominator);
  return { loss, factors: parts.map(() => inverse(denominator)) };
};

const sumOfMeans = (parts: readonly PartSums[]): Aggregated => ({
  loss: sum(parts.map(({ numerator, denominator }) => quotient(numerator, denominator))),
  factors: parts.map(({ denominator }) => inverse(denominator)),
});

const sumOfSums = (parts: readonly PartSums[]): Aggregated => ({
  loss: sum(parts.map((part) => part.numerator)),
  factors: parts.map(() => 1),
});

const rankSums = (parts: readonly PartSums[]): Aggregated => {
  const ranks = ranksOf(parts);
  const denominators = new Map(
    ranks.map((rank) => [rank, sum(parts.map((part) => (part.rank === rank ? part.denominator : 0)))]),
  );
  return {
    loss: sum(parts.map(({ numerator, rank }) => quotient(numerator, denominators.get(rank)!))),
    factors: parts.map(({ rank }) => inverse(denominators.get(rank)!)),
  };
};

const divided = ({ loss, factors }: Aggregated, by: number): Aggregated => ({
  loss: loss / by,
  factors: factors.map((factor) => factor / by),
});

function ranksOf(parts: readonly PartSums[]): number[] {
  return [...new Set(parts.map(({ rank }) => rank))];
}

/** How the parts of a step are put together, the right way first, then by how often it goes wrong. */
export function aggregations(parts: readonly PartSums[]): readonly Aggregation[] {
  const count = parts.length;
  const ranks = ranksOf(parts).length;
  const right: Aggregation = { name: "whole", about: "none", apply: whole };
  if (count === 1) return [right];
  const perPart: Aggregation[] = [
    { name: "mean of means", about: "parts", apply: (sums) => divided(sumOfMeans(sums), count) },
    { name: "sum of means", about: "parts", apply: sumOfMeans },
    { name: "sum of sums", about: "parts", apply: sumOfSums },
    { name: "mean of sums", about: "parts", apply: (sums) => divided(sumOfSums(sums), count) },
    {
      name: "whole, divided again by the number of parts",
      about: "parts",
      apply: (sums) => divided(whole(sums), count),
    },
  ];
  const lastOf = (factor: number) => parts.map((_, i) => (i === count - 1 ? factor : 0));
  const last = parts[count - 1]!;
  // Gradients cleared inside the loop: only what came last reaches the optimizer.
  const lastAlone: Aggregation[] = [
    {
      name: "whole, the gradient of the last part alone",
      about: "parts",
      apply: (sums) => ({ loss: whole(sums).loss, factors: lastOf(whole(sums).factors[0]!) }),
    },
    {
      name: "mean of the last part alone",
      about: "parts",
      apply: () => ({ loss: quotient(last.numerator, last.denominator), factors: lastOf(inverse(last.denominator)) }),
    },
    {
      name: "mean of means, the gradient of the last part alone",
      about: "parts",
      apply: (sums) => ({ loss: sumOfMeans(sums).loss / count, factors: lastOf(inverse(last.denominator) / count) }),
    },
  ];
  if (ranks === 1) return [right, ...perPart, ...lastAlone];
  const perRank: Aggregation[] = [
    { name: "rank mean", about: "ranks", apply: (sums) => divided(rankSums(sums), ranks) },
    { name: "rank sum", about: "ranks", apply: rankSums },
    {
      name: "whole, divided again by the number of ranks",
      about: "ranks",
      apply: (sums) => divided(whole(sums), ranks),
    },
    {
      name: "whole, times the number of ranks",
      about: "ranks",
      apply: (sums) => divided(whole(sums), 1 / ranks),
    },
    {
      name: "mean of sums over ranks",
      about: "ranks",
      apply: (sums) => divided(sumOfSums(sums), ranks),
    },
  ];
  // With one part a rank, a mean of means is a rank mean.
  if (ranks === count) return [right, ...perRank, ...perPart.slice(2, 3)];
  const both: Aggregation = {
    name: "sum of means, averaged over ranks",
    about: "parts",
    apply: (sums) => divided(sumOfMeans(sums), ranks),
  };
  return [right, ...perRank, ...perPart, both];
}
