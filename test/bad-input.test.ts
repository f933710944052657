/** Every mistake that a batch can hold, what the error says of it, and what it says to do. */
import { describe } from "vitest";
import {
  binaryCrossEntropy,
  crossEntropy,
  huber,
  infoNce,
  logSoftmax,
  sigmoid,
  softmax,
  splitNextToken,
  squaredError,
  tensor,
} from "../src/index.js";
import { ints, type Refusal, refuses, wrong, zeros } from "./instruments/refusals.js";

const logits = zeros(2, 3);
const labels = ints([2], 0, 1);
const batch = { logits, labels };
const rows = { logits: zeros(2, 4, 3), labels: ints([2, 4]) };

const shapes: Refusal[] = [
  [
    "predictions [10, 1] against targets [10], which elsewhere broadcasts to 100 residuals",
    () => squaredError().evaluate({ predictions: zeros(10, 1), targets: zeros(10) }),
    "shape",
    "targets",
    /broadcast.*reshape targets to \[10, 1\]/,
  ],
  [
    "targets of another length",
    () => squaredError().evaluate({ predictions: zeros(4), targets: zeros(5) }),
    "shape",
    "targets",
    /shape \[4\]/,
  ],
  [
    "units in the other order of axes",
    () => crossEntropy().evaluate({ logits: zeros(2, 3, 5), labels: ints([3, 2]) }),
    "shape",
    "labels",
    /same order/,
  ],
  [
    "classes on axis 1, as torch has them",
    () => crossEntropy().evaluate({ logits: zeros(2, 5, 3, 4), labels: ints([2, 3, 4]) }),
    "shape",
    "labels",
    /classAxis: 1/,
  ],
  [
    "labels with an axis of 1 too many",
    () => crossEntropy().evaluate({ logits, labels: ints([2, 1], 0, 1) }),
    "shape",
    "labels",
    /reshape labels to \[2\]/,
  ],
  [
    "soft targets of another number of classes",
    () => crossEntropy().evaluate({ logits, targets: zeros(2, 4) }),
    "shape",
    "targets",
    /K = 3/,
  ],
  ["no class at all", () => crossEntropy().evaluate({ logits: zeros(2, 0), labels }), "shape", "logits", /one class/],
  [
    "a scalar for logits",
    () => crossEntropy().evaluate({ logits: zeros(), labels }),
    "shape",
    "logits",
    /1 or more axes/,
  ],
  [
    "a class axis that the logits do not have",
    () => crossEntropy({ classAxis: 3 }).evaluate(batch),
    "shape",
    "logits",
    /classAxis/,
  ],
  [
    "a mask of one entry a row, without its axis of 1",
    () => crossEntropy().evaluate({ ...rows, mask: ints([2]) }),
    "shape",
    "mask",
    /\[2, 4\] or \[2, 1\]/,
  ],
  [
    "weights of one entry a column",
    () => crossEntropy().evaluate({ ...rows, weights: zeros(1, 4) }),
    "shape",
    "weights",
    /\[2, 4\] or \[2, 1\]/,
  ],
  [
    "segment ids of another shape",
    () => crossEntropy().evaluate({ ...rows, segmentIds: ints([4]) }),
    "shape",
    "segmentIds",
    /\[2, 4\] or \[2\]/,
  ],
  [
    "labelShift on flat labels",
    () => crossEntropy({ labelShift: 1 }).evaluate(batch),
    "shape",
    "labels",
    /\[B, T\].*segmentIds/,
  ],
  [
    "a labelShift of T",
    () => crossEntropy({ labelShift: 4 }).evaluate(rows),
    "shape",
    "labels",
    /more than 4 labels a row/,
  ],
  ["tokens of one timestep to split", () => splitNextToken(ints([2, 1], 0, 0)), "shape", "ids", /two timesteps/],
  ["flat tokens to split", () => splitNextToken(ints([2], 0, 0)), "shape", "ids", /\[B, T\]/],
  ["numbers that do not fill a shape", () => tensor(new Float32Array(5), [2, 3]), "shape", "shape", /5 elements/],
  ["a negative length", () => tensor(new Float32Array(5), [-5]), "shape", "shape", /none negative/],
];

const dtypes: Refusal[] = [
  [
    "labels of a floating dtype",
    () => crossEntropy().evaluate({ logits, labels: tensor(Float32Array.of(0, 1)) }),
    "dtype",
    "labels",
    /labels\.long\(\)/,
  ],
  [
    "labels that are no whole numbers",
    () => crossEntropy().evaluate({ logits, labels: tensor([0, 0.5]) }),
    "dtype",
    "labels",
    /whole/,
  ],
  [
    "targets of an integer dtype",
    () => binaryCrossEntropy().evaluate({ logits: zeros(2), targets: ints([2], 0, 1) }),
    "dtype",
    "targets",
    /float32/,
  ],
  [
    "logits of an integer dtype",
    () => crossEntropy().evaluate({ logits: ints([2, 3]), labels }),
    "dtype",
    "logits",
    /float32/,
  ],
  [
    "weights of an integer dtype",
    () => crossEntropy().evaluate({ ...batch, weights: labels }),
    "dtype",
    "weights",
    /float32/,
  ],
  ["floats to split", () => splitNextToken(tensor(new Float32Array(4), [2, 2])), "dtype", "ids", /integers/],
  ["integers to a softmax", () => softmax(labels), "dtype", "logits", /float32 or float64/],
];

const roles: Refusal[] = [
  [
    "probabilities where logits belong",
    () => crossEntropy().evaluate({ logits: wrong(softmax(logits)), labels }),
    "role",
    "logits",
    /raw scores/,
  ],
  [
    "log-probabilities where logits belong",
    () => crossEntropy().evaluate({ logits: wrong(logSoftmax(logits)), labels }),
    "role",
    "logits",
    /raw scores/,
  ],
  [
    "a sigmoid where logits belong",
    () => binaryCrossEntropy().evaluate({ logits: wrong(sigmoid(zeros(2))), targets: zeros(2) }),
    "role",
    "logits",
    /raw scores/,
  ],
  [
    "logits where targets belong",
    () => crossEntropy().evaluate({ logits, targets: wrong(tensor(new Float64Array(6), [2, 3], "logits")) }),
    "role",
    "targets",
    /a weight for each class/,
  ],
  [
    "class indices where logits belong",
    () =>
      crossEntropy().evaluate({
        logits: wrong(
          tensor(
            [
              [1, 2, 3],
              [1, 2, 3],
            ],
            undefined,
            "classIndices",
          ),
        ),
        labels,
      }),
    "role",
    "logits",
    /raw scores of the classes/,
  ],
  ["a softmax of a softmax", () => softmax(wrong(softmax(logits))), "role", "logits", /raw scores/],
];

const values: Refusal[] = [
  [
    "a label above the classes, with its place",
    () => crossEntropy().evaluate({ logits: zeros(2, 2, 3), labels: ints([2, 2], 0, 1, 3, 0) }),
    "value",
    "labels",
    /3 at \[1, 0\].*0\.\.2.*3 entries/,
  ],
  [
    "a label of −1 that marks padding",
    () => crossEntropy().evaluate({ logits, labels: ints([2], 0, -1) }),
    "value",
    "labels",
    /ignoreIndex: -1/,
  ],
  [
    "a NaN weight",
    () => crossEntropy().evaluate({ ...batch, weights: tensor(Float64Array.of(1, NaN)) }),
    "value",
    "weights",
    /NaN at \[1\].*finite weight.*mask/,
  ],
  [
    "a negative weight",
    () => crossEntropy().evaluate({ ...batch, weights: tensor(Float64Array.of(-1, 1)) }),
    "value",
    "weights",
    /-1 at \[0\]/,
  ],
  [
    "an infinite weight",
    () => crossEntropy().evaluate({ ...batch, weights: tensor(Float64Array.of(Infinity, 1)) }),
    "value",
    "weights",
    /Infinity at \[0\]/,
  ],
  [
    "a mask of 0.5",
    () => crossEntropy().evaluate({ ...batch, mask: tensor(Float64Array.of(1, 0.5)) }),
    "value",
    "mask",
    /0\.5 at \[1\].*weighs them is weights/,
  ],
  [
    "a target above 1 in a binary loss",
    () => binaryCrossEntropy().evaluate({ logits: zeros(2), targets: tensor(Float64Array.of(0, 2)) }),
    "value",
    "targets",
    /2 at unit \[1\].*\[0, 1\]/,
  ],
  [
    "a negative soft target",
    () => crossEntropy().evaluate({ logits, targets: tensor(Float64Array.of(0, 1, 0, 0, -1, 2), [2, 3]) }),
    "value",
    "targets",
    /-1 at unit \[1\], entry 1/,
  ],
  ["class indices with a half", () => tensor([0, 1.5], undefined, "classIndices"), "value", "data", /whole numbers/],
  [
    "a learned temperature of 0",
    () => infoNce({ temperature: "field" }).evaluate({ queries: zeros(2, 2), keys: zeros(2, 2), temperature: 0 }),
    "value",
    "temperature",
    /logarithm/,
  ],
];

const fields: Refusal[] = [
  [
    "labels left out",
    () => crossEntropy().evaluate(wrong({ logits })),
    "missing-field",
    "labels or targets",
    /exactly one of labels, targets/,
  ],
  ["logits left out", () => crossEntropy().evaluate(wrong({ labels })), "missing-field", "logits", /raw scores/],
  ["an empty batch object", () => huber().evaluate(wrong({})), "missing-field", "predictions", /predictions/],
  [
    "both labels and targets",
    () => crossEntropy().evaluate(wrong({ ...batch, targets: logits })),
    "argument",
    "labels or targets",
    /exactly one/,
  ],
  [
    "a misspelt field",
    () => crossEntropy().evaluate(wrong({ ...batch, wieghts: zeros(2) })),
    "unknown",
    "wieghts",
    /"weights"/,
  ],
  [
    "a field of another loss",
    () => squaredError().evaluate(wrong({ predictions: zeros(2), targets: zeros(2), labels })),
    "unknown",
    "labels",
    /write "targets"/,
  ],
  [
    "a list for a tensor",
    () => crossEntropy().evaluate(wrong({ logits: [[0, 1]], labels })),
    "argument",
    "logits",
    /tensor\(/,
  ],
  [
    "a typed array for a tensor",
    () => crossEntropy().evaluate(wrong({ ...batch, labels: Int32Array.of(0, 1) })),
    "argument",
    "labels",
    /tensor\(data, shape\)/,
  ],
  [
    "a number for a tensor",
    () => crossEntropy().evaluate(wrong({ ...batch, weights: 2 })),
    "argument",
    "weights",
    /a tensor/,
  ],
  [
    "nothing for a batch",
    () => crossEntropy().evaluate(wrong(undefined)),
    "argument",
    undefined,
    /logits, labels, targets/,
  ],
  [
    "a tensor that holds fewer numbers than its shape says",
    () => crossEntropy().evaluate({ ...batch, logits: wrong({ ...logits, data: new Float64Array(2) }) }),
    "argument",
    "logits",
    /a tensor/,
  ],
  ["no tensor to split", () => splitNextToken(wrong([[1, 2]])), "argument", "ids", /tensor/],
];

const data: Refusal[] = [
  ["a ragged list", () => tensor([[1, 2], [3]]), "argument", "data", /pad ragged rows/],
  ["a list of numbers and lists", () => tensor(wrong([1, [2]])), "argument", "data", /lists nested to the shape/],
  ["a list of text", () => tensor(wrong(["a"])), "argument", "data", /numbers, booleans or bigints/],
  ["a list of numbers and bigints", () => tensor([1, 2n]), "argument", "data", /one kind/],
  ["an array of another kind", () => tensor(wrong(new Uint16Array(2))), "argument", "data", /Float32Array/],
  ["a softmax over an axis that is not there", () => softmax(logits, 2), "shape", "axis", /one of its axes/],
];

describe("shapes that are refused", () => refuses(shapes));
describe("dtypes that are refused", () => refuses(dtypes));
describe("roles that are refused", () => refuses(roles));
describe("values that are refused", () => refuses(values));
describe("fields that are refused", () => refuses(fields));
describe("data that are refused", () => refuses(data));
