import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compile } from '../src/engine/index.js';
import { inspectTensors } from '../src/experiments/index.js';
import { openTensors } from '../src/formats/index.js';
import { loadModel, type Model, parameterSet, saveModel } from '../src/models/index.js';
import { feedsOf } from '../src/nn/index.js';
import { textBatch } from './support/language-fixtures.js';

const data = resolve(process.env.WEIGHTLOCK_DATA ?? '../shared/data');
const folder = join(data, 'models/all-minilm-l6-v2');
const present = existsSync(folder);
if (!present) console.log(`skipped: no models/all-minilm-l6-v2 in ${data} (set WEIGHTLOCK_DATA)`);

interface Expected {
  input_ids: number[][];
  mean_pooled_normalized_first8: number[][];
  cosine: number[][];
  top8_singular_values: Record<string, number[]>;
}

const expected: Expected | undefined = present && JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'));

/** The embeddings of texts, one a row. */
async function embeddingsOf(model: Model, texts: number[][]): Promise<number[][]> {
  const { specs, batch } = textBatch({ texts, types: texts.map((text) => text.map(() => 0)) });
  const { embedding } = model.build(specs).outputs;
  const program = await compile({ embedding }, { threads: 1 });
  const { embedding: values } = await program.run(feedsOf(batch, parameterSet(model.weights)));
  const width = model.head.size;
  const rows = texts.map((_, row) => [...(values.slice(row * width, (row + 1) * width) as Float32Array)]);
  await program.release();
  return rows;
}

describe.skipIf(!expected)('all-MiniLM-L6-v2 against transformers', () => {
  const { input_ids, mean_pooled_normalized_first8, cosine, top8_singular_values } = expected as Expected;

  it('embeddings of texts together, in one padded batch, and their cosines', async () => {
    const model = await loadModel(folder);
    expect(model.head).toEqual({ kind: 'embedding', size: 384 });
    expect(model.notes).toEqual([]);
    const rows = await embeddingsOf(model, input_ids);
    rows.forEach((row, text) => {
      mean_pooled_normalized_first8[text].forEach((value, at) => {
        expect(Math.abs(row[at] - value), `text ${text}, number ${at}`).toBeLessThan(2e-6);
      });
      rows.forEach((other, second) => {
        const along = row.reduce((sum, value, at) => sum + value * other[at], 0);
        expect(Math.abs(along - cosine[text][second]), `texts ${text} and ${second}`).toBeLessThan(2e-6);
      });
    });
  });

  it('singular values', async () => {
    const { matrices } = await inspectTensors(await openTensors(folder), { topK: 8 });
    for (const [name, values] of Object.entries(top8_singular_values)) {
      const { sigma = [] } = matrices.find((matrix) => matrix.name === name) ?? {};
      values.forEach((value, at) => {
        expect(Math.abs(sigma[at] - value) / value, `${name}, value ${at}`).toBeLessThan(1e-5);
      });
    }
  });

  it('is written as it was, and with a classifier keeps its tensors and gets those it lacks', async () => {
    const root = await mkdtemp(join(tmpdir(), 'weightlock-minilm-'));
    await saveModel(join(root, 'same'), await loadModel(folder));
    const files = [join(root, 'same'), folder].map((at) => readFile(join(at, 'model.safetensors')));
    const [written, original] = await Promise.all(files);
    expect(written.equals(original)).toBe(true);
    const model = await loadModel(folder, { head: { kind: 'classifier', labels: ['no', 'yes'] } });
    expect(model.notes).toEqual([
      `${folder} has no classifier.weight [2, 384], classifier.bias [2]: drawn anew from seed 1, not trained.`,
    ]);
    expect(model.weights.get('bert.pooler.dense.weight')?.data.some((value) => value !== 0)).toBe(true);
    await rm(root, { recursive: true });
  });
});
