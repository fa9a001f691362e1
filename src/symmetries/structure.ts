import type { ModelSpec, WeightShapes } from '../models/index.js';
import type { LinearRef } from './linear.js';

/** Attention whose heads can be balanced. */
export interface AttentionStructure {
  /** Layers that give queries: that of tokens, and of positions where those have their own. */
  readonly queries: readonly LinearRef[];
  /** Layers that give keys. */
  readonly keys: readonly LinearRef[];
  /** The layer that gives values. */
  readonly value: LinearRef;
  /** The layer behind attention. */
  readonly output: LinearRef;
  /** Heads of keys and values. */
  readonly keyHeads: number;
  /** Width of a head. */
  readonly headWidth: number;
  /** Whether positions turn pairs `(i, i + headWidth / 2)` of queries and keys. */
  readonly isRotary: boolean;
  /** Norms of queries and keys that stand before it, by the names of their weights. */
  readonly norms?: { readonly query: string; readonly key: string };
}

/** A norm whose gain, and bias, can move into the layers that alone read it. */
export interface NormStructure {
  /** Name of its gain. */
  readonly gain: string;
  /** Name of its bias; none of RMS norms. */
  readonly bias?: string;
  /** The layers that read it. */
  readonly readers: readonly LinearRef[];
}

/** A gated layer: `down(activation(gate(x)) · up(x))`. */
export interface GateStructure {
  /** The layer whose units are multiplied with those of the gate. */
  readonly up: LinearRef;
  /** The layer that reads them. */
  readonly down: LinearRef;
}

/** A batch norm behind a convolution, and the convolution that alone reads it through a ReLU. */
export interface BatchNormStructure {
  /** The convolution. */
  readonly convolution: LinearRef;
  /** Prefix of its state: `layer1.0.bn1`. */
  readonly norm: string;
  /** The convolution that alone reads it; none of the last of a block. */
  readonly reader?: LinearRef;
}

/** Where a network can be written otherwise and stays the same function. */
export interface Structure {
  /** Attention layers. */
  readonly attentions: readonly AttentionStructure[];
  /** Norms whose readers are known. */
  readonly norms: readonly NormStructure[];
  /** Gated layers. */
  readonly gates: readonly GateStructure[];
  /** Batch norms. */
  readonly batchNorms: readonly BatchNormStructure[];
  /** What norms add to their gains: 1 in Gemma. */
  readonly gainOffset: 0 | 1;
}

/** Names of the parts of attention under a common prefix, of each family. */
const attentionNames = [
  { query: 'self_attn.q_proj', key: 'self_attn.k_proj', value: 'self_attn.v_proj', output: 'self_attn.o_proj' },
  {
    query: 'attention.attention.query',
    key: 'attention.attention.key',
    value: 'attention.attention.value',
    output: 'attention.output.dense',
  },
  {
    query: 'attention.self.query',
    key: 'attention.self.key',
    value: 'attention.self.value',
    output: 'attention.output.dense',
  },
  {
    query: 'attention.self.query_proj',
    key: 'attention.self.key_proj',
    value: 'attention.self.value_proj',
    output: 'attention.output.dense',
  },
  { query: 'attention.q_lin', key: 'attention.k_lin', value: 'attention.v_lin', output: 'attention.out_lin' },
] as const;

/** Norms of pre-norm blocks and the layers that read them, under a common prefix. */
const blockNorms = [
  { norm: 'input_layernorm', readers: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'] },
  { norm: 'pre_feedforward_layernorm', readers: ['mlp.gate_proj', 'mlp.up_proj'] },
  {
    norm: 'layernorm_before',
    readers: ['attention.attention.query', 'attention.attention.key', 'attention.attention.value'],
  },
  { norm: 'layernorm_after', readers: ['intermediate.dense'] },
] as const;

/** Heads of keys and values, and their width. */
function headsOf({ architecture, config }: ModelSpec, width: number): { keyHeads: number; headWidth: number } {
  const { decoder } = architecture;
  if (decoder) {
    const { heads, headWidth } = decoder.cache(config);
    return { keyHeads: heads, headWidth };
  }
  const { num_attention_heads, n_heads } = config as { num_attention_heads?: number; n_heads?: number };
  const heads = num_attention_heads ?? n_heads ?? 1;
  return { keyHeads: heads, headWidth: width / heads };
}

/** Finds in a model what {@link Structure} describes, by the names of its weights. */
export function structureOf(model: ModelSpec, weights: WeightShapes): Structure {
  const has = (name: string) => weights.has(name);
  const linear = (module: string, more: Partial<LinearRef> = {}): LinearRef => ({
    weight: `${module}.weight`,
    ...(has(`${module}.bias`) && { bias: `${module}.bias` }),
    ...more,
  });
  /** What stands before a part's name, of all weights that end with it. */
  const prefixes = (part: string) =>
    [...weights.keys()].flatMap((name) => (name.endsWith(`.${part}.weight`) ? [name.slice(0, -part.length - 7)] : []));
  const outputs = (ref: LinearRef) => weights.get(ref.weight)?.shape[0] ?? 0;
  const isGpt2 = model.architecture.name === 'gpt2';

  const attentions = attentionNames.flatMap((names) =>
    prefixes(names.query).map((at): AttentionStructure => {
      const [query, key, value, output] = [names.query, names.key, names.value, names.output].map((part) =>
        linear(at + part),
      );
      const own = (part: string) => (has(`${at}${part}.weight`) ? [linear(at + part)] : []);
      const norms = { query: `${at}self_attn.q_norm.weight`, key: `${at}self_attn.k_norm.weight` };
      return {
        queries: [query, ...own('attention.self.pos_query_proj')],
        keys: [key, ...own('attention.self.pos_key_proj')],
        value,
        output,
        ...headsOf(model, outputs(value)),
        isRotary: model.architecture.decoder !== undefined,
        ...(has(norms.query) && { norms }),
      };
    }),
  );
  const conv1d = { isTransposed: true };
  for (const at of isGpt2 ? prefixes('attn.c_attn') : []) {
    const { keyHeads, headWidth } = headsOf(model, 0);
    const part = (index: number) => linear(`${at}attn.c_attn`, { ...conv1d, offset: index * keyHeads * headWidth });
    attentions.push({
      queries: [part(0)],
      keys: [part(1)],
      value: part(2),
      output: linear(`${at}attn.c_proj`, conv1d),
      keyHeads,
      headWidth,
      isRotary: false,
    });
  }

  const norms: NormStructure[] = [];
  const addNorm = (module: string, readers: readonly LinearRef[]) => {
    const bias = has(`${module}.bias`) ? `${module}.bias` : undefined;
    // Something else reads it, such as a deep network in the place of a feed-forward layer.
    if (readers.some(({ weight }) => !has(weight))) return;
    // A bias needs one to move into.
    if (readers.length === 0 || (bias !== undefined && readers.some((reader) => reader.bias === undefined))) return;
    norms.push({ gain: `${module}.weight`, ...(bias !== undefined && { bias }), readers });
  };
  for (const { norm, readers } of blockNorms) {
    for (const at of prefixes(norm)) {
      addNorm(
        at + norm,
        readers.map((part) => linear(at + part)),
      );
    }
  }
  // Where what a sub-layer gives is normalized too, this norm is that one, and nothing but the residual stream reads it.
  for (const at of prefixes('post_attention_layernorm')) {
    if (has(`${at}pre_feedforward_layernorm.weight`)) continue;
    addNorm(`${at}post_attention_layernorm`, [linear(`${at}mlp.gate_proj`), linear(`${at}mlp.up_proj`)]);
  }
  for (const at of isGpt2 ? prefixes('ln_1') : []) {
    addNorm(`${at}ln_1`, [linear(`${at}attn.c_attn`, conv1d)]);
    addNorm(`${at}ln_2`, [linear(`${at}mlp.c_fc`, conv1d)]);
  }
  const last: readonly (readonly [string, readonly string[]])[] = [
    ['model.norm', ['lm_head', 'score']],
    ['vit.layernorm', ['classifier']],
  ];
  for (const [norm, heads] of last) {
    const head = heads.find((name) => has(`${name}.weight`));
    if (has(`${norm}.weight`) && head !== undefined) addNorm(norm, [linear(head)]);
  }

  const gates = prefixes('mlp.up_proj').map((at) => ({
    up: linear(`${at}mlp.up_proj`),
    down: linear(`${at}mlp.down_proj`),
  }));

  const batchNorms = [...weights.keys()].flatMap((name): BatchNormStructure[] => {
    const norm = name.endsWith('.running_var') ? name.slice(0, -'.running_var'.length) : undefined;
    if (norm === undefined) return [];
    const found = /^(.*)(bn|downsample\.)(\d+)$/.exec(norm);
    if (!found) return [];
    const [, at, kind, index] = found;
    const convolution = kind === 'bn' ? `${at}conv${index}` : `${at}downsample.0`;
    if (!has(`${convolution}.weight`)) return [];
    // Within a block alone: what the stem and a block's last one give is added to or read by several.
    const next = `${at}conv${Number(index) + 1}`;
    const isInner = kind === 'bn' && at !== '' && has(`${next}.weight`);
    return [{ convolution: linear(convolution), norm, ...(isInner && { reader: linear(next) }) }];
  });

  return { attentions, norms, gates, batchNorms, gainOffset: model.architecture.name === 'gemma3_text' ? 1 : 0 };
}

/** Whether there is anything that could be written otherwise. */
export function hasStructure({ attentions, norms, gates, batchNorms }: Structure): boolean {
  return attentions.length + norms.length + gates.length + batchNorms.length > 0;
}
