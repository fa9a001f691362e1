import type { Tensor } from '../graph/index.js';
import type { Scope } from '../nn/index.js';

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
  /** A pair for each layer, `[batch, heads, room, headWidth]` each. */
  readonly layers: readonly KeyValue[];
}

/** Keys and values of a layer, `[batch, heads, tokens, headWidth]` each. */
export interface KeyValue {
  /** Keys, with their positions in them. */
  readonly key: Tensor;
  /** Values. */
  readonly value: Tensor;
}

/** What a decoder's layers give. */
export interface DecoderOutputs {
  /** Normalized `[batch, tokens, width]`. */
  readonly hidden: Tensor;
  /** Keys and values of these tokens, by layer. */
  readonly present: readonly KeyValue[];
}

/** The size of what a decoder keeps of each token. */
export interface CacheShape {
  /** Layers, a pair of keys and values each. */
  readonly layers: number;
  /** Heads of keys and values. */
  readonly heads: number;
  /** Width of a head. */
  readonly headWidth: number;
  /** Longest text. */
  readonly context: number;
}

/** How an architecture computes a text token by token, with what it kept of the tokens before. */
export interface TextDecoder<Config> {
  /** What it keeps. */
  cache(config: Config): CacheShape;
  /** Its layers. */
  layers(scope: Scope, inputs: DecoderInputs, config: Config): DecoderOutputs;
  /** Logits of the next token, `[..., vocabulary]`, of what the layers give, `[..., width]`. */
  nextToken(scope: Scope, hidden: Tensor, config: Config): Tensor;
}
