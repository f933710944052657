/** Fits that bring probabilities back to what happens, saved as JSON. */
export type { Calibrator, CalibratorJson } from "./calibrator.js";
export { type AnyCalibrator, calibratorFrom } from "./calibrator-from.js";
export { type IsotonicCalibrationInput, type IsotonicCalibrator, isotonicCalibration } from "./isotonic-calibration.js";
export type { LabeledLogitsInput } from "./labeled-logits.js";
export { type PlattCalibrator, type PlattScalingInput, plattScaling } from "./platt-scaling.js";
export { type TemperatureCalibrator, temperatureScaling } from "./temperature-scaling.js";
export { type VectorCalibrator, vectorScaling } from "./vector-scaling.js";
