export { type ChatMessage, ChatTemplate } from './chat-template.js';
export {
  type EncodeOptions,
  type Encoding,
  loadTokenizer,
  type Tokenizer,
  tokenizerFiles,
  type Vocabulary,
  type WordTokens,
} from './tokenizer.js';
