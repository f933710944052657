import { log1pExp, sigmoid } from "../../numerics/index.js";

/** −log σ(z), and with smoothing (1 − ε)(−log σ(z)) + ε(−log σ(−z)): two terms, neither negative. */
export function logisticLoss(z: number, smoothing = 0): number {
  return smoothing === 0 ? log1pExp(-z) : (1 - smoothing) * log1pExp(-z) + smoothing * log1pExp(z);
}

/** The derivative of {@link logisticLoss} by z. */
export function logisticSlope(z: number, smoothing = 0): number {
  return smoothing === 0 ? -sigmoid(-z) : smoothing * sigmoid(z) - (1 - smoothing) * sigmoid(-z);
}
