// Writes a model of llama2.c (Karpathy), such as stories260K of its TinyStories models, as a model directory.
//
//   node tools/tinystories.mjs stories260K.bin tok512.bin models/tinystories-260k
//
// Layout of version 0: seven little-endian int32 (dim, hidden, layers, heads, key-value heads, vocabulary, sequence length), then
// float32 weights; the vocabulary: an int32 (longest token), then for each token a float32 score, an int32 length and its bytes.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [weightsFile, vocabularyFile, folder] = process.argv.slice(2);
if (!weightsFile || !vocabularyFile || !folder) {
  console.error('usage: node tools/tinystories.mjs WEIGHTS.bin VOCABULARY.bin FOLDER');
  process.exit(2);
}

const file = readFileSync(weightsFile);
const [dim, hidden, layers, heads, keyHeads, vocabulary, positions] = Array.from({ length: 7 }, (_, at) =>
  file.readInt32LE(4 * at),
);
if (vocabulary <= 0) throw new Error('expected a model whose output layer is its embedding');
const headSize = dim / heads;
let at = 28;
const next = (count) => {
  const values = Float32Array.from({ length: count }, (_, index) => file.readFloatLE(at + 4 * index));
  at += 4 * count;
  return values;
};
const matrices = (rows, columns) => Array.from({ length: layers }, () => next(rows * columns));

/** Rows of each head from neighbouring pairs, which llama2.c rotates, to halves, which the Hugging Face layout rotates. */
function halves(matrix) {
  const rows = matrix.length / dim;
  const moved = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    const within = row % headSize;
    const to = row - within + (within % 2) * (headSize / 2) + Math.floor(within / 2);
    moved.set(matrix.subarray(row * dim, (row + 1) * dim), to * dim);
  }
  return moved;
}

const tensors = { 'model.embed_tokens.weight': [next(vocabulary * dim), [vocabulary, dim]] };
const keyRows = keyHeads * headSize;
const parts = [
  ['input_layernorm', 1],
  ['self_attn.q_proj', dim, dim, halves],
  ['self_attn.k_proj', keyRows, dim, halves],
  ['self_attn.v_proj', keyRows, dim],
  ['self_attn.o_proj', dim, dim],
  ['post_attention_layernorm', 1],
  ['mlp.gate_proj', hidden, dim],
  ['mlp.down_proj', dim, hidden],
  ['mlp.up_proj', hidden, dim],
];
for (const [name, rows, columns = dim, change = (values) => values] of parts) {
  for (const [layer, values] of matrices(rows, columns).entries()) {
    const shape = rows === 1 ? [columns] : [rows, columns];
    tensors[`model.layers.${layer}.${name}.weight`] = [change(values), shape];
  }
}
tensors['model.norm.weight'] = [next(dim), [dim]];

const header = {};
let offset = 0;
for (const [name, [values, shape]] of Object.entries(tensors)) {
  header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + values.byteLength] };
  offset += values.byteLength;
}
const json = Buffer.from(JSON.stringify(header));
const length = Buffer.alloc(8);
length.writeBigUInt64LE(BigInt(json.length));

// Its tokenizer merges the pair whose token has the highest score, as SentencePiece does: the order of scores is that of merges.
const words = readFileSync(vocabularyFile);
const tokens = [];
for (let from = 4; tokens.length < vocabulary; ) {
  const [score, bytes] = [words.readFloatLE(from), words.readInt32LE(from + 4)];
  tokens.push({ score, text: words.toString('utf8', from + 8, from + 8 + bytes) });
  from += 8 + bytes;
}
// Written with a space at the beginning of words, which SentencePiece writes as ▁.
const pieces = tokens.map(({ text }, id) => (id < 3 ? ['<unk>', '<s>', '</s>'][id] : text.replaceAll(' ', '▁')));
const known = new Set(pieces);
const merges = [];
for (const [id, { score }] of tokens.entries()) {
  const letters = [...pieces[id]];
  if (id < 259) continue;
  for (let cut = 1; cut < letters.length; cut++) {
    const [left, right] = [letters.slice(0, cut).join(''), letters.slice(cut).join('')];
    if (known.has(left) && known.has(right)) merges.push({ score, pair: [left, right] });
  }
}
merges.sort((a, b) => b.score - a.score);

const special = [0, 1, 2].map((id) => ({
  ...{ id, content: pieces[id], special: true, normalized: false },
  ...{ single_word: false, lstrip: false, rstrip: false },
}));
const tokenizer = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: special,
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: '▁' },
      { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    ],
  },
  pre_tokenizer: null,
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [
      ...[{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      ...[{ SpecialToken: { id: '<s>', type_id: 1 } }, { Sequence: { id: 'B', type_id: 1 } }],
    ],
    special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
  },
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      { type: 'Strip', content: ' ', start: 1, stop: 0 },
    ],
  },
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: '<unk>',
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: true,
    byte_fallback: true,
    vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
    merges: merges.map(({ pair }) => pair),
  },
};
const config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: dim,
  intermediate_size: hidden,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  num_key_value_heads: keyHeads,
  vocab_size: vocabulary,
  max_position_embeddings: positions,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  bos_token_id: 1,
  eos_token_id: 2,
};
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'config.json'), JSON.stringify(config, null, 2));
writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
writeFileSync(
  join(folder, 'model.safetensors'),
  Buffer.concat([length, json, ...Object.values(tensors).map(([values]) => Buffer.from(values.buffer))]),
);
