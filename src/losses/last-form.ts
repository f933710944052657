import { isTensor, sameShape, type Tensor } from "../tensor/index.js";
import { type AnyBatch, type BoundBatch, type CommonName, specOf } from "./batch.js";
import type { FieldSpec } from "./definition.js";
import type { KernelMemory, ReadyKernel } from "./kernel-walk.js";

/** All that binding asks of a tensor, but for flags, whose values it looks at; and where the tensor went. */
interface TensorForm extends Pick<Tensor, "dtype" | "shape" | "role" | "weak"> {
  readonly name: string;
  readonly isCommon: boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: empty under any names
const noTensors: ReadonlyMap<any, Tensor> = /*#__PURE__*/ new Map();

/**
 * The form of the batch that was bound last: its names, and the dtypes, shapes and roles of its tensors. A batch of the
 * same form binds as that one did, so that the steps of a training are not checked anew: in small calls these checks
 * take longer than the kernel. No tensor is kept.
 */
export class LastForm implements KernelMemory {
  kernel: ReadyKernel | undefined;
  private tensors: readonly TensorForm[] = [];
  private empty: BoundBatch<object> | undefined;

  /** The batch, if it has the form of the last one. */
  bind(given: AnyBatch): BoundBatch<object> | undefined {
    const { empty, tensors } = this;
    if (!empty || typeof given !== "object" || given === null) return undefined;
    const names = Object.keys(given);
    if (names.length !== tensors.length) return undefined;
    const own = new Map<string, Tensor>();
    let common: Map<CommonName, Tensor> | undefined;
    for (let i = 0; i < names.length; i++) {
      const name = names[i]!;
      const form = tensors[i]!;
      const value = given[name];
      if (name !== form.name || !isTensor(value) || !isAlike(value, form)) return undefined;
      if (!form.isCommon) own.set(name, value);
      else common = (common ?? new Map<CommonName, Tensor>()).set(name as CommonName, value);
    }
    return empty.withTensors(own, common ?? noTensors);
  }

  /** Keeps the form of a batch that was bound, unless binding it took a look at values. */
  keep(given: AnyBatch, bound: BoundBatch<object>, fields: Readonly<Record<string, FieldSpec>>): void {
    this.empty = undefined;
    this.kernel = undefined;
    const tensors: TensorForm[] = [];
    for (const [name, value] of Object.entries(given)) {
      if (!isTensor(value)) return;
      const { dtype, shape, role, weak } = value;
      if (specOf(fields, name).holds === "flags" && dtype !== "bool") return;
      tensors.push({ name, dtype, role, weak, shape: [...shape], isCommon: bound.common.has(name as CommonName) });
    }
    // A tensor that the batch inherits is not among its entries.
    if (tensors.length !== bound.tensors.size + bound.common.size) return;
    this.tensors = tensors;
    this.empty = bound.withTensors(noTensors, noTensors);
  }
}

function isAlike(tensor: Tensor, form: TensorForm): boolean {
  const { dtype, role, weak, shape } = form;
  return tensor.dtype === dtype && tensor.role === role && tensor.weak === weak && sameShape(tensor.shape, shape);
}
