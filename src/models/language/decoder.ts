import {
  add,
  and,
  gather,
  gelu,
  greater,
  less,
  lessOrEqual,
  matMul,
  mul,
  relu,
  reshape,
  silu,
  sub,
  type Tensor,
  tanh,
  transpose,
} from '../../graph/index.js';
import {
  type AttentionOptions,
  attend,
  attentionBias,
  type Initializer,
  joinHeads,
  linear,
  normal,
  type Past,
  type RotaryTables,
  rmsNorm,
  rotaryRows,
  rotaryTables,
  rotate,
  type Scope,
  splitHeads,
  zeros,
} from '../../nn/index.js';
import { InputError } from '../../registry/index.js';
import { endsAtContext, type RopeParameters, ropeFrequencies } from './rope-parameters.js';

/** Activations of a feed-forward layer, by the names that transformers has for them. */
export const activations = {
  silu,
  swish: silu,
  gelu: (x: Tensor) => gelu(x),
  gelu_new: (x: Tensor) => gelu(x, { approximate: 'tanh' }),
  gelu_pytorch_tanh: (x: Tensor) => gelu(x, { approximate: 'tanh' }),
  relu,
  tanh,
} as const;

/** The name of an activation. */
export type Activation = keyof typeof activations;

/** All names of activations. */
export const activationNames = Object.keys(activations) as [Activation, ...Activation[]];

/** What a layer sees: how far back, and how positions turn it. */
export interface DecoderLayer {
  /** So many tokens, itself included, does a token see; all where it is undefined. */
  readonly window?: number;
  /** Its rotary position embedding. */
  readonly rope: RopeParameters;
}

/** A model of the Llama family: what its members state differently. */
export interface DecoderSettings {
  /** The family, for messages. */
  readonly name: string;
  /** Tokens of the vocabulary. */
  readonly vocabulary: number;
  /** Width of the residual stream. */
  readonly width: number;
  /** Width of the hidden layer of a block. */
  readonly inner: number;
  /** Its layers, the first first. */
  readonly layers: readonly DecoderLayer[];
  /** Heads of queries. */
  readonly heads: number;
  /** Heads of keys and values; they divide those of queries. */
  readonly keyHeads: number;
  /** Width of a head. */
  readonly headWidth: number;
  /** Longest text. */
  readonly context: number;
  /** Activation of the gate. */
  readonly activation: Activation;
  /** Epsilon of norms. */
  readonly epsilon: number;
  /** What norms add to their weights: 1 in Gemma. */
  readonly normOffset?: 0 | 1;
  /** Whether queries and keys are normalized, a head at a time. */
  readonly normalizesHeads?: boolean;
  /** Whether what a sub-layer gives is normalized too, before it is added. */
  readonly normalizesOutputs?: boolean;
  /** Which projections have a bias. */
  readonly biases?: { readonly queryKeyValue?: boolean; readonly output?: boolean; readonly feedForward?: boolean };
  /** Factor of attention's scores; default 1 / √headWidth. */
  readonly scale?: number;
  /** Factor of token embeddings; default 1. */
  readonly embeddingScale?: number;
  /** Logits are `c · tanh(logits / c)`; default plain. */
  readonly logitCap?: number;
  /** Whether the head is the table of token embeddings. */
  readonly tied: boolean;
  /** Share of the attention weights that training drops. */
  readonly dropout: number;
  /** Deviation of first weights. */
  readonly deviation: number;
  /** The token whose embedding begins as zeros. */
  readonly padding?: number | null;
}

/** What a decoder is fed. */
export interface DecoderInputs {
  /** int64 `[batch, tokens]`. */
  readonly input_ids: Tensor;
  /** int64 `[batch, tokens]`: 1, or 0 for padding. */
  readonly attention_mask: Tensor;
  /** What came before these tokens; none at a text's beginning. */
  readonly past?: DecoderPast;
}

/** Keys and values of the tokens before, with room behind them. */
export interface DecoderPast {
  /** How many tokens there are, int64 `[]`. */
  readonly length: Tensor;
  /** A pair for each layer, `[batch, keyHeads, room, headWidth]` each. */
  readonly layers: readonly KeyValue[];
}

/** Keys and values of a layer, `[batch, keyHeads, tokens, headWidth]` each. */
export interface KeyValue {
  /** Keys, turned by their positions. */
  readonly key: Tensor;
  /** Values. */
  readonly value: Tensor;
}

/** What the layers give. */
export interface DecoderOutputs {
  /** Normalized `[batch, tokens, width]`. */
  readonly hidden: Tensor;
  /** Keys and values of these tokens, by layer. */
  readonly present: readonly KeyValue[];
}

/** Whole numbers from 0 on as a constant. */
function range(like: Tensor, length: number, shape: readonly number[]): Tensor {
  return like.graph.constant(
    Float64Array.from({ length }, (_, i) => i),
    shape,
    'int64',
  );
}

/**
 * What tokens see of one another and of those before, and how they are turned: computed once for all layers of a kind, not in
 * each of them.
 */
class Sight {
  readonly #tables = new Map<string, RotaryTables>();
  readonly #biases = new Map<number | undefined, { own: Tensor; past?: Tensor }>();

  constructor(
    readonly settings: DecoderSettings,
    readonly inputs: DecoderInputs,
  ) {}

  /**
   * Angles count from the beginning of the array: what padding stands before a text moves all its tokens alike, and only
   * distances count.
   */
  tables({ rope }: DecoderLayer): RotaryTables {
    const { settings, inputs } = this;
    const { input_ids: ids, past } = inputs;
    const key = JSON.stringify(rope);
    const known = this.#tables.get(key);
    if (known) return known;
    const frequencies = ropeFrequencies(rope, { headWidth: settings.headWidth, positions: settings.context });
    const [, tokens] = ids.shape;
    const room = past?.layers[0]?.key.shape[2] ?? 0;
    const all = rotaryTables(ids.graph, frequencies, room + tokens);
    const found = past ? rotaryRows(all, add(past.length, range(ids, tokens, [tokens]))) : all;
    this.#tables.set(key, found);
    return found;
  }

  /** What is added to the scores of a layer's tokens `[batch, 1, tokens, tokens]`, and of those before `[1, 1, tokens, room]`. */
  biases({ window }: DecoderLayer): { own: Tensor; past?: Tensor } {
    const known = this.#biases.get(window);
    if (known) return known;
    const { input_ids: ids, attention_mask: mask, past } = this.inputs;
    const [batch, tokens] = ids.shape;
    const queries = range(ids, tokens, [tokens, 1]);
    const near = (allowed: Tensor, distance: Tensor) => (window ? and(allowed, less(distance, window)) : allowed);
    const keys = range(ids, tokens, [1, tokens]);
    const causal = near(lessOrEqual(keys, queries), sub(queries, keys)); // [tokens, tokens]
    const own = attentionBias(and(reshape(greater(mask, 0), [batch, 1, 1, tokens]), causal));
    const found = { own, ...(past && { past: this.#pastBias(past, queries, near) }) };
    this.#biases.set(window, found);
    return found;
  }

  #pastBias(
    { length, layers }: DecoderPast,
    queries: Tensor,
    near: (allowed: Tensor, distance: Tensor) => Tensor,
  ): Tensor {
    const room = layers[0].key.shape[2];
    const before = range(length, room, [1, room]);
    return attentionBias(near(less(before, length), sub(add(queries, length), before)));
  }
}

/**
 * The layers of a model of the Llama family: token embeddings, pre-norm blocks of causal attention and of a gated feed-forward
 * layer, a last norm. Names are those of transformers' `LlamaModel`.
 *
 * @throws InputError for more tokens than the model's context.
 */
export function decoder(scope: Scope, inputs: DecoderInputs, settings: DecoderSettings): DecoderOutputs {
  const [, tokens] = inputs.input_ids.shape;
  const { name, context, epsilon, normOffset: offset, embeddingScale = 1 } = settings;
  const capped = settings.layers.some(({ rope }) => endsAtContext(rope));
  if (tokens > context) {
    const why = capped ? ', after which dynamic rotary embeddings depend on the length of the batch' : '';
    throw new InputError(
      `${name}: expected at most ${context} tokens (max_position_embeddings)${why}, found ${tokens}`,
    );
  }
  const sight = new Sight(settings, inputs);
  let h = mul(gather(tokenTable(scope, settings), inputs.input_ids), embeddingScale); // [batch, tokens, width]
  const present = settings.layers.map((layer, index) => {
    const at = scope.child('layers').child(`${index}`);
    const before = inputs.past?.layers[index];
    const norm = (of: string, x: Tensor) => rmsNorm(at.child(of), x, { epsilon, offset });
    const added = (of: string, x: Tensor) => add(h, settings.normalizesOutputs ? norm(of, x) : x);
    const { output, ...kept } = attention(at.child('self_attn'), norm('input_layernorm', h), settings, {
      tables: sight.tables(layer),
      biases: sight.biases(layer),
      before,
    });
    h = added('post_attention_layernorm', output);
    const second = settings.normalizesOutputs ? 'pre_feedforward_layernorm' : 'post_attention_layernorm';
    h = added('post_feedforward_layernorm', feedForward(at.child('mlp'), norm(second, h), settings));
    return kept;
  });
  return { hidden: rmsNorm(scope.child('norm'), h, { epsilon, offset }), present };
}

/** The table of token embeddings, `[vocabulary, width]`. */
export function tokenTable(scope: Scope, { vocabulary, width, deviation, padding }: DecoderSettings): Tensor {
  const draw: Initializer = (out, shape, stream) => {
    normal(deviation)(out, shape, stream);
    if (padding != null) out.fill(0, padding * width, (padding + 1) * width);
  };
  return scope.child('embed_tokens').parameter('weight', [vocabulary, width], draw);
}

/** Logits of the next token, `[..., vocabulary]`, of the layers' outputs `[..., width]`. */
export function nextTokenLogits(scope: Scope, hidden: Tensor, settings: DecoderSettings): Tensor {
  const { tied, vocabulary, width, deviation, logitCap: cap } = settings;
  const table = tied
    ? tokenTable(scope.child('model'), settings)
    : scope.child('lm_head').parameter('weight', [vocabulary, width], normal(deviation));
  const logits = matMul(hidden, transpose(table));
  return cap ? mul(tanh(mul(logits, 1 / cap)), cap) : logits;
}

interface Seen {
  readonly tables: RotaryTables;
  readonly biases: { readonly own: Tensor; readonly past?: Tensor };
  readonly before?: KeyValue;
}

/** Attention over `[batch, tokens, width]` with its projections. */
function attention(
  scope: Scope,
  x: Tensor,
  settings: DecoderSettings,
  { tables, biases, before }: Seen,
): KeyValue & { output: Tensor } {
  const { heads, keyHeads, headWidth, normalizesHeads, epsilon, normOffset: offset } = settings;
  const project = (name: string, count: number) =>
    splitHeads(
      linear(scope.child(name), x, count * headWidth, initial(settings, settings.biases?.queryKeyValue)),
      count,
    );
  const normalized = (name: string, of: Tensor) =>
    normalizesHeads ? rmsNorm(scope.child(name), of, { epsilon, offset }) : of;
  const query = rotate(normalized('q_norm', project('q_proj', heads)), tables); // [batch, heads, tokens, headWidth]
  const key = rotate(normalized('k_norm', project('k_proj', keyHeads)), tables); // [batch, keyHeads, tokens, headWidth]
  const value = project('v_proj', keyHeads);
  const past: Past | undefined = before && biases.past && { ...before, bias: biases.past };
  const options: AttentionOptions = { scale: settings.scale, bias: biases.own, dropout: settings.dropout };
  const mixed = joinHeads(attend(scope, { query, transposedKey: transpose(key, [0, 1, 3, 2]), value, past }, options));
  const output = linear(scope.child('o_proj'), mixed, settings.width, initial(settings, settings.biases?.output));
  return { key, value, output };
}

/** `down(activation(gate(x)) · up(x))`. */
function feedForward(scope: Scope, x: Tensor, settings: DecoderSettings): Tensor {
  const { inner, width, activation, biases } = settings;
  const layer = (name: string, of: Tensor, size: number) =>
    linear(scope.child(name), of, size, initial(settings, biases?.feedForward));
  const gated = mul(activations[activation](layer('gate_proj', x, inner)), layer('up_proj', x, inner));
  return layer('down_proj', gated, width);
}

function initial({ deviation }: DecoderSettings, bias = false) {
  return { bias, weightInitializer: normal(deviation), biasInitializer: zeros };
}
