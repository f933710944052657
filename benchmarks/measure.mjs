// Measures one work: ours against each peer in turn, one call of each a round, so that whatever else the machine does
// falls on both.
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Contestant, NotMeasured } from "./peers/contestant.mjs";
import { ours as startOurs, truth as startTruth } from "./peers/setup.mjs";
import { writeInputs } from "./works.mjs";

/** A peer's call that takes longer is given up; ours are waited for. */
const callSeconds = 20;
const ownSeconds = 120;
const prepareSeconds = 120;
const truthSeconds = 240;
/** Elements of the gradient that are compared with the truth. */
const compared = 1 << 18;
/** How often a pair of calls is measured that takes this long. */
function roundsOf(milliseconds, rounds) {
  if (milliseconds > 20_000) return 1;
  return milliseconds > 4000 ? Math.min(rounds, 3) : rounds;
}

/** Fewer page faults a call than this are no fresh memory. */
const fewFaults = 100;
/** Threads that spin while they wait for more work stop before the other one's turn. */
const pauseMilliseconds = 10;

const median = (times) => {
  const sorted = times.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** A series of contestants that keep their processes from work to work; the others get a new one each time. */
export class Measurements {
  #running = new Map();

  /** `peers` from setup.mjs; `say` is told what is under way; `stopped()` ends everything early. */
  constructor({ peers, threads, rounds, engine, folder, say, stopped }) {
    Object.assign(this, { peers, threads, rounds, engine, folder, say, stopped });
  }

  /** Ends all processes. */
  close() {
    for (const contestant of this.#running.values()) contestant.stop();
    this.#running.clear();
  }

  /** Measures a work into `result`, which holds what is known at any moment. */
  async measure(work, result) {
    const { name, moved, small = false, targets = {}, sumCost, published, terms } = work;
    Object.assign(result, { name, small, moved, targets, sumCost, published, terms, peers: [] });
    this.say(`${name}: inputs`);
    const inputs = writeInputs(work, this.folder);
    try {
      this.say(`${name}: float64 truth`);
      const known = await this.#truth(work, inputs);
      if (this.stopped()) return;
      const question = { do: "prepare", work, inputs, threads: this.threads };
      const own = this.#start("ours", { create: startOurs });
      try {
        await this.#ours(own, question, work, known, result);
        for (const peer of this.peers) {
          if (this.stopped()) return;
          if (work.peers ? !work.peers.includes(peer.key) : peer.only && !peer.only(work)) continue;
          this.say(`${name}: ${peer.name}`);
          const entry = { key: peer.key, name: peer.name };
          result.peers.push(entry);
          await this.#peer(peer, own, question, known, entry, result);
        }
      } finally {
        this.#stop("ours");
      }
    } catch (error) {
      if (!(error instanceof NotMeasured)) throw error;
      if (!this.stopped()) result.cannot = error.message;
    } finally {
      for (const input of Object.values(inputs)) rmSync(input.path, { force: true });
    }
  }

  async #ours(own, question, work, known, result) {
    this.say(`${work.name}: losswright`);
    Object.assign(result, {
      times: [],
      ...(await own.ask({ ...question, memory: "allocated", engine: this.engine }, prepareSeconds)),
    });
    const { value, ranBy, ms } = await this.#warm(own, { seconds: ownSeconds });
    Object.assign(result, { value, ranBy, valueError: errorOf(value, known.value) });
    result.gradientError = await this.#gradientError(own, known);
    for (let round = 0; round < roundsOf(2 * ms, 3); round++) await this.#sample(own, result.times);
    summarize(result);
  }

  async #peer(peer, own, question, known, entry, result) {
    try {
      if (!peer.start) throw new NotMeasured(peer.without);
      const other = this.#start(peer.key, { create: () => new Contestant(peer.start) });
      await other.ask({ ...question, ...peer.question, engine: this.engine }, prepareSeconds);
      const first = await this.#warm(other, { untilNoFaults: peer.untilWarm });
      entry.value = first.value;
      entry.valueError = errorOf(first.value, known.value);
      const [mine, theirs] = [[], []];
      const rounds = roundsOf(first.ms + result.median, this.rounds);
      for (let round = 0; round < rounds && !this.stopped(); round++) {
        await this.#sample(own, mine);
        const { pageFaults } = await this.#sample(other, theirs);
        if (pageFaults !== undefined) entry.pageFaults = Math.max(entry.pageFaults ?? 0, pageFaults);
        result.times.push(mine.at(-1));
        summarize(result);
        Object.assign(entry, { rounds: round + 1, times: theirs, beside: mine });
        summarize(entry);
        entry.ratio = entry.median / median(mine);
      }
      entry.gradientError = await this.#gradientError(other, known).catch((error) => {
        entry.gradientCannot = error.message;
      });
      if (peer.stays && other.alive) await other.ask({ do: "free" }, callSeconds);
    } catch (error) {
      if (!(error instanceof NotMeasured)) throw error;
      // What was measured before stays; a note beside it would only say that the machine was slow once.
      if (entry.median === undefined && this.stopped()) result.peers.pop();
      else if (entry.median === undefined) entry.cannot = error.message;
    } finally {
      if (!peer.stays) this.#stop(peer.key);
    }
  }

  /**
   * First calls compile and touch their memory: one is not measured, and a fast one is repeated. A heap that is kept
   * takes some calls more until its blocks lie where they will be found again.
   */
  async #warm(contestant, { seconds = callSeconds, untilNoFaults = false } = {}) {
    let answer = await contestant.ask({ do: "run" }, seconds);
    if (answer.ms < 500) answer = await contestant.ask({ do: "run" }, callSeconds);
    for (let call = 0, quiet = 0; untilNoFaults && call < 16 && quiet < 3; call++) {
      answer = await contestant.ask({ do: "run" }, callSeconds);
      quiet = answer.pageFaults < fewFaults ? quiet + 1 : 0;
    }
    return answer;
  }

  async #sample(contestant, times) {
    await pause(pauseMilliseconds);
    const answer = await contestant.ask({ do: "run" }, ownSeconds);
    times.push(answer.ms);
    return answer;
  }

  async #truth(work, inputs) {
    const contestant = this.#start("truth", { create: startTruth });
    const known = {};
    try {
      const file = join(this.folder, "truth.bin");
      await contestant.ask({ do: "prepare", work, inputs }, prepareSeconds);
      const { field, from, count } = await contestant.ask({ do: "truth", file, limit: compared }, truthSeconds);
      if (count > 0) {
        const bytes = readFileSync(file);
        known.gradient = { field, from, count, numbers: new Float64Array(bytes.buffer, bytes.byteOffset, count) };
      }
      if (!work.truthOfRows) known.value = (await contestant.ask({ do: "value" }, truthSeconds)).value;
    } catch (error) {
      // Without a truth the works are timed all the same, with no error beside them.
      if (!(error instanceof NotMeasured)) throw error;
    } finally {
      this.#stop("truth");
    }
    return known;
  }

  async #gradientError(contestant, { gradient }) {
    if (!gradient) return undefined;
    const file = join(this.folder, "gradient.bin");
    const { field, from, count, numbers } = gradient;
    await contestant.ask({ do: "gradient", field, from, count, file }, callSeconds);
    const bytes = readFileSync(file);
    rmSync(file);
    return gradientErrors(new Float32Array(bytes.buffer, bytes.byteOffset, count), numbers);
  }

  #start(key, { create }) {
    let contestant = this.#running.get(key);
    if (!contestant?.alive) {
      contestant = create();
      this.#running.set(key, contestant);
    }
    return contestant;
  }

  #stop(key) {
    this.#running.get(key)?.stop();
    this.#running.delete(key);
  }
}

function summarize(entry) {
  entry.median = median(entry.times);
  entry.best = Math.min(...entry.times);
}

function errorOf(value, truth) {
  if (truth === undefined || value === undefined) return undefined;
  return truth === value ? 0 : Math.abs(value - truth) / Math.abs(truth);
}

/**
 * How far gradients are from the truth: the largest error of an entry by its own size (what a rare class is given),
 * and by the size of the largest entry. Entries below the normal float32 numbers cannot be near and are left out.
 */
function gradientErrors(numbers, truth) {
  let [ofEntry, difference, largest] = [0, 0, 0];
  for (let i = 0; i < truth.length; i++) {
    const size = Math.abs(truth[i]);
    const off = Math.abs(numbers[i] - truth[i]);
    // A NaN where the truth has none must not be compared away.
    if (Number.isNaN(off)) return { ofEntry: Number.POSITIVE_INFINITY, ofLargest: Number.POSITIVE_INFINITY };
    if (size > 2 ** -126) ofEntry = Math.max(ofEntry, off / size);
    difference = Math.max(difference, off);
    largest = Math.max(largest, size);
  }
  return { ofEntry, ofLargest: largest === 0 ? difference : difference / largest };
}
