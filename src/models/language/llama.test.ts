import { describe, expect, it } from 'vitest';
import { initializeModel, readConfig } from '../index.js';

const tiny = {
  model_type: 'llama',
  vocab_size: 50,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 1,
  num_attention_heads: 4,
};

describe('a configuration of llama', () => {
  it.each<[string, object, RegExp]>([
    [
      'rope_type',
      { rope_scaling: { rope_type: 'longrope', factor: 2 } },
      /rope_scaling\.rope_type: expected a rope_type among default, linear, dynamic, yarn, llama3, found "longrope"/,
    ],
    [
      'factor',
      { rope_scaling: { rope_type: 'linear' } },
      /rope_parameters: expected a key factor for rope_type linear/,
    ],
    ['partial_rotary_factor', { partial_rotary_factor: 0.5 }, /partial_rotary_factor: expected 1/],
    ['hidden_act', { hidden_act: 'mish' }, /hidden_act: /],
    ['heads', { num_attention_heads: 3 }, /num_attention_heads: expected a divisor of hidden_size 16, found 3/],
    ['key heads', { num_key_value_heads: 3 }, /num_key_value_heads: expected a divisor of num_attention_heads 4/],
    ['head_dim', { head_dim: 5 }, /head_dim: expected an even number, found 5/],
    ['pad_token_id', { pad_token_id: 50 }, /pad_token_id: expected a token of the vocabulary, below 50, found 50/],
    ['problem_type', { problem_type: 'regression' }, /problem_type: /],
  ])('is refused by its key: %s', (_, keys, message) => {
    expect(() => readConfig({ ...tiny, ...keys }, 'config.json')).toThrow(message);
  });

  it('says which head a model has', () => {
    const head = (name: string) => readConfig({ ...tiny, architectures: [name], num_labels: 5 }, 'c').head;
    expect(head('LlamaForCausalLM')).toEqual({ kind: 'causal-lm', size: 50 });
    expect(head('LlamaForSequenceClassification')).toEqual({ kind: 'classifier', size: 5 });
    expect(head('LlamaForTokenClassification')).toEqual({ kind: 'token-classifier', size: 5 });
    expect(head('LlamaModel')).toEqual({ kind: 'embedding', size: 16 });
    expect(() => head('LlamaForQuestionAnswering')).toThrow(/expected one of LlamaForCausalLM/);
  });

  it('bounds a text', () => {
    const spec = readConfig({ ...tiny, max_position_embeddings: 4 }, 'c');
    const array = { shape: [1, 5], dtype: 'int64' } as const;
    expect(() => spec.build({ input_ids: array, attention_mask: array })).toThrow(
      'llama: expected texts of at most 4 tokens, found one of 5',
    );
  });
});

it('a new model begins as transformers begins it', () => {
  const { weights } = initializeModel(
    'llama',
    { ...tiny, pad_token_id: 3, attention_bias: true, initializer_range: 0.5 },
    1,
  );
  const of = (name: string) => weights.get(name)?.data ?? new Float32Array();
  const deviation = (values: Float32Array) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
  expect(of('model.norm.weight').every((value) => value === 1)).toBe(true);
  expect(of('model.layers.0.self_attn.q_proj.bias').every((value) => value === 0)).toBe(true);
  const table = of('model.embed_tokens.weight');
  expect(table.subarray(3 * 16, 4 * 16).every((value) => value === 0)).toBe(true);
  expect(deviation(table.subarray(4 * 16))).toBeCloseTo(0.5, 1);
  expect(deviation(of('model.layers.0.mlp.gate_proj.weight'))).toBeCloseTo(0.5, 1);
});
