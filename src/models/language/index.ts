export { type BertConfig, bert } from './bert.js';
export { type DebertaV2Config, debertaV2 } from './deberta-v2.js';
export { type DistilBertConfig, distilbert } from './distilbert.js';
export { roberta, xlmRoberta } from './roberta.js';
