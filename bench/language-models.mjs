// Model directories of the language benchmarks, with random weights: both sides load the same files.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { initializeModel, saveModel } from '../dist/models/index.js';

/** Shapes of published models; what they see is random tokens. */
export const languageModels = {
  minilm: {
    architecture: 'bert',
    task: 'classification',
    config: {
      architectures: ['BertForSequenceClassification'],
      ...{ hidden_size: 384, num_hidden_layers: 6, num_attention_heads: 12, intermediate_size: 1536 },
      ...{ vocab_size: 30_522, max_position_embeddings: 512 },
    },
  },
  deberta: {
    architecture: 'deberta-v2',
    task: 'classification',
    config: {
      architectures: ['DebertaV2ForSequenceClassification'],
      ...{ hidden_size: 384, num_hidden_layers: 12, num_attention_heads: 6, intermediate_size: 1536 },
      ...{ vocab_size: 128_100, max_position_embeddings: 512, type_vocab_size: 0, layer_norm_eps: 1e-7 },
      ...{ relative_attention: true, position_buckets: 256, max_relative_positions: -1, share_att_key: true },
      ...{ pos_att_type: ['p2c', 'c2p'], norm_rel_ebd: 'layer_norm', position_biased_input: false },
      ...{ pooler_hidden_size: 384, pooler_hidden_act: 'gelu', pooler_dropout: 0 },
    },
  },
  smollm2: {
    architecture: 'llama',
    task: 'causal-lm',
    config: {
      architectures: ['LlamaForCausalLM'],
      ...{ hidden_size: 576, num_hidden_layers: 30, num_attention_heads: 9, num_key_value_heads: 3 },
      ...{ intermediate_size: 1536, vocab_size: 49_152, max_position_embeddings: 8192, rope_theta: 100_000 },
      ...{ tie_word_embeddings: true, rms_norm_eps: 1e-5, pad_token_id: 2 },
    },
  },
};

/** A tokenizer whose words are `w0`, `w1`, ... and the number of each its token: what texts of the bench are made of. */
function tokenizer(size) {
  const vocab = Object.fromEntries(Array.from({ length: size }, (_, id) => [id === 0 ? '[UNK]' : `w${id}`, id]));
  return {
    ...{ version: '1.0', truncation: null, padding: null, added_tokens: [], normalizer: null },
    pre_tokenizer: { type: 'WhitespaceSplit' },
    ...{ post_processor: null, decoder: null },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

/** Writes the directory of one of them; its path. */
export async function writeLanguageModel(folder, name) {
  const { architecture, config } = languageModels[name];
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  await saveModel(path, initializeModel(architecture, config, 0), { force: true });
  writeFileSync(join(path, 'tokenizer.json'), JSON.stringify(tokenizer(config.vocab_size)));
  writeFileSync(join(path, 'tokenizer_config.json'), '{"tokenizer_class": "PreTrainedTokenizerFast"}\n');
  return path;
}

// As a program of its own, so that the bench's process stays small: language-models.mjs FOLDER NAME.
if (process.argv[1] === import.meta.filename) await writeLanguageModel(process.argv[2], process.argv[3]);
