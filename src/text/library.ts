import * as untyped from '@huggingface/tokenizers';

/** What a part of a `tokenizer.json` says of itself. */
export type PartConfig = Readonly<Record<string, unknown>>;

/** Rewrites a text before it is cut into words. */
export interface Normalizer {
  /** As in the file. */
  config: PartConfig;
  /** The rewritten text. */
  normalize(text: string): string;
}

/** Cuts a text into words. */
export interface PreTokenizer {
  /** The words of a text; `section_index`: how many added tokens and texts stand before it. */
  pre_tokenize_text(text: string, options?: { readonly section_index?: number }): string[];
}

/** Makes texts of tokens. */
export interface Decoder {
  /** As in the file. */
  config: PartConfig;
  /** The texts that some tokens become. */
  decode_chain(tokens: readonly string[]): string[];
}

/** Cuts words into tokens. */
interface TokenizerModel {
  _call(words: readonly string[]): string[];
}

/** The library's tokenizer. */
export interface LibraryTokenizer {
  normalizer: Normalizer | null;
  pre_tokenizer: PreTokenizer | null;
  readonly model: TokenizerModel;
  post_processor: object | null;
  decoder: Decoder | null;
  encode(text: string): { readonly ids: readonly (number | undefined)[] };
  decode(
    ids: readonly number[],
    options: { readonly skip_special_tokens: boolean; readonly clean_up_tokenization_spaces: boolean },
  ): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
}

/** Several normalizers, one after another. */
export type NormalizerSequence = Normalizer & { normalizers: (Normalizer | null)[] };
/** Several pre-tokenizers, one after another. */
export type PreTokenizerSequence = PreTokenizer & { tokenizers: (PreTokenizer | null)[] };
/** Several decoders, one after another. */
export type DecoderSequence = Decoder & { decoders: Decoder[] };

type Part<T> = new (config?: PartConfig) => T;

/** What of `@huggingface/tokenizers` is used here: its own types are not found under Node's resolution of modules. */
export const library = untyped as unknown as {
  readonly Tokenizer: new (json: PartConfig, config: PartConfig) => LibraryTokenizer;
  readonly Normalizer: Part<Normalizer>;
  readonly PreTokenizer: Part<PreTokenizer>;
  readonly Decoder: Part<Decoder>;
};
