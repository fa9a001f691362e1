export { type BertConfig, bert } from './bert.js';
