import { expect, it } from 'vitest';
import { initializeModel } from '../src/models/index.js';
import { computeRounded } from './support/language-fixtures.js';

it('a classifier of decoders reads the last token of a long text in 16 bits too', async () => {
  const model = initializeModel(
    'llama',
    {
      ...{ vocab_size: 29, hidden_size: 12, num_hidden_layers: 1, num_attention_heads: 3, num_key_value_heads: 1 },
      ...{ intermediate_size: 20, max_position_embeddings: 512, pad_token_id: 0, initializer_range: 0.5 },
      architectures: ['LlamaForSequenceClassification'],
    },
    1,
  );
  // bfloat16 tells 299 from 300 no more.
  const logits = (last: number) => {
    const texts = [[...Array(299).fill(3), last]];
    const types = texts.map((text) => text.map(() => 0));
    return computeRounded(model, model.weights, { texts, types, length: 304 }, 'bfloat16');
  };
  expect(await logits(7)).not.toEqual(await logits(8));
});
