/** Records training steps for `losswright audit`, from Node or a browser. Nothing here touches a disk. */
export type { ContextEntries } from "./context.js";
export type { DeviceTensor, NumberArray, ShapedNumbers, TensorLike } from "./read-tensor.js";
export {
  createRecorder,
  type Given,
  type Recorder,
  type RecorderOptions,
  type ReportedValues,
  type StepValues,
} from "./recorder.js";
export { type MemorySink, memorySink, type StepSink } from "./sink.js";
