export { type Contract, type ContractInput, contractOf, contractVersion, readContract } from "./contract.js";
export { canonical, canonicalText, firstDifference, type Json, jsonNumber } from "./json.js";
export {
  choiceOption,
  eitherOption,
  flagOption,
  inWords,
  nullableOption,
  numberOption,
  numbersOption,
  type OptionSpec,
  type OptionSpecs,
  optionsToJson,
  resolveOptions,
} from "./options.js";
export {
  constantOf,
  type DivideBy,
  type OnEmpty,
  type Per,
  perOfUnit,
  type Reduction,
  resolveReduction,
  type UnitKind,
} from "./reduction.js";
