import type { ProgramCache } from '../engine/index.js';
import type { ModelSpec } from '../models/index.js';
import { feedsOf } from '../nn/index.js';
import { KeyValueCache } from './cache.js';
import { programSize, requireDecoder, stepOutputs } from './programs.js';

/**
 * One text, some tokens at a time. Keys and values of all that came before are kept: the beginning is computed once, by a
 * program of its size rounded up, each further token by a program of the cache's size, which doubles when it is full.
 */
export class TextSteps {
  readonly #cache: KeyValueCache;
  readonly #context: number;

  /** @param programs - Shared by texts of one model. */
  constructor(
    readonly model: ModelSpec,
    readonly params: ReadonlyMap<string, Float32Array>,
    readonly programs: ProgramCache,
  ) {
    this.#cache = new KeyValueCache(requireDecoder(model).cache(model.config));
    this.#context = this.#cache.shape.context;
  }

  /**
   * Adds tokens to the text.
   *
   * @param tokens - Any number at a text's beginning, then one at a time.
   * @returns Logits of the next token, `[vocabulary]`: until the next call.
   */
  async next(tokens: readonly number[]): Promise<Float32Array> {
    const cache = this.#cache;
    const begins = cache.length === 0;
    const size = begins
      ? { tokens: programSize(tokens.length, this.#context), room: 0 }
      : { tokens: tokens.length, room: cache.room };
    const input_ids = new BigInt64Array(size.tokens);
    const attention_mask = new BigInt64Array(size.tokens);
    tokens.forEach((token, at) => {
      input_ids[at] = BigInt(token);
      attention_mask[at] = 1n;
    });
    const last = BigInt64Array.of(BigInt(tokens.length - 1));
    const length = BigInt64Array.of(BigInt(cache.length));
    const batch = { input_ids, attention_mask, last, ...(!begins && { length, ...cache.arrays }) };
    const program = await this.programs.get(JSON.stringify(size), () => stepOutputs(this.model, size));
    const results = await program.run(feedsOf(batch, this.params));
    const after = cache.length + tokens.length;
    if (after > cache.room) cache.grow(programSize(after + 1, this.#context));
    cache.append(results, tokens.length);
    return results.logits as Float32Array;
  }
}
