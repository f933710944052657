/** Every mistake in options, calls, tallies and contracts, what the error says of it, and what it says to do. */
import { describe } from "vitest";
import { crossEntropy, Denominator, huber, infoNce, objectiveFrom, squaredError, Tally, total } from "../src/index.js";
import { ints, type Refusal, refuses, wrong, zeros } from "./instruments/refusals.js";

const logits = zeros(2, 3);
const labels = ints([2], 0, 1);
const batch = { logits, labels };
const rows = { logits: zeros(2, 4, 3), labels: ints([2, 4]) };

const options: Refusal[] = [
  [
    "a misspelt option",
    () => crossEntropy(wrong({ labelSmoothng: 0.1 })),
    "unknown",
    "labelSmoothng",
    /"labelSmoothing"/,
  ],
  [
    "a misspelt reduction among the options",
    () => crossEntropy(wrong({ divdeBy: "count" })),
    "unknown",
    "divdeBy",
    /"divideBy"/,
  ],
  ["an option of another loss", () => huber(wrong({ beta: 1 })), "unknown", "beta", /delta/],
  ["an option on a loss that has none", () => squaredError(wrong({ delta: 1 })), "unknown", "delta", /remove "delta"/],
  [
    "a value out of range",
    () => crossEntropy({ labelSmoothing: 1 }),
    "option",
    "labelSmoothing",
    /below 1.*default is 0/,
  ],
  ["a word for a number", () => huber(wrong({ delta: "big" })), "option", "delta", /above 0/],
  [
    "per that does not suit the loss",
    () => crossEntropy(wrong({ per: "element" })),
    "reduction",
    "per",
    /token, sequence, sample.*position/,
  ],
  ["per token on elements", () => squaredError(wrong({ per: "token" })), "reduction", "per", /per: "element"/],
  ["per that nobody knows", () => infoNce(wrong({ per: "batch" })), "reduction", "per", /sample, sequence/],
  [
    "a reduction in torch's words",
    () => crossEntropy(wrong({ reduction: "mean" })),
    "unknown",
    "reduction",
    /reduction|divideBy/,
  ],
  ["divideBy of a word", () => crossEntropy(wrong({ divideBy: "sum" })), "reduction", "divideBy", /constant: 1/],
  ["divideBy of a bare number", () => crossEntropy(wrong({ divideBy: 8 })), "reduction", "divideBy", /constant/],
  ["a constant of 0", () => crossEntropy({ divideBy: { constant: 0 } }), "reduction", "divideBy", /above 0/],
  ["an infinite constant", () => crossEntropy({ divideBy: { constant: Infinity } }), "reduction", "divideBy", /finite/],
  [
    "a constant under another name",
    () => crossEntropy(wrong({ divideBy: { konstant: 2 } })),
    "unknown",
    "konstant",
    /"constant"/,
  ],
  ["onEmpty of a word", () => crossEntropy(wrong({ onEmpty: "skip" })), "reduction", "onEmpty", /zero, nan or throw/],
  ["null options", () => crossEntropy(wrong(null)), "argument", "options", /options|object/],
];

const call = (given: unknown) => () => crossEntropy().valueAndGradients(batch, wrong(given));
const calls: Refusal[] = [
  ["a misspelt call option", call({ denominater: 4 }), "unknown", "denominater", /"denominator"/],
  ["a misspelt option beside a group of nothing", call({ group: undefined, scal: 2 }), "unknown", "scal", /"scale"/],
  ["an into of nothing", call({ into: null }), "argument", "into", /object/],
  ["gradients of nothing", call({ into: { gradients: null } }), "argument", "into.gradients", /object/],
  ["a misspelt key of into", call({ into: { gradient: {} } }), "unknown", "gradient", /"gradients"/],
  ["a group that is none", call({ group: {} }), "option", "group", /await threads/],
  ["the promise of a group", call({ group: Promise.resolve() }), "option", "group", /await the group/],
  ["a local of nobody", call({ local: true }), "argument", "local", /leave local out/],
  ["a scale of a world of nobody", call({ scale: "world" }), "argument", "scale", /give the group/],
  ["an inPlace of text", call({ inPlace: "yes" }), "option", "inPlace", /true or false/],
  ["inPlace beside into", call({ inPlace: true, into: { gradients: {} } }), "argument", "inPlace", /one of the two/],
  ["an engine of no name", call({ engine: "gpu" }), "option", "engine", /reference/],
  ["a scale of NaN", call({ scale: NaN }), "option", "scale", /finite/],
  ["a scale of text", call({ scale: "2" }), "option", "scale", /finite/],
  ["a negative denominator", call({ denominator: -1 }), "denominator", "denominator", /at least 0/],
  ["a NaN denominator", call({ denominator: NaN }), "denominator", "denominator", /finite/],
  ["an infinite denominator", call({ denominator: Infinity }), "denominator", "denominator", /finite/],
  [
    "the JSON of a denominator",
    call({ denominator: crossEntropy().denominator(batch).toJSON() }),
    "denominator",
    "denominator",
    /denominator object/,
  ],
  [
    "groupKeys under a labelShift",
    () => crossEntropy({ labelShift: 1 }).evaluate({ ...rows, groupKeys: ints([2]) }),
    "argument",
    "groupKeys",
    /splitNextToken/,
  ],
  [
    "a plain number as the denominator of keyed groups",
    () => crossEntropy({ per: "sequence" }).valueAndGradients({ ...rows, groupKeys: ints([2]) }, { denominator: 4 }),
    "denominator",
    "denominator",
    /merge objective\.denominator\(part\)/,
  ],
  [
    "a denominator that lacks a keyed group of the batch",
    () => {
      const objective = crossEntropy({ per: "sequence" });
      const other = objective.denominator({ ...rows, groupKeys: ints([2], 7, 8) });
      return objective.valueAndGradients({ ...rows, groupKeys: ints([2], 1, 2) }, { denominator: other });
    },
    "denominator",
    "denominator",
    /no group 1/,
  ],
  [
    'an empty batch under onEmpty: "throw"',
    () => crossEntropy({ onEmpty: "throw" }).evaluate({ logits, labels: ints([2], -100, -100) }),
    "empty",
    undefined,
    /mask, ignored labels and weights/,
  ],
];

const json = () => crossEntropy().tally(batch).toJSON();
const tallies: Refusal[] = [
  [
    "a tally of another contract, merged",
    () =>
      crossEntropy()
        .tally(batch)
        .merge(crossEntropy({ zLoss: 1 }).tally(batch)),
    "merge",
    "contract",
    /one objective/,
  ],
  [
    "a tally of another contract, read",
    () => crossEntropy({ zLoss: 1 }).value(crossEntropy().tally(batch)),
    "merge",
    "contract",
    /objectiveFrom/,
  ],
  [
    "a tally of other axes",
    () => crossEntropy().tally(batch).merge(crossEntropy().tally(rows)),
    "merge",
    "unitAxes",
    /shape every part alike/,
  ],
  ["no tally at all", () => total([]), "argument", undefined, /objective\.tally/],
  ["what is no tally", () => crossEntropy().tally(batch).merge(wrong({})), "argument", undefined, /tally/],
  ["what is no tally, read", () => crossEntropy().value(wrong({ numerator: 1 })), "argument", "tally", /tally/],
  [
    "a misspelt merge option",
    () =>
      crossEntropy()
        .tally(batch)
        .merge(crossEntropy().tally(batch), wrong({ acrossBatchs: "independent" })),
    "unknown",
    "acrossBatchs",
    /"acrossBatches"/,
  ],
  [
    "a misspelt word of a merge option",
    () =>
      crossEntropy()
        .tally(batch)
        .merge(crossEntropy().tally(batch), wrong({ acrossBatches: "independant" })),
    "option",
    "acrossBatches",
    /"independent"/,
  ],
  [
    "the JSON of something else",
    () => Tally.fromJSON(wrong({ format: "tally" })),
    "argument",
    "format",
    /losswright tally/,
  ],
  ["nothing for the JSON of a tally", () => Tally.fromJSON(wrong(null)), "argument", "format", /losswright tally/],
  ["a tally of another version", () => Tally.fromJSON({ ...json(), version: 2 }), "argument", "version", /version 1/],
  [
    "a tally of an engine of no name",
    () => Tally.fromJSON({ ...json(), engines: wrong(["gpu"]) }),
    "argument",
    "engines",
    /reference/,
  ],
  [
    "a tally without a contract",
    () => Tally.fromJSON({ ...json(), contract: wrong(null) }),
    "argument",
    "contract",
    /contract/,
  ],
  [
    "a tally with a negative count",
    () => Tally.fromJSON({ ...json(), batches: -1 }),
    "argument",
    "batches",
    /whole numbers/,
  ],
  [
    "a tally with a broken numerator",
    () => Tally.fromJSON({ ...json(), numerator: wrong({ mantissa: 3 }) }),
    "argument",
    undefined,
    /exact sum/,
  ],
  [
    "a tally whose open numerators have no denominator",
    () => Tally.fromJSON({ ...json(), openNumerators: { 7: json().numerator } }),
    "argument",
    "openNumerators",
    /open|group|key/,
  ],
  [
    "a denominator whose constant is text",
    () => Denominator.fromJSON({ ...json().denominator, constant: wrong("x") }),
    "argument",
    "constant",
    /constant|number/,
  ],
  [
    "too few integer lanes",
    () => Tally.fromLimbs(new BigInt64Array(3), crossEntropy().tally(batch)),
    "merge",
    "lanes",
    /lanes/,
  ],
  [
    "denominators of two constants",
    () =>
      crossEntropy({ divideBy: { constant: 2 } })
        .denominator(batch)
        .merge(crossEntropy().denominator(batch)),
    "merge",
    "contract",
    /one contract/,
  ],
];

const contracts: Refusal[] = [
  ["text for a contract", () => objectiveFrom(wrong("crossEntropy")), "contract", undefined, /"objective"/],
  ["a list for a contract", () => objectiveFrom(wrong([])), "contract", undefined, /"objective"/],
  [
    "a contract without a name",
    () => objectiveFrom(wrong({ options: {} })),
    "contract",
    "objective",
    /name of an objective/,
  ],
  [
    "a contract of another version",
    () => objectiveFrom({ objective: "huber", version: 2 }),
    "contract",
    "version",
    /version 1/,
  ],
  [
    "a contract with a misspelt key",
    () => objectiveFrom(wrong({ objective: "huber", optoins: {} })),
    "unknown",
    "optoins",
    /"options"/,
  ],
  [
    "a contract with options in a list",
    () => objectiveFrom(wrong({ objective: "huber", options: [] })),
    "contract",
    "options",
    /object/,
  ],
  [
    "a contract with a reduction in a word",
    () => objectiveFrom(wrong({ objective: "huber", reduction: "mean" })),
    "contract",
    "reduction",
    /per, divideBy, onEmpty/,
  ],
  [
    "a contract with a misspelt reduction key",
    () => objectiveFrom(wrong({ objective: "huber", reduction: { devideBy: "count" } })),
    "unknown",
    "devideBy",
    /"divideBy"/,
  ],
  [
    "a contract with a misspelt objective",
    () => objectiveFrom({ objective: "crosEntropy" }),
    "unknown",
    "objective",
    /"crossEntropy"/,
  ],
  [
    "a contract named by what every object has",
    () => objectiveFrom({ objective: "toString" }),
    "unknown",
    "objective",
    /crossEntropy/,
  ],
  [
    "a contract of an option out of range",
    () => objectiveFrom({ objective: "huber", options: { delta: 0 } }),
    "option",
    "delta",
    /above 0/,
  ],
];

describe("options that are refused", () => refuses(options));
describe("calls that are refused", () => refuses(calls));
describe("tallies that are refused", () => refuses(tallies));
describe("contracts that are refused", () => refuses(contracts));
