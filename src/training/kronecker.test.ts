import { afterAll, describe, expect, it } from 'vitest';
import { outOfTolerance } from '../../test/support/compare.js';
import { ProgramCache } from '../engine/index.js';
import { gradients, mul, reduceSum, type Tensor } from '../graph/index.js';
import { initializeModel, type Model, parameterSet } from '../models/index.js';
import { type ArraySpecs, type Batch, feedsOf } from '../nn/index.js';
import { FactorPrograms } from './kronecker.js';
import type { LayerFactors } from './optimizers/index.js';

const programs = new ProgramCache({ threads: 1 });
afterAll(() => programs.release());

/** A sum of the outputs with weights that no two of have in common. */
function lossOf(model: Model, specs: ArraySpecs) {
  const { scope, outputs } = model.build(specs);
  const [output] = Object.values(outputs) as [Tensor];
  const weights = Array.from({ length: output.size }, (_, i) => Math.cos(1 + 2 * i));
  const loss = reduceSum(mul(output, output.graph.constant(weights, output.shape, output.dtype)));
  return { loss, parameters: scope.parameterInputs };
}

async function factorsOf(model: Model, specs: ArraySpecs, batch: Batch): Promise<LayerFactors[]> {
  const feeds = feedsOf(batch, parameterSet(model.weights));
  const key = JSON.stringify([model.digest, specs]);
  const layers = new FactorPrograms(programs, key, () => lossOf(model, specs));
  return layers.factors({ labels: 'given', longest: 1000 }, { feeds, count: 1, weight: 1 });
}

/** Arrays of one text. */
function textOf(ids: readonly number[], mask: readonly number[], more: Record<string, readonly number[]> = {}) {
  const arrays = { input_ids: ids, attention_mask: mask, ...more };
  const spec = { shape: [1, ids.length], dtype: 'int64' as const };
  return {
    specs: Object.fromEntries(Object.keys(arrays).map((name) => [name, spec])),
    batch: Object.fromEntries(
      Object.entries(arrays).map(([name, values]) => [name, BigInt64Array.from(values.map(BigInt))]),
    ),
  };
}

const small = { vocab_size: 30, num_hidden_layers: 2, num_attention_heads: 2 };

describe('factors of the layers of language models', () => {
  it('of one token are the outer products whose product is the gradient, however the weight is stored', async () => {
    const config = { vocab_size: 30, n_embd: 8, n_layer: 2, n_head: 2, n_positions: 16 };
    const model = initializeModel('gpt2', config, 1);
    const { specs, batch } = textOf([7], [1]);
    const found = await factorsOf(model, specs, batch);
    const { loss, parameters } = lossOf(model, specs);
    const slopes = gradients(loss, [...parameters.values()]);
    const named = [...parameters.keys()].flatMap((name, at) => (slopes[at] ? [[name, slopes[at]] as const] : []));
    const program = await programs.get('gradients', () => Object.fromEntries(named));
    const results = await program.run(feedsOf(batch, parameterSet(model.weights)));
    expect(found.filter(({ isTransposed }) => isTransposed).length).toBe(8);
    const complaints = found.flatMap(({ weight, bias, isTransposed, inputs, outputs }) => {
      const [rows, columns] = model.weights.get(weight)?.shape ?? [];
      const [out, width] = isTransposed ? [columns, rows] : [rows, columns];
      expect([outputs.length, inputs.length]).toEqual([out * out, (width + (bias === undefined ? 0 : 1)) ** 2]);
      const slope = results[weight] as Float32Array;
      const at = (i: number, j: number) => Number(slope[isTransposed ? j * out + i : i * width + j]);
      // g gᵀ |x|², where the gradient is g xᵀ.
      const squares = inputs.reduce((sum, value, i) => sum + (i % (Math.sqrt(inputs.length) + 1) === 0 ? value : 0), 0);
      const lengths = squares - (bias === undefined ? 0 : 1);
      const expected = Array.from({ length: out * out }, (_, place) => {
        let sum = 0;
        for (let j = 0; j < width; j++) sum += at(Math.floor(place / out), j) * at(place % out, j);
        return sum;
      });
      return outOfTolerance(
        weight,
        outputs.map((value) => value * lengths),
        expected,
        1e-4,
        1e-9,
      );
    });
    expect(complaints).toEqual([]);
  });

  it('count no padding', async () => {
    const keys = { ...small, hidden_size: 8, intermediate_size: 12, max_position_embeddings: 16 };
    const model = initializeModel('bert', keys, 1);
    const types = (count: number) => ({ token_type_ids: Array.from({ length: count }, () => 0) });
    const alone = textOf([5, 7, 9], [1, 1, 1], types(3));
    const padded = textOf([5, 7, 9, 0, 0], [1, 1, 1, 0, 0], types(5));
    const [short, long] = [
      await factorsOf(model, alone.specs, alone.batch),
      await factorsOf(model, padded.specs, padded.batch),
    ];
    expect(short.length).toBe(12);
    const valuesOf = (factors: readonly LayerFactors[]) =>
      factors.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]);
    expect(outOfTolerance('factors', valuesOf(long), valuesOf(short), 1e-4)).toEqual([]);
    // The mean of three tokens' 1 is three times 1 an example.
    const { inputs } = short.find(({ weight }) => weight.includes('intermediate')) as LayerFactors;
    expect(inputs.at(-1)).toBe(3);
  });

  it('are left out of tables, also where one is the head as well', async () => {
    const model = initializeModel('gpt2', { vocab_size: 30, n_embd: 8, n_layer: 1, n_head: 2, n_positions: 16 }, 1);
    const { specs, batch } = textOf([7, 3], [1, 1]);
    const names = (await factorsOf(model, specs, batch)).map(({ weight }) => weight);
    expect(names.some((name) => name.includes('wte') || name.includes('wpe'))).toBe(false);
    expect(names.some((name) => name.includes('c_attn'))).toBe(true);
  });
});
