import { type GgufValue, type OpenTensors, readGgufMetadata, requireCount } from '../formats/index.js';
import { InputError, quote } from '../registry/index.js';

/**
 * `config.json` of a GGUF file that has none beside it, from its metadata: of the Llama family, whose configuration they hold whole.
 *
 * @param tensors - The file's: they say what the metadata do not, whether the embeddings are tied.
 * @throws InputError for another architecture, and for what only the original configuration says.
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#llm
 */
export async function ggufConfig({ shards, headers }: OpenTensors): Promise<Record<string, unknown>> {
  const [{ path }] = shards;
  const { metadata, names } = await readGgufMetadata(path);
  const architecture = metadata.get('general.architecture');
  const fail = (found: string) => new InputError(`${path}: expected a config.json beside it, found none, and ${found}`);
  if (architecture !== 'llama')
    throw fail(`of the architecture ${quote(String(architecture))} its metadata say too little`);
  // Llama 3.1 and newer: the factors are there, not the numbers that they come from.
  if (names.has('rope_freqs.weight')) throw fail('its metadata do not say how its rotary embedding is scaled');
  const count = (key: string) => requireCount(metadata, `llama.${key}`, path);
  const optional = (key: string) => (metadata.has(`llama.${key}`) ? count(key) : undefined);
  const heads = count('attention.head_count');
  const shapes = new Map(headers.map(({ name, shape }) => [name, shape]));
  const embedding = shapes.get('model.embed_tokens.weight');
  if (!embedding) throw new InputError(`${path}: expected a tensor "token_embd.weight", found none`);
  const has = (name: string) => shapes.has(name);
  const scaling = ropeScaling(metadata, fail);
  const head = optional('attention.key_length');
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: embedding[0],
    hidden_size: count('embedding_length'),
    intermediate_size: count('feed_forward_length'),
    num_hidden_layers: count('block_count'),
    num_attention_heads: heads,
    num_key_value_heads: optional('attention.head_count_kv') ?? heads,
    ...(head !== undefined && { head_dim: head }),
    max_position_embeddings: count('context_length'),
    rms_norm_eps: number(metadata, 'llama.attention.layer_norm_rms_epsilon') ?? 1e-5,
    rope_theta: number(metadata, 'llama.rope.freq_base') ?? 10_000,
    ...(scaling && { rope_scaling: scaling }),
    attention_bias: has('model.layers.0.self_attn.q_proj.bias'),
    mlp_bias: has('model.layers.0.mlp.gate_proj.bias'),
    hidden_act: 'silu',
    tie_word_embeddings: !has('lm_head.weight'),
    ...tokenId(metadata, 'bos_token_id', 'bos'),
    ...tokenId(metadata, 'eos_token_id', 'eos'),
    ...tokenId(metadata, 'pad_token_id', 'padding'),
    torch_dtype: 'float32',
  };
}

/** Linear scaling, which needs one number; how others stretch the positions takes more than the metadata hold. */
function ropeScaling(metadata: ReadonlyMap<string, GgufValue>, fail: (found: string) => InputError) {
  const type = metadata.get('llama.rope.scaling.type') ?? 'none';
  const factor = number(metadata, 'llama.rope.scaling.factor') ?? number(metadata, 'llama.rope.scale_linear') ?? 1;
  if (type === 'none' || factor === 1) return undefined;
  if (type !== 'linear')
    throw fail(`its metadata do not say all of its rotary embedding's scaling, ${quote(String(type))}`);
  return { rope_type: 'linear', factor };
}

function tokenId(metadata: ReadonlyMap<string, GgufValue>, key: string, name: string): Record<string, number> {
  const id = metadata.get(`tokenizer.ggml.${name}_token_id`);
  return typeof id === 'number' ? { [key]: id } : {};
}

/** A number with the digits that a float32 has: 1e-5, not 0.000009999999747378752. */
function number(metadata: ReadonlyMap<string, GgufValue>, key: string): number | undefined {
  const value = metadata.get(key);
  return typeof value === 'number' ? Number(value.toPrecision(7)) : undefined;
}
