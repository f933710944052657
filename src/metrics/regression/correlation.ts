import { addProduct, addWeightedProduct, alignedIntegers, ExactSum, rootOfRatio } from "../../tally/index.js";

/** Exact moments of pairs: Σw, Σwx, Σwy, Σwxx, Σwyy, Σwxy. */
export class PairMoments {
  constructor(
    private readonly sums: readonly ExactSum[] = Array.from({ length: PairMoments.count }, () => new ExactSum()),
  ) {}

  static readonly count = 6;

  add(weight: number, x: number, y: number): void {
    const [w, wx, wy, wxx, wyy, wxy] = this.sums;
    w!.add(weight);
    addProduct(wx!, weight, x);
    addProduct(wy!, weight, y);
    addWeightedProduct(wxx!, weight, x, x);
    addWeightedProduct(wyy!, weight, y, y);
    addWeightedProduct(wxy!, weight, x, y);
  }

  /** Pearson's correlation, rounded once but for its root; NaN where x or y does not vary. */
  get correlation(): number {
    const aligned = alignedIntegers(this.sums);
    if (!aligned) return Number.NaN;
    const [w, x, y, xx, yy, xy] = aligned.integers as [bigint, bigint, bigint, bigint, bigint, bigint];
    const covariance = w * xy - x * y;
    const spread = (w * xx - x * x) * (w * yy - y * y);
    if (spread <= 0n) return Number.NaN;
    const size = Math.min(1, rootOfRatio(covariance * covariance, spread));
    return covariance < 0n ? -size : size;
  }
}
