import { parseCharsmap } from './charsmap.js';
import { library, type Normalizer, type NormalizerSequence, type PartConfig } from './library.js';

/**
 * Puts parts that do as the Rust library `tokenizers` in the place of those of `@huggingface/tokenizers` that do not:
 * BERT's sees no ideograph beyond U+FFFF and a final sigma, Precompiled approximates its table, Strip knows other spaces.
 */
export function mendNormalizer(normalizer: Normalizer | null): Normalizer | null {
  const config = normalizer?.config;
  switch (config?.type) {
    case 'Sequence': {
      const sequence = normalizer as NormalizerSequence;
      sequence.normalizers = sequence.normalizers.map(mendNormalizer);
      return sequence;
    }
    case 'BertNormalizer':
      return new Bert(config);
    case 'Lowercase':
      return new Lowercase(config);
    case 'Precompiled':
      return new Precompiled(config);
    case 'Strip':
      return new Strip(config);
    default:
      return normalizer;
  }
}

const IDEOGRAPHS =
  /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

/** `normalizers/bert.rs`: accents go before the case does. */
class Bert extends library.Normalizer {
  override normalize(text: string): string {
    const { clean_text, handle_chinese_chars, lowercase: lower, strip_accents } = this.config;
    const toLower = isOn(lower);
    let found = text;
    if (isOn(clean_text)) {
      found = found.replace(/[\ufffd\p{Cf}\p{Co}]|(?![\t\n\r])\p{Cc}/gu, '').replace(/\p{White_Space}/gu, ' ');
    }
    if (isOn(handle_chinese_chars)) found = found.replace(IDEOGRAPHS, ' $& ');
    if (typeof strip_accents === 'boolean' ? strip_accents : toLower)
      found = found.normalize('NFD').replace(/\p{Mn}/gu, '');
    return toLower ? lowercase(found) : found;
  }
}

/** Options are on where they are not given. */
function isOn(option: unknown): boolean {
  return option !== false;
}

class Lowercase extends library.Normalizer {
  override normalize(text: string): string {
    return lowercase(text);
  }
}

/** Character by character, as Rust's library does it: a sigma at the end of a word is as any other. */
function lowercase(text: string): string {
  return text.includes('Σ')
    ? text
        .split('Σ')
        .map((part) => part.toLowerCase())
        .join('σ')
    : text.toLowerCase();
}

class Precompiled extends library.Normalizer {
  readonly #replace: (text: string) => string;

  constructor(config: PartConfig) {
    super(config);
    this.#replace = parseCharsmap(Buffer.from(String(config.precompiled_charsmap ?? ''), 'base64'));
  }

  override normalize(text: string): string {
    return this.#replace(text);
  }
}

class Strip extends library.Normalizer {
  readonly #ends: RegExp;

  constructor(config: PartConfig) {
    super(config);
    const { strip_left, strip_right } = config;
    const ends = [isOn(strip_left) && '^\\p{White_Space}+', isOn(strip_right) && '\\p{White_Space}+$'].filter(
      (end) => end,
    );
    // Without an end to strip, what never matches.
    this.#ends = new RegExp(ends.join('|') || '(?!)', 'gu');
  }

  override normalize(text: string): string {
    return text.replace(this.#ends, '');
  }
}
