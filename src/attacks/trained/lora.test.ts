import { describe, expect, it } from 'vitest';
import { largestDifference } from '../../../test/support/compare.js';
import { readFixture } from '../../../test/support/fixtures.js';
import { floatDataset } from '../../data/index.js';
import { architectures, initializeModel, parseConfig } from '../../models/index.js';
import { createObjective, optimizers } from '../../training/index.js';
import { loraOptions, loraTargets, lowRank, makeLora } from './index.js';
import { partRun } from './trainable.js';

interface Stored {
  shape: number[];
  data: number[];
}
interface Fixture {
  rank: number;
  alpha: number;
  rate: number;
  cases: {
    dora: boolean;
    weights: Record<string, Stored>;
    x: number[];
    labels: number[];
    first: Record<string, Stored>;
    losses: number[];
    after: Record<string, Stored>;
    merged: Record<string, Stored>;
  }[];
  conv1d: {
    dora: boolean;
    weight: number[];
    ofWeight: number[];
    values: Record<string, number[]>;
    gradients: Record<string, number[]>;
  }[];
}

const fixture = readFixture<Fixture>('lora.json');
const { rank, alpha, rate } = fixture;

const config = { num_labels: 3, image_size: 16, kernel_size: 3, channels: [2, 3], hidden_sizes: [6, 5, 4] };

describe('factors beside the weights', () => {
  it.each(fixture.cases.map((each) => [each.dora ? 'DoRA' : 'LoRA', each] as const))(
    "%s is peft's, step by step: losses, factors and merged weights of convolutions and linear layers",
    async (_, { dora, weights: stored, x, labels, first, losses, after, merged }) => {
      const model = parseConfig(architectures.get('cnn'), config, 'test');
      const weights = new Map(Object.entries(stored).map(([name, { data }]) => [name, Float32Array.from(data)]));
      const dataset = floatDataset({
        name: 'noise',
        shape: [1, 16, 16],
        inputs: Float32Array.from(x),
        labels: Int32Array.from(labels),
        classes: ['a', 'b', 'c'],
      });
      const objective = await createObjective({ model, dataset, batchSize: labels.length, seed: 1 });
      const sgd = optimizers.get('sgd').create({});
      const make = makeLora(model, loraOptions.parse({ rank, alpha }), dora);
      const part = partRun(objective, weights, sgd, { make, seed: 1 });
      expect([...part.params.keys()].sort()).toEqual(Object.keys(first).sort());
      // B is 0 at first, and m the lengths of the rows: only A is drawn.
      for (const [name, { data }] of Object.entries(first)) {
        if (name.includes('lora_A')) part.params.get(name)?.set(data);
        else expect(largestDifference(part.params.get(name) ?? [], data).error, name).toBeLessThan(1e-6);
      }
      const found: number[] = [];
      for (let step = 1; step <= losses.length; step++) {
        const { loss, gradients } = await part.compute(part.params, step);
        found.push(loss);
        for (const [name, gradient] of gradients) {
          part.params.get(name)?.forEach((value, index, param) => {
            param[index] = value - rate * gradient[index];
          });
        }
        await part.write();
      }
      expect(largestDifference(found, losses).error).toBeLessThan(1e-5);
      for (const [name, { data }] of Object.entries(after)) {
        expect(largestDifference(part.params.get(name) ?? [], data).error, name).toBeLessThan(2e-5);
      }
      for (const [name, { data }] of Object.entries(merged)) {
        expect(largestDifference(weights.get(name) ?? [], data).error, name).toBeLessThan(2e-5);
      }
      await objective.release();
    },
  );

  it.each(fixture.conv1d.map((each) => [each.dora ? 'DoRA' : 'LoRA', each] as const))(
    "%s has peft's gradients where a weight is stored as [in, out]",
    async (_, { dora, weight, ofWeight, values, gradients }) => {
      const own = new Map([['c_fc.weight', Float32Array.from(weight)]]);
      const target = { name: 'c_fc.weight', rows: 5, columns: 4, isTransposed: true };
      const part = lowRank(own, [target], { rank, alpha, magnitudes: dora, seed: 1 });
      expect(part.params.size).toBe(Object.keys(values).length);
      for (const [name, data] of Object.entries(values)) part.params.get(`c_fc.${name}.weight`)?.set(data);
      const found = await part.gradients(new Map([['c_fc.weight', Float32Array.from(ofWeight)]]));
      for (const [name, data] of Object.entries(gradients)) {
        expect(largestDifference(found.get(`c_fc.${name}.weight`) ?? [], data).error, name).toBeLessThan(1e-5);
      }
    },
  );

  it('leave the model as it is until a step is taken', async () => {
    const { weights } = initializeModel('mlp', { hidden_sizes: [12] }, 1);
    const before = new Map([...weights].map(([name, { data }]) => [name, data.slice()]));
    const own = new Map([...weights].map(([name, { data }]) => [name, data]));
    const target = { name: 'fc1.weight', rows: 12, columns: 784, isTransposed: false };
    for (const magnitudes of [false, true]) {
      await lowRank(own, [target], { rank: 4, alpha: 8, magnitudes, seed: 1 }).write?.();
      expect(largestDifference(own.get('fc1.weight') ?? [], before.get('fc1.weight') ?? []).error).toBeLessThan(1e-6);
    }
  });
});

describe('what gets factors', () => {
  const text = { vocab_size: 20, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 12 };

  it('the matrices of the blocks, not embeddings nor the head, unless they are named', () => {
    const model = parseConfig(architectures.get('llama'), { ...text, tie_word_embeddings: false }, 'test');
    const { factored, whole } = loraTargets(model, loraOptions.parse({}));
    expect(factored.map(({ name }) => name.replace(/^model\.layers\./, ''))).toEqual(
      [0, 1].flatMap((layer) =>
        ['q_proj', 'k_proj', 'v_proj', 'o_proj']
          .map((name) => `${layer}.self_attn.${name}.weight`)
          .concat(['gate_proj', 'up_proj', 'down_proj'].map((name) => `${layer}.mlp.${name}.weight`)),
      ),
    );
    expect([...whole]).toEqual(['model.norm.weight', 'lm_head.weight']);
    const named = loraTargets(
      model,
      loraOptions.parse({ include: ['*q_proj.weight', 'lm_head*'], also: ['lm_head*'] }),
    );
    expect(named.factored.map(({ name }) => name.split('.').at(-2))).toEqual(['q_proj', 'q_proj', 'lm_head']);
    expect([...named.whole]).toEqual([]);
  });

  it('those of GPT-2 the other way round', () => {
    const model = parseConfig(
      architectures.get('gpt2'),
      { vocab_size: 20, n_embd: 8, n_layer: 1, n_head: 2, n_positions: 16 },
      'test',
    );
    const { factored } = loraTargets(model, loraOptions.parse({}));
    expect(
      factored.map(({ name, rows, columns, isTransposed }) => [name.slice(16), rows, columns, isTransposed]),
    ).toEqual([
      ['attn.c_attn.weight', 24, 8, true],
      ['attn.c_proj.weight', 8, 8, true],
      ['mlp.c_fc.weight', 32, 8, true],
      ['mlp.c_proj.weight', 8, 32, true],
    ]);
  });
});
