import type { Tokenizer } from '../text/index.js';

/** What {@link TextStream} needs of a tokenizer. */
type Decoder = Pick<Tokenizer, 'decode'>;

/**
 * The text of tokens as they come. A character of several tokens comes with its last one, and spaces as the tokens before have
 * it: all pieces together are the text of all tokens.
 */
export class TextStream {
  readonly #tokens: number[] = [];
  /** From here on tokens are decoded: those before `#shown` are there for what stands between them and new ones. */
  #from = 0;
  #shown = 0;

  /** @param tokenizer - Special tokens are left out. */
  constructor(readonly tokenizer: Decoder) {}

  /** Adds a token; the text that is certain since the last one, often of several tokens, or of none. */
  push(token: number): string {
    this.#tokens.push(token);
    const { before, text } = this.#decode();
    // An unfinished character is decoded as this one; where a text really has it, it comes with the next token.
    if (text.length <= before.length || text.endsWith('\ufffd')) return '';
    this.#from = this.#shown;
    this.#shown = this.#tokens.length;
    return text.slice(before.length);
  }

  /** What is left when there are no more tokens. */
  end(): string {
    const { before, text } = this.#decode();
    this.#from = this.#shown = this.#tokens.length;
    return text.slice(before.length);
  }

  #decode(): { before: string; text: string } {
    const decode = (end: number) =>
      this.tokenizer.decode(this.#tokens.slice(this.#from, end), { skipSpecialTokens: true });
    return { before: decode(this.#shown), text: decode(this.#tokens.length) };
  }
}
