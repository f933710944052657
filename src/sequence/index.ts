export { type AlignmentConstants, AlignmentLabels } from "./alignment-labels.js";
export type { AttentionSpans, PaddingReads } from "./attention-spans.js";
export { ChainLattice, type ChainPotentials } from "./chain-lattice.js";
export { type CtcAlignment, ctcAlign } from "./ctc-align.js";
export { type CtcBeamOptions, type CtcHypothesis, ctcBeamDecode } from "./ctc-beam-decode.js";
export { ctcCollapse } from "./ctc-collapse.js";
export { type CtcGreedyPath, ctcGreedyDecode } from "./ctc-greedy-decode.js";
export { CtcLattice, framesNeeded } from "./ctc-lattice.js";
export { type CtcPosterior, ctcPosterior } from "./ctc-posterior.js";
export type { CtcAlignable, CtcFrames, CtcReading } from "./ctc-scores.js";
export type { DocumentsInput, Tokens } from "./documents.js";
export { leadingOnes } from "./leading-ones.js";
export { type Labeling, type LinearChainCrfScores, linearChainCrfDecode } from "./linear-chain-crf-decode.js";
export { topOf } from "./log-sum.js";
export { type LossMaskInput, lossMaskFrom } from "./loss-mask-from.js";
export {
  type MaskedBatch,
  type MaskedLanguageModelInput,
  maskedLanguageModel,
  maskPlan,
} from "./masked-language-model.js";
export {
  type Overlong,
  type PackedPiece,
  type PackedSequences,
  type PackInput,
  packSequences,
  type TokenAccounting,
} from "./pack-sequences.js";
export { prefixMask } from "./prefix-mask.js";
export {
  type RnnTransducerAlignable,
  type RnnTransducerAlignment,
  rnnTransducerAlign,
} from "./rnn-transducer-align.js";
export { segmentMask } from "./segment-mask.js";
export { labelShift, type Shift } from "./shift.js";
export { shiftLabels } from "./shift-labels.js";
export { splitNextToken } from "./split-next-token.js";
export { TransducerLattice } from "./transducer-lattice.js";
export { unpackSequences } from "./unpack-sequences.js";
