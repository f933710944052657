/** From chat messages to training fields: template, tokens, roles, masks, labels. */
export type { Chat, ChatNote, ChatSpan, ChatText } from "./chat-row.js";
export { type ChatAccounting, type ChatFields, type ChatTemplateInput, chatTemplate } from "./chat-template.js";
export {
  type AddedToken,
  type ChatTokenizer,
  type HubTokenizer,
  type Jinja,
  loadJinja,
  tokenizerFrom,
} from "./peers.js";
export type { ChatMessage, SpecialTokens } from "./renderer.js";
export { type AlignedTokens, tokenOffsets } from "./token-offsets.js";
