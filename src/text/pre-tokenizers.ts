import { InputError, quote } from '../registry/index.js';
import { library, type PreTokenizer, type PreTokenizerSequence } from './library.js';

/** Rust's \w, and ASCII's punctuation beside Unicode's. */
const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}';
const PUNCTUATION = '\\p{P}\\x21-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7e';

/**
 * Puts parts that do as the Rust library `tokenizers` in the place of those of `@huggingface/tokenizers` that do not: words,
 * spaces and digits beyond ASCII, punctuation one by one, pieces between metaspaces, and all ways to split.
 *
 * @param config - What the tokenizer's file says of it.
 * @throws InputError when it cannot be done.
 */
export function mendPreTokenizer(part: PreTokenizer | null, config: unknown): PreTokenizer | null {
  const options = (config ?? {}) as Options;
  const { type, behavior = 'Isolated', invert = false } = options;
  switch (type) {
    case 'Sequence': {
      const sequence = part as PreTokenizerSequence;
      const inner = options.pretokenizers ?? [];
      sequence.tokenizers = sequence.tokenizers.map((each, index) => mendPreTokenizer(each, inner[index]));
      return sequence;
    }
    case 'BertPreTokenizer':
      return matches(`[^\\p{White_Space}${PUNCTUATION}]+|[${PUNCTUATION}]`);
    case 'Whitespace':
      return matches(`[${WORD}]+|[^${WORD}\\p{White_Space}]+`);
    case 'WhitespaceSplit':
      return matches('\\P{White_Space}+');
    case 'Digits':
      return matches(options.individual_digits ? '\\P{N}+|\\p{N}' : '\\P{N}+|\\p{N}+');
    case 'Punctuation':
      return new SplitAt(new RegExp(`[${PUNCTUATION}]`, 'gu'), behavior, false);
    case 'Split':
      return new SplitAt((part as PreTokenizer & { pattern: RegExp }).pattern, behavior, invert);
    case 'Metaspace':
      return new Metaspace(options);
    case 'ByteLevel':
      (part as PreTokenizer & { pattern: RegExp }).pattern = BYTE_LEVEL;
      return part;
    default:
      return part;
  }
}

/** GPT-2's words, with Rust's spaces. */
const BYTE_LEVEL =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** What the parts' options are; each is asked for what it knows. */
interface Options {
  readonly type?: string;
  readonly pretokenizers?: readonly unknown[];
  readonly individual_digits?: boolean;
  readonly behavior?: string;
  readonly invert?: boolean;
  readonly replacement?: string;
  readonly prepend_scheme?: string;
  readonly add_prefix_space?: boolean;
  readonly split?: boolean;
}

const BEHAVIORS = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'];

function matches(pattern: string): PreTokenizer {
  return new Matches(new RegExp(pattern, 'gu'));
}

/** Keeps what matches, and nothing else. */
class Matches extends library.PreTokenizer {
  readonly #pattern: RegExp;

  constructor(pattern: RegExp) {
    super();
    this.#pattern = pattern;
  }

  override pre_tokenize_text(text: string): string[] {
    return text.match(this.#pattern) ?? [];
  }
}

/** `tokenizers/tokenizer/normalizer.rs`, `split`: cuts at what matches, or with `invert` at what does not. */
class SplitAt extends library.PreTokenizer {
  readonly #pattern: RegExp;
  readonly #behavior: string;
  readonly #invert: boolean;

  constructor(pattern: RegExp, behavior: string, invert: boolean) {
    super();
    const known = BEHAVIORS.find((name) => name.toLowerCase() === behavior.toLowerCase().replaceAll('_', ''));
    if (known === undefined) {
      throw new InputError(`pre_tokenizer behavior: expected one of ${BEHAVIORS.join(', ')}, found ${quote(behavior)}`);
    }
    this.#pattern = pattern;
    this.#behavior = known;
    this.#invert = invert;
  }

  override pre_tokenize_text(text: string): string[] {
    const parts = this.#parts(text);
    const pieces: string[] = [];
    let [before, previous] = ['', false];
    for (const [index, { piece, cut }] of parts.entries()) {
      if (cut && this.#behavior === 'Removed') continue;
      const joins =
        index > 0 &&
        ((this.#behavior === 'Contiguous' && cut === previous) ||
          (this.#behavior === 'MergedWithPrevious' && cut && !previous) ||
          (this.#behavior === 'MergedWithNext' && !cut && previous));
      if (joins) pieces[pieces.length - 1] = before + piece;
      else pieces.push(piece);
      [before, previous] = [pieces[pieces.length - 1], cut];
    }
    return pieces;
  }

  #parts(text: string): { piece: string; cut: boolean }[] {
    const parts: { piece: string; cut: boolean }[] = [];
    const add = (start: number, end: number, cut: boolean) => {
      if (end > start) parts.push({ piece: text.slice(start, end), cut: cut !== this.#invert });
    };
    let at = 0;
    for (const { 0: match, index } of text.matchAll(this.#pattern)) {
      add(at, index, false);
      add(index, index + match.length, true);
      at = index + match.length;
    }
    add(at, text.length, false);
    return parts;
  }
}

/** `pre_tokenizers/metaspace.rs`: spaces become a visible character, and a piece begins at each. */
class Metaspace extends library.PreTokenizer {
  readonly #replacement: string;
  readonly #scheme: string;
  readonly #split: SplitAt | undefined;

  constructor({ replacement = '▁', prepend_scheme, add_prefix_space = true, split = true }: Options) {
    super();
    this.#replacement = replacement;
    this.#scheme = prepend_scheme ?? (add_prefix_space ? 'always' : 'never');
    const literal = replacement.replace(/[\\^$.*+?()[\]{}|/]/gu, '\\$&');
    this.#split = split ? new SplitAt(new RegExp(literal, 'gu'), 'MergedWithNext', false) : undefined;
  }

  override pre_tokenize_text(text: string, { section_index }: { section_index?: number } = {}): string[] {
    const replaced = text.replaceAll(' ', this.#replacement);
    const prepends = this.#scheme === 'always' || (this.#scheme === 'first' && section_index === 0);
    const whole = prepends && !replaced.startsWith(this.#replacement) ? this.#replacement + replaced : replaced;
    return this.#split ? this.#split.pre_tokenize_text(whole) : [whole];
  }
}
