import fc from "fast-check";

/**
 * One seed for all property tests, so that a run says the same today and tomorrow. `LOSSWRIGHT_SEED=7 npm test` draws
 * other cases, `LOSSWRIGHT_SEED=random` others every time; a failure prints its seed and path.
 */
const given = process.env.LOSSWRIGHT_SEED ?? "2026";
if (given !== "random") fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(given) });
