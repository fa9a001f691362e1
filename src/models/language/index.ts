export { type BertConfig, type BertDlrConfig, bert, bertDlr } from './bert.js';
export { type DebertaV2Config, debertaV2 } from './deberta-v2.js';
export { type DistilBertConfig, distilbert } from './distilbert.js';
export { type Gemma3Config, gemma3 } from './gemma3.js';
export { type Gpt2Config, gpt2 } from './gpt2.js';
export { type LlamaConfig, type LlamaDlrConfig, llama, llamaDlr } from './llama.js';
export { type MistralConfig, mistral } from './mistral.js';
export { type Qwen2Config, type Qwen3Config, qwen2, qwen3 } from './qwen.js';
export { roberta, xlmRoberta } from './roberta.js';
