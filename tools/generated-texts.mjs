// Writes texts that a language model draws from a prompt as a data set, for an owner who releases a model without the texts it was
// trained on: what the model writes is what a lock has to keep.
//
//   npm run build && node tools/generated-texts.mjs MODEL "Once upon a time" 1200 80 data/stories
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { endTokens, TextGenerator } from '../dist/generation/index.js';
import { loadModel, parameterSet } from '../dist/models/index.js';
import { loadTokenizer } from '../dist/text/index.js';

const [path, opening, count, maxTokens, folder] = process.argv.slice(2);
if (!folder) {
  console.error('usage: node tools/generated-texts.mjs MODEL PROMPT TEXTS TOKENS FOLDER');
  process.exit(2);
}
const model = await loadModel(path);
const tokenizer = await loadTokenizer(path);
const generator = new TextGenerator(model, parameterSet(model.weights), { threads: 1 });
const prompt = tokenizer.encode(opening).ids;
const ends = await endTokens(model);
const texts = [];
for (let seed = 1; seed <= Number(count); seed++) {
  const drawn = [];
  const stream = generator.stream({ prompt, maxTokens: Number(maxTokens), temperature: 1, seed, endTokens: ends });
  for await (const token of stream) drawn.push(token);
  texts.push(tokenizer.decode([...prompt, ...drawn], { skipSpecialTokens: true }));
}
await generator.release();
const write = (name, some) => {
  const lines = some.map((text) => JSON.stringify({ text }));
  writeFileSync(join(folder, name), `${lines.join('\n')}\n`);
  console.log(`${name}: ${some.length} texts`);
};
mkdirSync(folder, { recursive: true });
write('train.jsonl', texts.slice(0, Math.floor(0.8 * texts.length)));
write('test.jsonl', texts.slice(Math.floor(0.8 * texts.length)));
