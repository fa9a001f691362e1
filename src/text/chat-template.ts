import { createContext, runInContext } from 'node:vm';
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { InputError, quote } from '../registry/index.js';

/** One turn of a conversation. */
export interface ChatMessage {
  /** Who speaks: `system`, `user`, `assistant`, or what the template knows. */
  readonly role: string;
  /** What is said. */
  readonly content: string;
}

/** Longest template, longest text it may make, longest range it may count, and milliseconds that it may take. */
const MAX_TEMPLATE = 2 ** 20;
const MAX_OUTPUT = 2 ** 24;
const MAX_RANGE = 100_000;
const MAX_MILLISECONDS = 2000;

/**
 * A chat template of a model, in Jinja as transformers reads it (`trim_blocks`, `lstrip_blocks`). Templates are from
 * untrusted files: they are interpreted, never executed, have no clock (`strftime_now`, so the same conversation is the same
 * text on every day), and one that counts too far, writes too much or takes more than two seconds is an error.
 */
export class ChatTemplate {
  readonly #program: ReturnType<typeof parse>;

  /**
   * @param source - What it is called in messages: its file.
   * @param specialTokens - `bos_token`, `eos_token` and the like, as the template may write them.
   * @throws InputError when it cannot be read.
   */
  constructor(
    readonly source: string,
    template: string,
    readonly specialTokens: Readonly<Record<string, string>> = {},
  ) {
    if (template.length > MAX_TEMPLATE) {
      throw new InputError(
        `${source}: expected a template of at most ${MAX_TEMPLATE} characters, found ${template.length}`,
      );
    }
    this.#program = this.#bounded(() => parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true })));
  }

  /**
   * Writes a conversation as the model was trained to see it.
   *
   * @param addGenerationPrompt - Whether the text ends where an answer begins; default false.
   * @throws InputError when the template refuses the conversation, or does not end.
   */
  render(messages: readonly ChatMessage[], { addGenerationPrompt = false } = {}): string {
    const text = this.#bounded(() => {
      const environment = new Environment();
      const values = {
        true: true,
        false: false,
        none: null,
        True: true,
        False: false,
        None: null,
        raise_exception: (message: unknown) => {
          throw new Error(String(message));
        },
        range: boundedRange,
        ...this.specialTokens,
        messages,
        add_generation_prompt: addGenerationPrompt,
      };
      for (const [name, value] of Object.entries(values)) environment.set(name, value);
      const { value } = new Interpreter(environment).run(this.#program);
      const made = String(value);
      if (made.length > MAX_OUTPUT) throw new Error(`expected at most ${MAX_OUTPUT} characters, got ${made.length}`);
      return made;
    });
    return text;
  }

  /** Runs our own code within a time, which only a script of its own can be given. */
  #bounded<T>(run: () => T): T {
    try {
      let result: T | undefined;
      const context = createContext({
        run: () => {
          result = run();
        },
      });
      runInContext('run()', context, { timeout: MAX_MILLISECONDS });
      return result as T;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      // The message may be the template's own.
      throw new InputError(`${this.source}: the chat template failed: ${quote(message.slice(0, 200))}`);
    }
  }
}

/** Python's `range`, for numbers within reason. */
function boundedRange(...given: unknown[]): number[] {
  const numbers = given.filter((value) => typeof value === 'number');
  const [start, stop, step] = numbers.length === 1 ? [0, numbers[0], 1] : [numbers[0], numbers[1], numbers[2] ?? 1];
  const count = step === 0 ? Number.NaN : Math.max(0, Math.ceil((stop - start) / step));
  if (!(count <= MAX_RANGE)) throw new Error(`range: expected at most ${MAX_RANGE} numbers, got ${given.join(', ')}`);
  return Array.from({ length: count }, (_, index) => start + index * step);
}
