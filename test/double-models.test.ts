import { describe, expect, it } from 'vitest';
import { compile } from '../src/engine/index.js';
import { type FloatType, gradients, mul, reduceSum, sizeOf, type Tensor, type TypedArray } from '../src/graph/index.js';
import { RandomStream } from '../src/linalg/index.js';
import { architectures, type ModelSpec, modelState, parseConfig } from '../src/models/index.js';
import { type ArraySpecs, batchInput, type StateSpec, weightInput } from '../src/nn/index.js';
import { largestDifference } from './support/compare.js';

const encoder = { vocab_size: 20, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 12 };
const decoder = { ...encoder, num_key_value_heads: 1, head_dim: 4 };
/** The same with deep networks of low rank in the place of feed-forward layers. */
const deep = ({ intermediate_size: _, ...others }: Record<string, unknown>) => ({
  ...others,
  feed_forward: { depth: 2, rank: 3 },
});
const image = { x: { shape: [1, 16, 16], dtype: 'float32' as const } };
/** Keys that keep a family small. */
const small: Readonly<Record<string, Record<string, unknown>>> = {
  vit: { hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 12, patch_size: 8 },
  bert: encoder,
  'bert-dlr': deep(encoder),
  'llama-dlr': deep({ ...decoder, pad_token_id: 0 }),
  roberta: encoder,
  'xlm-roberta': encoder,
  distilbert: { vocab_size: 20, dim: 8, n_layers: 1, n_heads: 2, hidden_dim: 12 },
  'deberta-v2': {
    ...{ ...encoder, relative_attention: true, pos_att_type: 'p2c|c2p', position_buckets: 4, conv_kernel_size: 3 },
    ...{ norm_rel_ebd: 'layer_norm', embedding_size: 4, type_vocab_size: 2, max_position_embeddings: 16 },
  },
  gpt2: { vocab_size: 20, n_embd: 8, n_layer: 1, n_head: 2, n_positions: 16 },
};

function specOf(name: string): ModelSpec {
  const architecture = architectures.get(name);
  const isImage = 'x' in architecture.inputs(architecture.config.parse({}));
  const keys = isImage
    ? architecture.fit(image, { kind: 'classifier', labels: ['a', 'b', 'c'] })
    : (small[name] ?? { ...decoder, pad_token_id: 0 });
  return parseConfig(architecture, { ...keys, ...(isImage ? small[name] : {}) }, 'test');
}

function batchOf({ inputs }: ModelSpec): { specs: ArraySpecs; arrays: Record<string, Float32Array | BigInt64Array> } {
  const specs = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, dtype }]) => [
      name,
      { shape: [2, ...shape.map((length) => length ?? 5)], dtype },
    ]),
  );
  const arrays = Object.fromEntries(
    Object.entries(specs).map(([name, { shape, dtype }]) => {
      const size = sizeOf(shape);
      if (dtype === 'float32') {
        const values = new Float32Array(size);
        new RandomStream(1, 'test images').fillNormal(values, 0, 1);
        return [name, values];
      }
      // The last token of the second text is padding.
      const ids = (_: unknown, i: number) => BigInt(name === 'input_ids' && i < size - 1 ? 2 + (i % 17) : 0);
      const mask = (_: unknown, i: number) => BigInt(i < size - 1 ? 1 : 0);
      return [name, BigInt64Array.from({ length: size }, name === 'attention_mask' ? mask : ids)];
    }),
  );
  return { specs, arrays };
}

/** Weights of about the size that they begin with, cheaper than drawing tens of millions of them. */
function valuesOf({ name, shape }: StateSpec): Float32Array {
  if (shape.length < 2) return new Float32Array(sizeOf(shape)).fill(/(weight|running_var)$/.test(name) ? 1 : 0.1);
  const scale = 2 / Math.sqrt(sizeOf(shape.slice(1)));
  let state = name.length;
  return Float32Array.from({ length: sizeOf(shape) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return scale * (state / 2 ** 32 - 0.5) * Math.sqrt(3);
  });
}

/** Output, and the gradients of a sum that weights all of it. */
async function computed(spec: ModelSpec, dtype: FloatType) {
  const { specs, arrays } = batchOf(spec);
  const { scope, outputs } = spec.build(specs, { dtype });
  const [output] = Object.values(outputs);
  const weighting = Float64Array.from({ length: output.size }, (_, i) => Math.fround(Math.sin(1 + i)));
  const loss = reduceSum(mul(output, output.graph.constant(weighting, output.shape, dtype)));
  const parameters = [...scope.parameterInputs];
  const slopes = gradients(
    loss,
    parameters.map(([, tensor]) => tensor),
  );
  const wanted: Record<string, Tensor> = { output };
  parameters.forEach(([name], i) => {
    const slope = slopes[i];
    if (slope) wanted[`grad ${name}`] = slope;
  });
  const program = await compile(wanted, { threads: 1 });
  const feeds: Record<string, TypedArray> = {};
  const as = (values: Float32Array) => (dtype === 'float64' ? Float64Array.from(values) : values);
  for (const [name, values] of Object.entries(arrays)) {
    feeds[batchInput(name)] = values instanceof Float32Array ? as(values) : values;
  }
  for (const state of modelState(spec)) feeds[weightInput(state.name)] = as(valuesOf(state));
  const results = await program.run(feeds);
  await program.release();
  return results;
}

describe.each(architectures.entries().map(({ name }) => name))('%s', (name) => {
  it('runs in float64, and there is what float32 has up to its rounding', async () => {
    const spec = specOf(name);
    const [single, double] = [await computed(spec, 'float32'), await computed(spec, 'float64')];
    expect(Object.keys(double)).toEqual(Object.keys(single));
    expect(Object.keys(double).length).toBeGreaterThan(4);
    for (const [key, values] of Object.entries(double)) {
      expect(values).toBeInstanceOf(Float64Array);
      const { error, index } = largestDifference(single[key] as Float32Array, values as Float64Array, 1e-4);
      expect(error, `${key} at ${index}`).toBeLessThan(2e-3);
    }
  });
});
