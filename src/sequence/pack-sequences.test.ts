import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bits } from "../../test/instruments/bits.js";
import { refuses, wrong } from "../../test/instruments/refusals.js";
import { crossEntropy, type PackInput, packSequences, type Tensor, tensor, unpackSequences } from "../index.js";

const classes = 6;
const token = fc.integer({ min: 0, max: classes - 1 });
const document = fc.array(token, { maxLength: 12 });
const documents = fc.array(document, { maxLength: 12 });
const overlong = fc.constantFrom("keepStart", "keepEnd", "split", "drop");

const rows = ({ data, shape }: Tensor) =>
  Array.from({ length: shape[0]! }, (_, b) => [...data].slice(b * shape[1]!, (b + 1) * shape[1]!).map(Number));

/** A row of logits that follows from a document and a place in it, whatever stands beside. */
const logitsAt = (d: number, t: number) =>
  Array.from({ length: classes }, (_, k) => Math.sin(12.9898 * (d + 1) + 78.233 * (t + 1) + 37.719 * k) * 3);

describe("packSequences", () => {
  it("packs the longest first, each into the first row with room", () => {
    const packed = packSequences({ documents: [[1, 1], [2, 2, 2], [3], [4, 4, 4, 4], [5, 5]], rowLength: 5, padId: 9 });
    expect(rows(packed.inputIds)).toEqual([
      [4, 4, 4, 4, 3],
      [2, 2, 2, 1, 1],
      [5, 5, 9, 9, 9],
    ]);
    expect(rows(packed.segmentIds)).toEqual([
      [1, 1, 1, 1, 2],
      [1, 1, 1, 2, 2],
      [1, 1, 0, 0, 0],
    ]);
    expect(rows(packed.positions)).toEqual([
      [0, 1, 2, 3, 0],
      [0, 1, 2, 0, 1],
      [0, 1, 0, 0, 0],
    ]);
    expect(rows(packed.labels)).toEqual([
      [-100, 4, 4, 4, -100],
      [-100, 2, 2, -100, 1],
      [-100, 5, -100, -100, -100],
    ]);
    expect(rows(packed.attentionMask)[2]).toEqual([1, 1, 0, 0, 0]);
    expect(rows(packed.lossMask)[1]).toEqual([0, 1, 1, 0, 1]);
    expect(packed.accounting).toEqual({
      documents: 5,
      tokens: 12,
      packed: 12,
      dropped: 0,
      rows: 3,
      slots: 15,
      padding: 3,
      trained: 7,
      prompt: 0,
      first: 5,
      overlong: [],
    });
  });

  it("says what became of documents longer than a row", () => {
    const given = { documents: [[1, 2, 3, 4, 5], [6]], rowLength: 2 };
    const kept = (rule: "keepStart" | "keepEnd" | "split" | "drop") => {
      const packed = packSequences({ ...given, overlong: rule });
      const { dropped, trained, overlong: said } = packed.accounting;
      return { rows: rows(packed.inputIds), dropped, trained, said };
    };
    const said = (tokens: number, pieces: number, dropped: number) => [{ document: 0, kept: tokens, pieces, dropped }];
    expect(kept("keepStart")).toEqual({
      rows: [
        [1, 2],
        [6, 0],
      ],
      dropped: 3,
      trained: 1,
      said: said(2, 1, 3),
    });
    expect(kept("keepEnd")).toEqual({
      rows: [
        [4, 5],
        [6, 0],
      ],
      dropped: 3,
      trained: 1,
      said: said(2, 1, 3),
    });
    expect(kept("split")).toEqual({
      rows: [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      dropped: 0,
      trained: 2,
      said: said(5, 3, 0),
    });
    expect(kept("drop")).toEqual({ rows: [[6, 0]], dropped: 5, trained: 0, said: said(0, 0, 5) });
  });

  it("learns only what the loss masks say, and never the first token of a document", () => {
    const packed = packSequences({
      documents: [
        [1, 2, 3],
        [4, 5],
      ],
      lossMasks: [
        [0, 1, 1],
        [1, 0],
      ],
      rowLength: 5,
    });
    expect(rows(packed.labels)).toEqual([[-100, 2, 3, -100, -100]]);
    expect(packed.accounting).toMatchObject({ packed: 5, trained: 2, prompt: 2, first: 1 });
  });

  it("takes documents end to end with cumulative lengths, and gives the same rows", () => {
    fc.assert(
      fc.property(documents, overlong, (given, rule) => {
        const ids = tensor(Int32Array.from(given.flat()));
        const starts = [0];
        for (const { length } of given) starts.push(starts.at(-1)! + length);
        const lossMask = tensor(Uint8Array.from(given.flat(), (id) => id % 2));
        const lossMasks = given.map((entry) => entry.map((id) => id % 2));
        const rest = { rowLength: 7, overlong: rule } as const;
        expect(packSequences({ ids, cumulativeLengths: tensor(starts), lossMask, ...rest })).toEqual(
          packSequences({ documents: given, lossMasks, ...rest }),
        );
      }),
    );
  });

  it("keeps int64, and makes anything else int32", () => {
    const dtypes = (...given: PackInput["documents"] & object[]) => {
      const { inputIds, labels } = packSequences({ documents: given, rowLength: 3 });
      return [inputIds.dtype, labels.dtype];
    };
    expect(dtypes(Uint8Array.of(250, 7))).toEqual(["int32", "int32"]);
    expect(dtypes([1], tensor(BigInt64Array.of(1n)))).toEqual(["int64", "int64"]);
    expect(dtypes([1n])).toEqual(["int64", "int64"]);
    expect(dtypes()).toEqual(["int32", "int32"]);
  });

  it("accounts for every token of any documents, to the last one", () => {
    fc.assert(
      fc.property(documents, overlong, fc.integer({ min: 1, max: 9 }), (given, rule, rowLength) => {
        const lossMasks = given.map((entry) => entry.map((id) => Number(id > 1)));
        const packed = packSequences({ documents: given, lossMasks, rowLength, overlong: rule });
        const { accounting, lossMask, attentionMask, labels, segmentIds, inputIds } = packed;
        const count = ({ data }: Tensor, is: (entry: number) => boolean) => [...data].map(Number).filter(is).length;
        expect(accounting.tokens).toBe(given.flat().length);
        expect(accounting.packed + accounting.dropped).toBe(accounting.tokens);
        expect(accounting.packed + accounting.padding).toBe(accounting.slots);
        expect(accounting.trained + accounting.prompt + accounting.first).toBe(accounting.packed);
        expect(accounting.slots).toBe(inputIds.data.length);
        expect(accounting.packed).toBe(count(attentionMask, (flag) => flag === 1));
        expect(accounting.padding).toBe(count(segmentIds, (id) => id === 0));
        expect(accounting.trained).toBe(count(lossMask, (flag) => flag === 1));
        expect(accounting.trained).toBe(count(labels, (label) => label !== -100));
        const cut = given.filter(({ length }) => length > rowLength).length;
        expect(accounting.overlong.length).toBe(cut);
        expect(accounting.overlong.reduce((sum, { dropped }) => sum + dropped, 0)).toBe(accounting.dropped);
      }),
    );
  });

  it("needs at most 11/9 of the fewest rows there can be, and 6/9 of one", () => {
    const fewest = (lengths: readonly number[], rooms: readonly number[] = []): number => {
      const [length, ...rest] = lengths;
      if (length === undefined) return rooms.length;
      const into = rooms.flatMap((room, r) => (room >= length ? [fewest(rest, rooms.with(r, room - length))] : []));
      return Math.min(...into, fewest(rest, [...rooms, 10 - length]));
    };
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 10 }), { minLength: 1, maxLength: 7 }), (lengths) => {
        const given = lengths.map((length) => new Int32Array(length));
        const { rows: used } = packSequences({ documents: given, rowLength: 10 }).accounting;
        expect(9 * used).toBeLessThanOrEqual(11 * fewest(lengths) + 6);
      }),
    );
  });

  it("gives the loss a denominator that is its count of trained tokens, with segment ids and without", () => {
    fc.assert(
      fc.property(documents, (given) => {
        const { labels, segmentIds, accounting } = packSequences({ documents: given, rowLength: 12 });
        if (accounting.rows === 0) return;
        const logits = tensor(new Float32Array(accounting.slots * classes), [...labels.shape, classes]);
        const objective = crossEntropy({ labelShift: 1 });
        expect(objective.denominator({ logits, labels, segmentIds }).value).toBe(accounting.trained);
        expect(objective.denominator({ logits, labels }).value).toBe(accounting.trained);
      }),
    );
  });

  it("changes no loss: those of packed tokens are those of the documents alone, to the bit", () => {
    fc.assert(
      fc.property(fc.array(document, { minLength: 1, maxLength: 8 }), (given) => {
        const packed = packSequences({ documents: given, rowLength: 14 });
        const { labels, segmentIds, pieces, accounting } = packed;
        const data = new Float64Array(accounting.slots * classes);
        for (const piece of pieces) {
          for (let t = 0; t < piece.length; t++) {
            data.set(logitsAt(piece.document, t), (piece.row * 14 + piece.offset + t) * classes);
          }
        }
        const logits = tensor(data, [...labels.shape, classes]);
        const objective = crossEntropy({ labelShift: 1, per: "sequence" });
        if (accounting.rows === 0) return;
        const losses = unpackSequences(packed, objective.perUnit({ logits, labels, segmentIds }));
        const gradients = unpackSequences(
          packed,
          crossEntropy({ labelShift: 1, divideBy: { constant: 1 } }).valueAndGradients({ logits, labels, segmentIds })
            .gradients.logits,
        );
        let [sum, sequences] = [0, 0];
        for (const [d, ids] of given.entries()) {
          if (ids.length < 2) {
            expect([...losses[d]!.data].every((loss) => loss === 0)).toBe(true);
            continue;
          }
          const alone = {
            logits: tensor(Float64Array.from(ids.flatMap((_, t) => logitsAt(d, t))), [1, ids.length, classes]),
            labels: tensor(Int32Array.from(ids), [1, ids.length]),
          };
          expect(Array.from(losses[d]!.data, bits)).toEqual(Array.from(objective.perUnit(alone).data, bits));
          const { gradients: own } = crossEntropy({ labelShift: 1, divideBy: { constant: 1 } }).valueAndGradients(
            alone,
          );
          expect(Array.from(gradients[d]!.data, bits)).toEqual(Array.from(own.logits.data, bits));
          sum += objective.evaluate(alone).value;
          sequences++;
        }
        const { value, denominator } = objective.evaluate({ logits, labels, segmentIds });
        expect(denominator).toBe(sequences);
        expect(value).toBeCloseTo(sequences ? sum / sequences : 0, 12);
      }),
    );
  });

  it("packs 100,000 documents of 1 to 512 tokens nearly full", () => {
    let state = 1;
    const given = Array.from({ length: 100_000 }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return new Int32Array(1 + (state % 512));
    });
    const { accounting } = packSequences({ documents: given, rowLength: 2048 });
    expect(accounting.padding / accounting.slots).toBeLessThan(0.001);
  });

  describe("refuses", () => {
    const pack = (input: object) => () => packSequences(wrong({ rowLength: 4, ...input }));
    const ids = tensor([1, 2, 3]);
    refuses([
      [
        "a document longer than a row",
        pack({ documents: [[1], [1, 2, 3, 4, 5]] }),
        "value",
        "documents",
        /5 tokens in document 1.*at most 4.*"keepStart"/,
      ],
      ["another rule for it", pack({ documents: [], overlong: "truncate" }), "option", "overlong", /"keepStart" or/],
      ["rows of no length", pack({ documents: [], rowLength: 0 }), "option", "rowLength", /from 1/],
      ["no documents", pack({}), "missing-field", "documents", /cumulativeLengths/],
      [
        "a tensor of rows",
        pack({ documents: tensor([[1, 2]]) }),
        "argument",
        "documents",
        /a list with an entry a document/,
      ],
      ["rows for documents", pack({ documents: [[[1, 2]]] }), "shape", "documents[0]", /\[T\]/],
      ["halves of tokens", pack({ documents: [[1], [0.5]] }), "dtype", "documents[1]", /integers/],
      ["ids past int32 in a list", pack({ documents: [[2 ** 31]] }), "value", "documents[0]", /BigInt64Array/],
      ["both forms", pack({ documents: [], ids }), "argument", "documents", /both forms/],
      ["ids without lengths", pack({ ids }), "missing-field", "cumulativeLengths", /ids \[N\]/],
      [
        "lengths that are not cumulative",
        pack({ ids, cumulativeLengths: tensor([2, 1]) }),
        "value",
        "cumulativeLengths",
        /2 at \[0\].*cumulative ones/,
      ],
      [
        "lengths that fall",
        pack({ ids, cumulativeLengths: tensor([0, 2, 1, 3]) }),
        "value",
        "cumulativeLengths",
        /1 at \[2\]/,
      ],
      [
        "lengths of fewer ids",
        pack({ ids, cumulativeLengths: tensor([0, 2]) }),
        "value",
        "cumulativeLengths",
        /at last the 3 ids/,
      ],
      ["a mask too few", pack({ documents: [[1]], lossMasks: [] }), "shape", "lossMasks", /1, one a document/],
      ["a mask of another length", pack({ documents: [[1]], lossMasks: [[1, 1]] }), "shape", "lossMasks[0]", /\[1\]/],
      [
        "a token to learn that is ignored",
        pack({ documents: [[1, 0]], ignoreIndex: 0 }),
        "value",
        "ignoreIndex",
        /document 0 at 1/,
      ],
      ["a near miss", pack({ documents: [], overlng: "drop" }), "unknown", "overlng", /"overlong"/],
    ]);
  });
});

describe("unpackSequences", () => {
  it("gives the documents back, in their order, empty and split ones too", () => {
    fc.assert(
      fc.property(documents, fc.integer({ min: 1, max: 15 }), (given, rowLength) => {
        const packed = packSequences({ documents: given, rowLength, overlong: "split" });
        expect(unpackSequences(packed).map(({ data }) => [...data])).toEqual(given);
      }),
    );
  });

  it("gives what was kept of documents that were cut", () => {
    const given = [[1, 2, 3, 4], [5], [6, 7]];
    const left = (rule: "keepStart" | "keepEnd" | "drop") =>
      unpackSequences(packSequences({ documents: given, rowLength: 3, overlong: rule })).map(({ data }) => [...data]);
    expect(left("keepStart")).toEqual([[1, 2, 3], [5], [6, 7]]);
    expect(left("keepEnd")).toEqual([[2, 3, 4], [5], [6, 7]]);
    expect(left("drop")).toEqual([[], [5], [6, 7]]);
  });

  it("takes anything apart that lies in the rows, with axes of its own", () => {
    const packed = packSequences({ documents: [[1], [2, 3]], rowLength: 3 });
    const hidden = tensor(Float32Array.of(20, 21, 30, 31, 10, 11), [1, 3, 2], "embeddings");
    expect(unpackSequences(packed, hidden)).toMatchObject([
      { shape: [1, 2], data: Float32Array.of(10, 11), role: "embeddings", dtype: "float32" },
      { shape: [2, 2], data: Float32Array.of(20, 21, 30, 31) },
    ]);
  });

  describe("refuses", () => {
    const packed = packSequences({ documents: [[1, 2]], rowLength: 2 });
    refuses([
      ["values of other rows", () => unpackSequences(packed, tensor([[1, 2, 3]])), "shape", "values", /\[1, 2, …\]/],
      ["a list", () => unpackSequences(packed, wrong([[1, 2]])), "argument", "values", /tensor/],
      [
        "no packing",
        () => unpackSequences(wrong({ inputIds: packed.inputIds })),
        "argument",
        "packed",
        /packSequences/,
      ],
      ["nothing", () => unpackSequences(wrong(undefined)), "argument", "packed", /object/],
    ]);
  });
});
