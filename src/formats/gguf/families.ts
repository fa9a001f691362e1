import { InputError, quote } from '../../registry/index.js';
import { type GgufHeader, type GgufTensor, requireCount } from './header.js';

/** What llama.cpp did to a tensor's values on the way into the file, beside quantizing them; it is undone. */
export type Change =
  | { readonly kind: 'none' }
  /** Rows of each head reordered for its rotary embedding: those of both halves taken in turn. */
  | { readonly kind: 'interleaved'; readonly heads: number }
  /** The matrix transposed. */
  | { readonly kind: 'transposed' }
  /** One added. */
  | { readonly kind: 'plus-one' };

/** A tensor's name in transformers and what was done to it. */
export interface Renamed {
  readonly name: string;
  readonly change: Change;
}

/** How one architecture of llama.cpp is called in transformers. */
interface Family {
  /** Tensors outside the blocks by their names without `.weight` or `.bias`. */
  readonly outer: Readonly<Record<string, string>>;
  /** What stands before the number of a block, `blk.` in the file. */
  readonly blocks: string;
  /** Tensors of a block. */
  readonly inner: Readonly<Record<string, string>>;
  /** What was done to a tensor, by its name in the file; default nothing. */
  readonly change?: (name: string, header: GgufHeader, source: string) => Change;
}

const LLAMA_OUTER = { token_embd: 'model.embed_tokens', output_norm: 'model.norm', output: 'lm_head' };
const ATTENTION = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
};
const GATED = { ffn_gate: 'mlp.gate_proj', ffn_up: 'mlp.up_proj', ffn_down: 'mlp.down_proj' };
const LLAMA_LIKE = {
  outer: LLAMA_OUTER,
  blocks: 'model.layers.',
  inner: { ...ATTENTION, ...GATED, ffn_norm: 'post_attention_layernorm' },
};

/**
 * By `general.architecture`. Mistral is a `llama` there.
 *
 * @see https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/tensor_mapping.py and convert_hf_to_gguf.py (`permute`)
 */
const FAMILIES: Readonly<Record<string, Family>> = {
  llama: {
    ...LLAMA_LIKE,
    change: (name, { metadata }, source) => {
      const key = /\.attn_q\./.test(name) ? 'head_count' : /\.attn_k\./.test(name) ? 'head_count_kv' : undefined;
      if (key === undefined) return { kind: 'none' };
      const grouped = metadata.has(`llama.attention.${key}`) ? key : 'head_count';
      return { kind: 'interleaved', heads: requireCount(metadata, `llama.attention.${grouped}`, source) };
    },
  },
  qwen2: LLAMA_LIKE,
  qwen3: LLAMA_LIKE,
  gemma3: {
    ...LLAMA_LIKE,
    inner: {
      ...ATTENTION,
      ...GATED,
      post_attention_norm: 'post_attention_layernorm',
      ffn_norm: 'pre_feedforward_layernorm',
      post_ffw_norm: 'post_feedforward_layernorm',
    },
    // Gemma multiplies by 1 + weight, llama.cpp by the weight.
    change: (name) => (name.endsWith('norm.weight') ? { kind: 'plus-one' } : { kind: 'none' }),
  },
  gpt2: {
    outer: {
      token_embd: 'transformer.wte',
      position_embd: 'transformer.wpe',
      output_norm: 'transformer.ln_f',
      output: 'lm_head',
    },
    blocks: 'transformer.h.',
    inner: {
      attn_norm: 'ln_1',
      attn_qkv: 'attn.c_attn',
      attn_output: 'attn.c_proj',
      ffn_norm: 'ln_2',
      ffn_up: 'mlp.c_fc',
      ffn_down: 'mlp.c_proj',
    },
    // transformers' Conv1D holds them input first.
    change: (name) =>
      /\.(attn_qkv|attn_output|ffn_up|ffn_down)\.weight$/.test(name) ? { kind: 'transposed' } : { kind: 'none' },
  },
};

/** Not weights: factors of the rotary embedding, which the configuration says (`rope_scaling`). */
const COMPUTED = new Set(['rope_freqs.weight']);

/**
 * The tensors of a header under the names that transformers gives them.
 *
 * @returns Name and change of each tensor; `undefined` for what is no weight.
 * @throws InputError for an architecture or a tensor that is not known.
 */
export function renameTensors(header: GgufHeader, source: string): (Renamed | undefined)[] {
  const architecture = header.metadata.get('general.architecture');
  const family =
    typeof architecture === 'string' && Object.hasOwn(FAMILIES, architecture) ? FAMILIES[architecture] : undefined;
  if (!family) {
    const found = typeof architecture === 'string' ? quote(architecture) : 'none';
    throw new InputError(
      `${source}: expected a general.architecture of ${Object.keys(FAMILIES).join(', ')}, found ${found}; give the safetensors that it was made from`,
    );
  }
  return header.tensors.map(({ name }) => {
    if (COMPUTED.has(name)) return undefined;
    const renamed = rename(name, family);
    if (renamed === undefined) {
      throw new InputError(
        `${source}: expected tensors of the architecture ${String(architecture)}, found ${quote(name)}`,
      );
    }
    return { name: renamed, change: family.change?.(name, header, source) ?? { kind: 'none' } };
  });
}

function rename(name: GgufTensor['name'], { outer, blocks, inner }: Family): string | undefined {
  const [, block, stem, kind] = /^(?:blk\.(0|[1-9]\d{0,4})\.)?(\w+)\.(weight|bias)$/.exec(name) ?? [];
  const names = block === undefined ? outer : inner;
  if (stem === undefined || !Object.hasOwn(names, stem)) return undefined;
  return block === undefined ? `${names[stem]}.${kind}` : `${blocks}${block}.${names[stem]}.${kind}`;
}
