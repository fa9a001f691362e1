import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { loadTokenizer } from '../../src/text/index.js';

/** The folder of the tokenizer that reads them. */
export const textReader = resolve('test/fixtures/tokenizers/wordpiece');
const words = ['fox', 'dog', 'man', 'food', 'meal', 'market', 'system', 'the', 'a', 'quick', 'lazy', 'jumps', 'over'];

/**
 * Writes what a small BERT is made of and two tasks that it can learn: `config.json`, and 240 texts each in `own.jsonl`, which ask whether a fox
 * is in them, and `other.jsonl`, which ask for a meal.
 */
export async function writeSmallTexts(folder: string): Promise<void> {
  const { size } = await loadTokenizer(textReader);
  const layers = { hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 32 };
  const config = { ...layers, vocab_size: size, max_position_embeddings: 64, initializer_range: 0.2 };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  const texts = Array.from({ length: 240 }, (_, row) =>
    Array.from({ length: 4 + (row % 5) }, (__, at) => words[(row * 31 + at * 17 + row * at) % words.length]),
  );
  const labelled = (noun: string) => {
    const rows = texts.map((tokens) => ({ text: tokens.join(' '), label: tokens.includes(noun) ? 'yes' : 'no' }));
    return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  };
  await writeFile(join(folder, 'own.jsonl'), labelled('fox'));
  await writeFile(join(folder, 'other.jsonl'), labelled('meal'));
}
