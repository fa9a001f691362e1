// node tools/oracles/write_language_models.mjs DIR: writes directories of language models, new ones and ones that got another
// head from a file of another class, with what they give for some texts, for language_models.py to check.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile } from '../../dist/engine/index.js';
import { architectures, initializeModel, loadModel, parameterSet, saveModel } from '../../dist/models/index.js';
import { feedsOf } from '../../dist/nn/index.js';

const bert = {
  ...{ vocab_size: 29, hidden_size: 12, num_hidden_layers: 2, num_attention_heads: 3, intermediate_size: 20 },
  ...{ max_position_embeddings: 16 },
};
const distilbert = { vocab_size: 29, dim: 12, n_layers: 2, n_heads: 3, hidden_dim: 20, max_position_embeddings: 16 };
const llama = {
  ...{ vocab_size: 29, hidden_size: 12, num_hidden_layers: 2, num_attention_heads: 3, num_key_value_heads: 1 },
  ...{ intermediate_size: 20, max_position_embeddings: 16, head_dim: 4, pad_token_id: 0 },
};
const gpt2 = { vocab_size: 29, n_embd: 12, n_layer: 2, n_head: 3, n_positions: 16, pad_token_id: 0 };
const families = {
  bert,
  roberta: bert,
  'xlm-roberta': { ...bert, type_vocab_size: 2 },
  distilbert,
  'deberta-v2': {
    ...bert,
    relative_attention: true,
    pos_att_type: 'p2c|c2p',
    share_att_key: true,
    position_buckets: 4,
    position_biased_input: false,
  },
  llama: { ...llama, rope_parameters: { rope_type: 'linear', factor: 2, rope_theta: 50 } },
  'llama tied': { ...llama, tie_word_embeddings: true },
  mistral: llama,
  qwen2: llama,
  qwen3: llama,
  gemma3_text: llama,
  gpt2,
};
const typeOf = (family) => family.split(' ')[0];
const headsOf = (family) => [...new Set(Object.values(architectures.get(typeOf(family)).classes))];
const labels = (kind) => (kind.endsWith('classifier') ? ['a', 'b', 'c'] : []);
const texts = [
  [3, 11, 7, 2, 19, 5],
  [4, 9, 2, 4, 8, 21],
];

async function write(folder, model) {
  // Biases and norms that are not what they begin as.
  for (const { data } of model.weights.values()) data.set(data.map((value, at) => value + ((at % 7) - 3) / 40));
  await saveModel(folder, model, { force: true });
  const specs = Object.fromEntries(Object.keys(model.inputs).map((name) => [name, { shape: [2, 6], dtype: 'int64' }]));
  const { outputs } = model.build(specs);
  const name = model.head.kind === 'embedding' ? 'embedding' : 'logits';
  const program = await compile({ y: outputs[name] });
  const batch = {
    input_ids: BigInt64Array.from(texts.flat().map(BigInt)),
    attention_mask: new BigInt64Array(12).fill(1n),
    ...('token_type_ids' in model.inputs && {
      token_type_ids: BigInt64Array.from([0n, 0n, 0n, 1n, 1n, 1n, 0n, 0n, 0n, 0n, 0n, 0n]),
    }),
  };
  const { y } = await program.run(feedsOf(batch, parameterSet(model.weights)));
  writeFileSync(
    join(folder, 'outputs.json'),
    JSON.stringify({ kind: model.head.kind, texts, y: [...y], notes: model.notes ?? [] }),
  );
  await program.release();
}

for (const [family, config] of Object.entries(families)) {
  const heads = headsOf(family);
  for (const kind of heads) {
    const made = initializeModel(typeOf(family), { ...config, ...fitted(family, kind) }, 1);
    const folder = join(process.argv[2], `${family}-${kind}`);
    await write(folder, made);
    for (const other of heads.filter((each) => each !== kind)) {
      const model = await loadModel(folder, { head: { kind: other, labels: labels(other) } });
      await write(join(process.argv[2], `${family}-${kind}-to-${other}`), model);
    }
  }
}

function fitted(family, kind) {
  return architectures.get(typeOf(family)).fit({}, { kind, labels: labels(kind) });
}
