/**
 * The place of a class among the scores of a sample, 0 for the highest; of two equal scores the higher index ranks
 * first, as in scikit-learn's `top_k_accuracy_score`.
 *
 * @param score - reads a score of `[..., K]` by its flat index
 */
export function rankOf(score: (index: number) => number, classes: number): (sample: number, index: number) => number {
  return (sample, index) => {
    const base = sample * classes;
    const own = score(base + index);
    let rank = 0;
    for (let k = 0; k < classes; k++) {
      const other = score(base + k);
      if (other > own || (other === own && k > index)) rank++;
    }
    return rank;
  };
}
