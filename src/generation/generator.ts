import { type EngineOptions, ProgramCache } from '../engine/index.js';
import type { ModelSpec } from '../models/index.js';
import { InputError } from '../registry/index.js';
import { requireDecoder } from './programs.js';
import { nextToken, requireSampling, type Sampling } from './sampling.js';
import { TextSteps } from './steps.js';

/** What text is generated, and how. */
export interface GenerateOptions extends Sampling {
  /** Tokens of the prompt, at least one. */
  readonly prompt: readonly number[];
  /** Most new tokens. */
  readonly maxTokens: number;
  /** Tokens that end a text (see `endTokens`); default none. */
  readonly endTokens?: Iterable<number>;
  /** Ends the text where it is when it is aborted. */
  readonly signal?: AbortSignal;
}

/** Why a text ended: by a token that ends texts, at `maxTokens`, at the end of the model's context, or by the signal. */
export type StopReason = 'end' | 'length' | 'context' | 'aborted';

/** A generated text. */
export interface Generated {
  /** The new tokens, the one that ended the text included. */
  readonly tokens: readonly number[];
  /** Why there are no more. */
  readonly stop: StopReason;
}

/**
 * Continues texts, a token at a time. Keys and values of earlier tokens are kept, so that each new token costs one token's
 * work (see `TextSteps`).
 *
 * @example
 * const generator = new TextGenerator(model, parameterSet(model.weights));
 * for await (const token of generator.stream({ prompt, maxTokens: 20 })) process.stdout.write(tokenizer.decode([token]));
 * await generator.release();
 */
export class TextGenerator {
  readonly #programs: ProgramCache;
  readonly #context: number;

  /**
   * @param model - A model with the head `causal-lm`.
   * @param params - Its weights.
   * @param engine - Threads and device.
   * @throws InputError when it gives no next token.
   */
  constructor(
    readonly model: ModelSpec,
    readonly params: ReadonlyMap<string, Float32Array>,
    engine: EngineOptions = {},
  ) {
    this.#context = requireDecoder(model).cache(model.config).context;
    this.#programs = new ProgramCache(engine);
  }

  /**
   * New tokens as they come; the last one may be one that ends texts.
   *
   * @returns Why there are no more.
   * @throws InputError when the prompt is empty, longer than the context, or not of the vocabulary, an option is out of its
   *   range, or the model's logits are not finite.
   */
  async *stream(options: GenerateOptions): AsyncGenerator<number, StopReason> {
    const { prompt, maxTokens, endTokens = [], signal } = options;
    requireSampling(options);
    this.requirePrompt(prompt);
    const ends = new Set(endTokens);
    const text = new TextSteps(this.model, this.params, this.#programs);
    let pending = prompt;
    for (let index = 0; index < maxTokens; index++) {
      if (signal?.aborted) return 'aborted';
      if (prompt.length + index > this.#context) return 'context';
      const logits = await text.next(pending);
      const token = nextToken(logits, options, index);
      if (!Number.isFinite(logits[token])) {
        throw new InputError(`${this.model.architecture.name}: expected finite logits, found ${logits[token]}`);
      }
      yield token;
      if (ends.has(token)) return 'end';
      pending = [token];
    }
    return 'length';
  }

  /** Frees all compiled programs. */
  release(): Promise<void> {
    return this.#programs.release();
  }

  /**
   * Refuses a prompt that the model cannot go on with.
   *
   * @throws InputError when it is empty, longer than the context, or not of the vocabulary.
   */
  requirePrompt(prompt: readonly number[]): void {
    const { architecture, head } = this.model;
    if (prompt.length === 0) throw new InputError('prompt: expected at least one token, found none');
    if (prompt.length > this.#context) {
      throw new InputError(
        `prompt: expected at most ${this.#context} tokens, the context of ${architecture.name}, found ${prompt.length}`,
      );
    }
    const bad = prompt.find((token) => !(Number.isInteger(token) && token >= 0 && token < head.size));
    if (bad !== undefined) {
      throw new InputError(
        `prompt: expected tokens from 0 to ${head.size - 1}, found ${bad}: another model's tokenizer?`,
      );
    }
  }
}

/**
 * Continues one text; {@link TextGenerator} keeps its programs for several.
 *
 * @param options - `onToken` hears each new token as it comes, and its number from 0.
 * @throws InputError as {@link TextGenerator.stream}.
 *
 * @example
 * const { tokens } = await generate({ model, params: parameterSet(model.weights), prompt: [1, 2, 3], maxTokens: 20 });
 */
export async function generate({
  model,
  params,
  engine,
  onToken,
  ...options
}: GenerateOptions & {
  model: ModelSpec;
  params: ReadonlyMap<string, Float32Array>;
  engine?: EngineOptions;
  onToken?: (token: number, index: number) => void;
}): Promise<Generated> {
  const generator = new TextGenerator(model, params, engine);
  try {
    const tokens: number[] = [];
    const stream = generator.stream(options);
    for (;;) {
      const next = await stream.next();
      if (next.done) return { tokens, stop: next.value };
      onToken?.(next.value, tokens.length);
      tokens.push(next.value);
    }
  } finally {
    await generator.release();
  }
}
