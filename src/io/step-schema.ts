import * as v from "valibot";
import { isObject } from "./json.js";

// What `step.json` may hold, entry for entry, in words too: the parser checks it, and `schema/step.schema.json` is made
// of it (`npm run schema`). Rules between entries stand in the parser, and once more in that script.

const control = String.raw`\u0000-\u001f\u007f-\u009f`;

/** A name that messages, pages and other languages can show as it is: on one line, and short. */
export const namePattern = new RegExp(`^[^${control}]{0,200}$`, "u");

/** Code points in the path of a file; some systems take no longer ones. */
export const longestFile = 1000;

/**
 * The name of a file inside the record's directory, in the one spelling that every system reads alike: segments with
 * `/` between, none of them empty, `.` or `..`, and no backslash, colon, control character or half of a character.
 */
export const filePattern = patternOfFiles();

function patternOfFiles(): RegExp {
  const [apart, halves] = [String.raw`/\\:`, String.raw`\ud800-\udfff`];
  const excluded = apart + control + halves;
  // Neither empty nor one or two dots; without a look-ahead, which not every reader of JSON Schema has.
  const segment = String.raw`(\.{0,2}[^.${excluded}]|\.{3})[^${excluded}]*`;
  return new RegExp(`^${segment}(/${segment})*$`, "u");
}

const choice = <const Options extends readonly string[]>(...options: Options) =>
  v.picklist(options, options.map((option) => `"${option}"`).join(" or "));

const wholeFrom = (least: number) => {
  const message = `a whole number from ${least}`;
  return v.pipe(v.number(message), v.safeInteger(message), v.minValue(least, message));
};

const above = (least: number) => {
  const message = `a number above ${least}`;
  return v.pipe(v.number(message), v.gtValue(least, message));
};

/** A schema with what stands there, in words. */
const told = <const Schema extends v.GenericSchema>(schema: Schema, words: string) =>
  v.pipe(schema, v.description(words));

/** An entry that may be left out. */
const may = <const Schema extends v.GenericSchema>(schema: Schema, words: string) =>
  v.exactOptional(told(schema, words));

const nonFinite = { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, "-inf": Number.NEGATIVE_INFINITY };
const word = v.string("a string");
const flag = v.boolean("true or false");
const whole = v.pipe(v.number("a whole number"), v.safeInteger("a whole number"));
const finite = v.number("a number");
const number = v.union(
  [
    finite,
    v.pipe(
      choice("nan", "inf", "-inf"),
      v.transform((text) => nonFinite[text]),
    ),
  ],
  'a number, "nan", "inf" or "-inf"',
);
/** The objects of valibot take arrays for objects too. */
const object = v.custom<Record<string, unknown>>(isObject, "an object");
const file = v.string("the name of a file");
const name = v.pipe(
  v.string(),
  v.regex(namePattern, "a name of at most 200 characters, without line breaks and other control characters"),
);
const mapOf = <const Schema extends v.GenericSchema>(schema: Schema) => v.pipe(object, v.record(name, schema));
const files = mapOf(file);
const open = <Entries extends v.ObjectEntries>(entries: Entries) => v.pipe(object, v.looseObject(entries, "an object"));
const closed = <Entries extends v.ObjectEntries>(entries: Entries) =>
  v.pipe(object, v.strictObject(entries, "an object"));

const combination = choice("mean", "sum");

const sequence = open({
  inputIds: may(file, "The token ids that the model read, [B, T]."),
  roles: may(file, "Who wrote each token, [B, T]: 0 padding, 1 prompt, 2 assistant."),
  attentionMask: may(file, "1 where the model attends to a token, 0 at padding, [B, T]."),
  segmentIds: may(file, "The packed document that each token is of, from 1, 0 at padding, [B, T]."),
  decoderInputIds: may(file, "The token ids that the decoder of an encoder-decoder model read, [B, T]."),
  padId: may(whole, "The id of the padding token."),
  eosId: may(whole, "The id of the token that ends a sequence."),
  intended: may(
    open({
      labelShift: may(wholeFrom(0), "By how many positions a label lies behind the score that it is compared with."),
      lossOn: may(
        v.array(choice("assistant", "all"), "a list"),
        "Whose tokens are targets: those of the assistant, or all.",
      ),
      endOfSequence: may(flag, "Whether the token that ends a sequence is a target."),
      acrossSegments: may(flag, "Whether the first token of a packed document is a target of the one before."),
    }),
    "What of the sequence should be in the loss.",
  ),
});

const metric = open({
  name: told(word, "What the metric is called, as accuracy or perplexity."),
  value: may(number, "What was logged, in the metric's own unit."),
  of: may(choice("validation", "step"), "On what it was computed: the validation set, or this step."),
  updates: may(
    v.array(
      open({
        value: told(number, "The metric on one batch."),
        count: told(finite, "What that batch counted, in samples or weight."),
      }),
      "a list",
    ),
    "What the metric was made of, batch for batch.",
  ),
  reads: may(word, "What it reads from the outputs, as sigmoid(logits)."),
  correctedForWeights: may(flag, "Whether its probabilities were brought back to those of the unweighted data."),
  averaging: may(
    choice("samples", "batches", "accumulated"),
    "How the updates became the value: weighed by their counts, each batch alike, or computed once from all that was seen.",
  ),
});

const term = open({
  name: told(word, "What the term is called; no other term has the name."),
  coefficient: told(finite, "What the term is multiplied by in the sum."),
  value: may(number, "The term's own value, before the coefficient."),
  intended: may(flag, "Whether it is the term that the contract describes; exactly one is."),
  fields: may(v.array(word, "a list of fields"), "The fields whose gradient the term adds to."),
});

export const contextEntries = {
  microBatches: may(wholeFrom(1), "How many micro-batches the step accumulates."),
  ranks: may(wholeFrom(1), "How many ranks compute the step together."),
  batches: may(wholeFrom(1), "How many batches the step has."),
  rank: may(wholeFrom(0), "The rank that computed the record or part, from 0."),
  microBatch: may(wholeFrom(0), "The micro-batch that the record or part is, from 0."),
  combine: may(
    open({
      ranks: may(combination, "How the gradients of ranks were combined."),
      microBatches: may(combination, "How the gradients of micro-batches were combined."),
    }),
    "How gradients were combined; already applied to them.",
  ),
  splitAxis: may(
    choice("sequence", "rows"),
    "What the parts are: pieces of the same rows along axis 1, or rows of their own (as when left out).",
  ),
  sequence: may(
    sequence,
    "The tokens behind the labels, B sequences of T tokens, and what of them should be in the loss.",
  ),
  scores: may(
    mapOf(
      open({
        logProbs: told(file, "The log-probability of each token under the model, in nats, [B, T]."),
        mask: told(file, "1 where a token is in the score, 0 elsewhere, [B, T]."),
      }),
    ),
    "By the name of a field that is a sequence score: the tokens that it was made from.",
  ),
  metric: may(v.nullable(metric), "The metric that the run logs; null where it logs none."),
  decision: may(
    open({
      threshold: may(finite, "The probability from which on an example is decided positive."),
      tuned: may(flag, "Whether the threshold was tuned on validation data."),
    }),
    "How probabilities become decisions.",
  ),
  phase: may(word, "The phase of the run, in words."),
  task: may(word, "What is learned, in words."),
  run: may(word, "The run that the step belongs to."),
  step: may(wholeFrom(0), "The number of the step in its run, from 0."),
  framework: may(
    word,
    "The framework that computed the step and its version, as pytorch 2.9, jax, keras, tensorflow.js: fixes lead to the code for it.",
  ),
  outputs: may(
    files,
    "By the name of a field: the raw output of the model that the field was made of, of the field's shape.",
  ),
  computation: may(
    open({
      dtype: may(
        choice("float64", "float32", "float16", "bfloat16"),
        "The type of number that the loss was computed in.",
      ),
      lossScale: may(
        above(0),
        "What the loss was multiplied by before the backward pass; the recorded gradients still hold it.",
      ),
    }),
    "In what the loss was computed: tolerances follow from it.",
  ),
  terms: may(
    v.array(term, "a list"),
    "The reported loss as a sum of coefficient times value. The contract speaks of the term that is intended.",
  ),
  gathered: may(
    mapOf(
      open({
        ranks: may(file, "The rank that owns each row, [M]."),
        ids: may(file, "What each row is of, [M]: equal ids are the same example."),
      }),
    ),
    "By the name of a field whose M rows were gathered over ranks: where they came from.",
  ),
  alignment: may(
    open({
      featureLengths: may(file, "Frames of each example before the encoder, [B]."),
      stride: may(wholeFrom(1), "How many frames the encoder makes one of."),
      symbols: may(v.array(word, "a list of symbols"), "The symbol of each class, by its id."),
    }),
    "Where lengths and labels of CTC and RNN-T come from.",
  ),
  classCounts: may(
    v.pipe(v.array(wholeFrom(0), "a list"), v.minLength(1, "a count for each class")),
    "How often each class occurs in the training set, by class id.",
  ),
  sampled: may(
    open({
      units: told(file, "Row-major places of the n kept units in the shape of all, [n], ascending."),
      shape: told(v.array(wholeFrom(0), "a list of lengths"), "The shape of all units, as [B, T]."),
      fields: told(
        v.array(word, "a list of fields"),
        "The fields that hold the kept units alone, [n, …], as do their gradients; all others are whole.",
      ),
      tally: told(
        open({
          numerator: may(number, "The weighted sum of all unit losses."),
          denominator: told(finite, "What divides it: the weight or number of all units."),
        }),
        "Of the whole step, kept or not.",
      ),
    }),
    "Which units the fields hold, where not all of a large step were kept.",
  ),
};
const context = open(contextEntries);

const loss = told(v.nullable(number), "The loss; null or left out where it was not recorded.");
const gradients = told(
  files,
  "By the name of a field: the gradient of that loss, of the field's shape, in floating point. Beside them scalars, of shape (), of what is shared: temperature, logScale, bias.",
);
export const reportedEntries = { loss: v.optional(loss, null), gradients: v.optional(gradients, {}) };
const reported = closed(reportedEntries);

const fields = told(
  files,
  "The tensors as the training code had them where the loss was computed, unshifted, by the objective's names for them. A record of parts has none of its own.",
);
const circumstances = v.optional(told(context, "The circumstances; what is left out was not recorded."), {});
export const partEntries = {
  fields,
  reported: told(
    reported,
    "What the part reported: its loss before any scaling, and its share of the gradient that the optimizer gets, after accumulation and after averaging over ranks.",
  ),
  context: circumstances,
};
const part = closed(partEntries);
export const stepEntries = {
  format: told(v.literal(1), "The version of the format; within 1, only optional entries are added."),
  intended: told(
    object,
    "The contract that the step should follow, as objective.contract writes it; what is left out is the default.",
  ),
  fields: v.exactOptional(fields),
  reported: told(
    reported,
    "What the training code said that it computed; beside parts, what it said of the whole step.",
  ),
  context: circumstances,
  parts: v.optional(
    told(v.array(part, "a list of parts"), "Micro-batches, ranks or shards of the step, in place of fields."),
    [],
  ),
};

/** A record by the names of its files. */
export const stepSchema = v.pipe(
  v.strictObject(stepEntries, "an object"),
  v.description("What one training step computed, and what it was meant to compute."),
);

/** What the JSON Schema writes once and refers to by name. */
export const namedSchemas = { file, number, context, part, reported };
