import { add, matMul, mul, type Tensor, tanh, transpose } from '../../graph/index.js';
import {
  type ActivationName,
  type AttentionOptions,
  activations,
  attend,
  type DeepLowRankShape,
  deepLowRank,
  embedding,
  embeddingTable,
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
import type { CacheShape, DecoderInputs, DecoderOutputs, KeyValue } from '../text-decoder.js';
import { CausalBiases, range, roomOf, type SeenBiases } from './decoding.js';
import { endsAtContext, type RopeParameters, ropeFrequencies } from './rope-parameters.js';
import { requireContext } from './tokens.js';

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
  /** Width of the hidden layer of a block, or the deep network of low rank that stands in its place. */
  readonly inner: number | DeepLowRankShape;
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
  readonly activation: ActivationName;
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

/** Why texts must end at the context, of models with dynamic NTK. */
const afterDynamic = ', after which dynamic rotary embeddings depend on the length of the batch';

/** How positions turn queries and keys: computed once for all layers of a kind, not in each of them. */
class Rotations {
  readonly #tables = new Map<string, RotaryTables>();

  constructor(
    readonly settings: DecoderSettings,
    readonly inputs: DecoderInputs,
  ) {}

  /**
   * Angles count from the beginning of the array: what padding stands before a text moves all its tokens alike, and only
   * distances count.
   */
  of({ rope }: DecoderLayer): RotaryTables {
    const { settings, inputs } = this;
    const { input_ids: ids, past } = inputs;
    const key = JSON.stringify(rope);
    const known = this.#tables.get(key);
    if (known) return known;
    const frequencies = ropeFrequencies(rope, { headWidth: settings.headWidth, positions: settings.context });
    const [, tokens] = ids.shape;
    const all = rotaryTables(ids.graph, frequencies, roomOf(past) + tokens);
    const found = past ? rotaryRows(all, add(past.length, range(ids.graph, tokens, [tokens]))) : all;
    this.#tables.set(key, found);
    return found;
  }
}

/**
 * The layers of a model of the Llama family: token embeddings, pre-norm blocks of causal attention and of a gated feed-forward
 * layer, a last norm. Names are those of transformers' `LlamaModel`.
 *
 * @throws InputError for more tokens than the model's context.
 */
export function decoder(scope: Scope, inputs: DecoderInputs, settings: DecoderSettings): DecoderOutputs {
  const { name, context, epsilon, normOffset: offset, embeddingScale = 1 } = settings;
  const why = settings.layers.some(({ rope }) => endsAtContext(rope)) ? afterDynamic : '';
  requireContext(name, inputs.input_ids.shape[1], context, why);
  const rotations = new Rotations(settings, inputs);
  const biases = new CausalBiases(inputs);
  let h = mul(embedding(scope.child('embed_tokens'), inputs.input_ids, tableOptions(settings)), embeddingScale); // [batch, tokens, width]
  const present = settings.layers.map((layer, index) => {
    const at = scope.child('layers').child(`${index}`);
    const before = inputs.past?.layers[index];
    const norm = (of: string, x: Tensor) => rmsNorm(at.child(of), x, { epsilon, offset });
    const added = (of: string, x: Tensor) => add(h, settings.normalizesOutputs ? norm(of, x) : x);
    const { output, ...kept } = attention(at.child('self_attn'), norm('input_layernorm', h), settings, {
      tables: rotations.of(layer),
      biases: biases.of(layer.window),
      before,
    });
    h = added('post_attention_layernorm', output);
    const second = settings.normalizesOutputs ? 'pre_feedforward_layernorm' : 'post_attention_layernorm';
    const mlp = at.child('mlp');
    const fed = (x: Tensor) => mlp.part(decoderFeedForward(mlp, x, settings), x);
    h = scope.hiddenLayer(added('post_feedforward_layernorm', fed(norm(second, h))));
    return kept;
  });
  return { hidden: rmsNorm(scope.child('norm'), h, { epsilon, offset }), present };
}

/** What it keeps of each token. */
export function decoderCache({ layers, keyHeads, headWidth, context }: DecoderSettings): CacheShape {
  return { layers: layers.length, heads: keyHeads, headWidth, context };
}

/** The table of token embeddings. */
function tableOptions({ vocabulary: count, width, deviation, padding: paddingIndex }: DecoderSettings) {
  return { count, width, deviation, paddingIndex };
}

/** Logits of the next token, `[..., vocabulary]`, of the layers' outputs `[..., width]`. */
export function nextTokenLogits(scope: Scope, hidden: Tensor, settings: DecoderSettings): Tensor {
  const { tied, vocabulary, width, deviation, logitCap: cap } = settings;
  const table = tied
    ? embeddingTable(scope.child('model').child('embed_tokens'), tableOptions(settings))
    : scope.child('lm_head').parameter('weight', [vocabulary, width], normal(deviation));
  const logits = matMul(hidden, transpose(table));
  return cap ? mul(tanh(mul(logits, 1 / cap)), cap) : logits;
}

interface Seen {
  readonly tables: RotaryTables;
  readonly biases: SeenBiases;
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

/** `down(activation(gate(x)) · up(x))`, or a deep network of low rank in its place. */
export function decoderFeedForward(scope: Scope, x: Tensor, settings: DecoderSettings): Tensor {
  const { inner, width, activation, biases } = settings;
  if (typeof inner !== 'number') return deepLowRank(scope, x, { ...inner, activation, ...initial(settings, true) });
  const layer = (name: string, of: Tensor, size: number) =>
    linear(scope.child(name), of, size, initial(settings, biases?.feedForward));
  const gated = mul(activations[activation](layer('gate_proj', x, inner)), layer('up_proj', x, inner));
  return layer('down_proj', gated, width);
}

function initial({ deviation }: DecoderSettings, bias = false) {
  return { bias, weightInitializer: normal(deviation), biasInitializer: zeros };
}
