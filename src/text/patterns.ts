import { InputError, quote } from '../registry/index.js';

/** What parts of a `tokenizer.json` hold further parts under. */
const INNER = ['normalizers', 'pretokenizers', 'decoders'];

/**
 * Looks at the patterns of Replace and Split before `@huggingface/tokenizers` does, which writes one that it does not know
 * to the terminal as it came, and takes it for none. Rust's library refuses the file.
 *
 * @param part - A normalizer, pre-tokenizer or decoder of a `tokenizer.json`, for messages `where`.
 * @throws InputError when a pattern is neither `{ "String": "…" }` nor `{ "Regex": "…" }`.
 */
export function requirePatterns(part: unknown, where: string): void {
  if (typeof part !== 'object' || part === null) return;
  const options = part as Readonly<Record<string, unknown>>;
  for (const key of INNER) {
    if (Array.isArray(options[key])) for (const each of options[key]) requirePatterns(each, where);
  }
  if (options.type !== 'Replace' && options.type !== 'Split') return;
  const { pattern } = options;
  const { String: text, Regex: expression } = (pattern ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof (expression === undefined ? text : expression) === 'string') return;
  const found = pattern === undefined ? 'none' : quote(JSON.stringify(pattern));
  throw new InputError(
    `${where}: ${options.type}: expected a pattern {"String": "…"} or {"Regex": "…"}, found ${found}`,
  );
}
