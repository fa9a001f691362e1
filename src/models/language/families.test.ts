import { describe, expect, it } from 'vitest';
import { readConfig } from '../index.js';

const tiny = { vocab_size: 50, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 2 };
const read = (config: object) => readConfig({ ...tiny, ...config }, 'config.json');

describe('what a family lacks is refused by its key', () => {
  it.each<[string, object, RegExp]>([
    [
      'mistral',
      { attention_bias: true },
      /attention_bias: expected none, projections of this family have no bias, found true/,
    ],
    ['mistral', { layer_types: ['full_attention', 'sliding_attention'] }, /layer_types: expected none, all layers/],
    ['qwen2', { mlp_bias: true }, /mlp_bias: expected none/],
    ['qwen2', { layer_types: ['full_attention'] }, /layer_types: expected 2 of them, found 1/],
    [
      'qwen3',
      { layer_types: ['full_attention', 'sliding_attention'] },
      /layer_types: expected a sliding_window for layers/,
    ],
    ['qwen3', { num_experts: 8 }, /num_experts: expected none, mixtures of experts are not built, found 8/],
    [
      'gemma3_text',
      { attn_logit_softcapping: 50 },
      /attn_logit_softcapping: expected none, transformers does not apply it/,
    ],
    [
      'gemma3_text',
      { use_bidirectional_attention: true, pad_token_id: 0 },
      /use_bidirectional_attention: expected none/,
    ],
    [
      'gemma3_text',
      { rope_parameters: { full_attention: { rope_type: 'linear' } } },
      /full_attention: expected a key factor/,
    ],
  ])('%s %j', (model_type, keys, message) => {
    expect(() => read({ model_type, pad_token_id: 0, ...keys })).toThrow(message);
  });

  it('and what is named and not there is accepted, as files of transformers have it', () => {
    const nothing = { attention_bias: false, layer_types: null, quantization_config: null, head_dim: null };
    expect(read({ model_type: 'mistral', ...nothing }).head).toEqual({ kind: 'causal-lm', size: 50 });
  });

  it('such as an unknown family', () => {
    expect(() => read({ model_type: 'mamba' })).toThrow(
      /expected a key "architecture", or a "model_type" among .*llama, mistral, qwen2, qwen3, gemma3_text.*, found "mamba"/,
    );
  });
});
