import { afterAll, describe, expect, it } from 'vitest';
import { compile, type Program } from '../src/engine/index.js';
import { crossEntropy, gradients, mul, reduceSum, reshape, rounded, type Tensor } from '../src/graph/index.js';
import { type ModelSpec, parameterSet, readConfig, type StateDict } from '../src/models/index.js';
import { batchInput, feedsOf } from '../src/nn/index.js';
import { largestDifference } from './support/compare.js';
import { readFixture } from './support/fixtures.js';
import { hashed } from './support/linalg-fixtures.js';
import { hashedWeights, worstOfDigests } from './support/vision-fixtures.js';

interface DecoderCase {
  config: Record<string, unknown> & { architectures: [string]; num_labels: number };
  output: number[];
  loss: number;
  gradients: Record<string, number[]>;
}

const { seed, ids, mask, cases } = readFixture<{
  seed: number;
  ids: number[][];
  mask: number[][];
  cases: DecoderCase[];
}>('decoders.json');

/** Largest errors measured, each relative to its own element or the tensor's root mean square: 3e-6, 1.8e-6, 2.2e-5. */
const tolerances = { output: 1e-5, loss: 3e-6, gradients: 5e-5 };
const zero = 1e-4;
const engine = { threads: 1 };

/** Tokens and which of them count, a row each. */
interface Texts {
  ids: number[][];
  mask: number[][];
}

const int64 = (rows: number[][]) => BigInt64Array.from(rows.flat(), BigInt);

/** Loss of a head whose labels are made of the tokens, so that no text's share depends on the others'. */
function lossOf(spec: ModelSpec, outputs: Readonly<Record<string, Tensor>>, labels: Tensor): Tensor {
  const [output] = Object.values(outputs);
  if (spec.head.kind === 'embedding') {
    const along = output.graph.constant(hashed(seed + 8000, output.size), output.shape);
    return reduceSum(mul(output, along));
  }
  return crossEntropy(reshape(output, [-1, spec.head.size]), reshape(labels, [-1]));
}

function labelsOf(spec: ModelSpec, texts: Texts): number[][] {
  const { kind, size } = spec.head;
  if (kind === 'classifier') return texts.ids.map((_, text) => [text % size]);
  return texts.ids.map((tokens, text) =>
    tokens.map((token, at) => {
      const counts = texts.mask[text];
      if (kind === 'token-classifier') return counts[at] ? token % size : -100;
      return counts[at] && counts[at + 1] ? tokens[at + 1] : -100;
    }),
  );
}

const programs: Program[] = [];
afterAll(() => Promise.all(programs.map((program) => program.release())));

/** Output of real tokens, loss, and all gradients. */
async function computed(spec: ModelSpec, weights: StateDict, texts: Texts) {
  const shape = [texts.ids.length, texts.ids[0].length];
  const { graph, scope, outputs } = spec.build({
    input_ids: { shape, dtype: 'int64' },
    attention_mask: { shape, dtype: 'int64' },
    token_type_ids: { shape, dtype: 'int64' },
  });
  const labels = labelsOf(spec, texts);
  const fed = graph.input(batchInput('labels'), [labels.length, labels[0].length], 'int64');
  const loss = lossOf(spec, outputs, fed);
  const inputs = scope.parameterInputs;
  const slopes = gradients(loss, [...inputs.values()]);
  const wanted: Record<string, Tensor> = { loss, output: Object.values(outputs)[0] };
  [...inputs.keys()].forEach((name, index) => {
    const slope = slopes[index];
    if (slope) wanted[`grad ${name}`] = slope;
  });
  const program = await compile(wanted, engine);
  programs.push(program);
  const batch = { input_ids: int64(texts.ids), attention_mask: int64(texts.mask), labels: int64(labels) };
  const results = await program.run(feedsOf(batch, parameterSet(weights)));
  const output = results.output as Float32Array;
  const perToken = spec.head.kind === 'causal-lm' || spec.head.kind === 'token-classifier';
  const isReal = (index: number) => !perToken || texts.mask.flat()[Math.floor(index / spec.head.size)] === 1;
  return {
    output: output.filter((_, index) => isReal(index)),
    loss: Number(results.loss[0]),
    gradients: new Map(
      Object.keys(wanted)
        .filter((name) => name.startsWith('grad '))
        .map((name) => [name.slice(5), (results[name] as Float32Array).slice()]),
    ),
  };
}

describe('decoders against transformers', () => {
  const base = cases[0].config;
  const table = cases.map((one) => {
    const differing = Object.entries(one.config).filter(([key, value]) => String(base[key]) !== String(value));
    return { ...one, name: `${one.config.architectures[0]} ${JSON.stringify(Object.fromEntries(differing))}` };
  });
  it('has cases', () => expect(cases.length).toBeGreaterThanOrEqual(10));
  it.each(table)('$name: output, loss, every gradient', async (one) => {
    const spec = readConfig(one.config, 'fixture');
    const found = await computed(spec, hashedWeights(spec, seed), { ids, mask });
    const output = largestDifference(found.output, one.output);
    expect(found.output.length).toBe(one.output.length);
    expect(output.error, `output, index ${output.index}`).toBeLessThan(tolerances.output);
    expect(Math.abs(found.loss - one.loss) / Math.abs(one.loss), 'loss').toBeLessThan(tolerances.loss);
    expect([...found.gradients.keys()].sort()).toEqual(Object.keys(one.gradients).sort());
    const gradient = worstOfDigests(found.gradients, one.gradients, zero, seed);
    expect(gradient.error, `gradient of ${gradient.where}`).toBeLessThan(tolerances.gradients);
  });
  it.each(table)('$name: padding on either side changes nothing, whatever it holds', async (one) => {
    const spec = readConfig(one.config, 'fixture');
    const weights = hashedWeights(spec, seed);
    const text = [5, 17, 3, 9, 12];
    const plain = await computed(spec, weights, { ids: [text], mask: [text.map(() => 1)] });
    const padded = { ids: [[0, 13, ...text, 18, 4]], mask: [[0, 0, ...text.map(() => 1), 0, 0]] };
    const found = await computed(spec, weights, padded);
    expect(largestDifference(found.output, plain.output).error, 'output').toBeLessThan(tolerances.output);
    expect(Math.abs(found.loss - plain.loss) / Math.abs(plain.loss), 'loss').toBeLessThan(tolerances.loss);
    for (const [name, gradient] of plain.gradients) {
      const { error } = largestDifference(found.gradients.get(name) ?? [], gradient, zero);
      expect(error, name).toBeLessThan(tolerances.gradients);
    }
  });
});

it('a text behind padding, with activations whose squares overflow, is a number in float16', async () => {
  const spec = readConfig(cases[0].config, 'fixture');
  const weights = new Map(hashedWeights(spec, seed));
  const name = 'model.layers.0.mlp.down_proj.weight';
  const large = weights.get(name);
  weights.set(name, { shape: large?.shape ?? [], data: large?.data.map((value) => 500 * value) ?? new Float32Array() });
  const shape = [1, 6];
  const array = { shape, dtype: 'int64' } as const;
  const { outputs } = spec.build({ input_ids: array, attention_mask: array });
  const batch = { input_ids: int64([[0, 0, 5, 17, 3, 9]]), attention_mask: int64([[0, 0, 1, 1, 1, 1]]) };
  const [exact, half] = await Promise.all(
    [{ y: outputs.logits }, rounded({ y: outputs.logits }, 'float16')].map(async (wanted) => {
      const program = await compile(wanted, engine);
      programs.push(program);
      const { y } = await program.run(feedsOf(batch, parameterSet(weights)));
      return (y as Float32Array).slice(2 * spec.head.size);
    }),
  );
  expect(largestDifference(half, exact).error).toBeLessThan(0.1);
});
