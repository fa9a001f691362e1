export { type ChatMessage, ChatTemplate } from './chat-template.js';
export { type EncodeOptions, type Encoding, loadTokenizer, type Tokenizer, tokenizerFiles } from './tokenizer.js';
