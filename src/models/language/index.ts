export { type BertConfig, bert } from './bert.js';
export { type DistilBertConfig, distilbert } from './distilbert.js';
export { roberta, xlmRoberta } from './roberta.js';
