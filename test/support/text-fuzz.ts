import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { findData } from '../../src/data/index.js';
import { loadTokenizer } from '../../src/text/index.js';
import { below, byteEdits, type Edit, type Format } from './image-fuzz.js';
import type { Random } from './safetensors-mutations.js';

const pick = <T>(items: readonly T[], random: Random): T => items[below(items.length, random)];

/** What breaks a text file, or does so in a careless reader. */
const PIECES = [
  ...[
    '\t',
    '\n',
    '\r\n',
    '\r',
    '"',
    '""',
    ',',
    '\0',
    '\ufeff',
    '\u2028',
    '\u0085',
    '\\',
    '\\u0000',
    '\\ud800',
    '{',
    '}',
  ],
  ...['[', ']', ':', 'null', 'NaN', '-1', '1e999', '0', '__proto__', 'constructor', '漢字', '😀', '⬠☃⬠', ' ', '\u200f'],
  ...['x'.repeat(300), '"'.repeat(50), '\n'.repeat(50), '['.repeat(3000), '{"a":'.repeat(500), 'text\tlabel\n'],
];

/** Edits that put pieces of syntax into a text, and take lines or fields out of it. */
const textEdits: readonly Edit[] = [
  ...byteEdits,
  (file, random) => {
    const at = below(file.length + 1, random);
    return Buffer.concat([file.subarray(0, at), Buffer.from(pick(PIECES, random)), file.subarray(at)]);
  },
  (file, random) => {
    const lines = file.toString('latin1').split('\n');
    const [from, to] = [below(lines.length, random), below(lines.length, random)];
    [lines[from], lines[to]] = [lines[to], lines[from]];
    return Buffer.from(lines.join('\n'), 'latin1');
  },
  (file, random) => {
    const lines = file.toString('latin1').split('\n');
    lines.splice(below(lines.length, random), below(3, random), ...(random() < 0.5 ? [pick(lines, random)] : []));
    return Buffer.from(lines.join('\n'), 'latin1');
  },
  (file, random) => {
    const text = file.toString('latin1');
    const fields = [...text.matchAll(/[^\t\n,":{}[\]]+/g)];
    if (fields.length === 0) return file;
    const { index, 0: field } = pick(fields, random);
    return Buffer.from(`${text.slice(0, index)}${pick(PIECES, random)}${text.slice(index + field.length)}`);
  },
];

const rows = (write: (text: string, pair: string, label: number) => string) =>
  Array.from({ length: 12 }, (_, row) => write(`The fox "${row}" naïve 漢字`, `a, dog ${row}`, row % 3)).join('\n');
const csvField = (text: string) => `"${text.replaceAll('"', '""')}"`;
const jsonl = rows((text, pair, label) => JSON.stringify({ text, pair, label, more: [1, { a: null }] }));
const words = rows((text, pair, label) => {
  const tokens = `${text} ${pair}`.split(' ');
  return JSON.stringify({ tokens, ner_tags: tokens.map((_, at) => (at + label) % 3) });
});
const talk = rows((text, pair) =>
  JSON.stringify({
    messages: [
      { role: 'user', content: text },
      { role: 'assistant', content: pair },
    ],
  }),
);
const parquet = ['none', 'snappy', 'gzip', 'zstd', 'brotli'].map((codec) =>
  readFileSync(new URL(`../fixtures/tables/${codec}.parquet`, import.meta.url)),
);

/** A format of tables by its name: read as a set of texts, whatever its columns are. */
function table(
  extension: string,
  texts: readonly (string | Uint8Array)[],
  { edits = textEdits, columns }: { edits?: readonly Edit[]; columns?: { text: string; label: string } } = {},
): Format {
  return {
    originals: texts.map((text) => Buffer.from(text)),
    edits,
    async read(bytes, path) {
      const file = `${path}.${extension}`;
      writeFileSync(file, bytes);
      const [{ texts: parts, splits }] = await findData(file, columns);
      let count = 0;
      for (const part of parts) {
        for (const index of part.labels.keys()) {
          const { text, words: own } = part.record(index);
          const labels = part.wordLabels?.(index);
          if (typeof text !== 'string' || (labels && labels.length !== own?.length)) throw new Error('not in full');
          count++;
        }
      }
      if (count !== splits.reduce((sum, { size }) => sum + size, 0)) throw new Error('not all');
      return count;
    },
  };
}

/** The nodes of a JSON value: where each stands. */
function places(value: unknown, found: { holder: Record<string, unknown>; key: string }[] = []) {
  if (typeof value !== 'object' || value === null) return found;
  // A vocabulary has thousands of entries, which would hide all else.
  for (const key of Object.keys(value).slice(0, 8)) {
    const holder = value as Record<string, unknown>;
    found.push({ holder, key });
    places(holder[key], found);
  }
  return found;
}

const VALUES: readonly unknown[] = [
  ...[null, true, false, -1, 0, 1, 2, 1.5, 1e9, 2 ** 31, '', 'a', 'Sequence', 'BPE', 'ByteLevel', [], {}, [[]], [null]],
  ...['(', '[', '\\p{Nope}', '.*', 'x'.repeat(300), { type: 'Split' }, { type: 'Sequence', pretokenizers: [{}] }],
  ...[[['a', 0]], { a: 'b' }, { Regex: '(' }, { String: '' }, '\u2028', '[UNK]'],
];

/** Edits of a JSON file that keep it JSON: other values, missing ones, those of other places. */
const jsonEdit: Edit = (file, random) => {
  let value: unknown;
  try {
    value = JSON.parse(file.toString());
  } catch {
    return file;
  }
  const all = places(value);
  if (all.length === 0) return file;
  const { holder, key } = pick(all, random);
  const kind = below(4, random);
  if (kind === 0) delete holder[key];
  else if (kind === 1) holder[key] = structuredClone(pick(all, random).holder);
  else holder[key] = pick(VALUES, random);
  return Buffer.from(JSON.stringify(value));
};

const tokenizers = ['wordpiece', 'wordpiece-cased', 'byte-level', 'byte-level-split', 'byte-fallback', 'unigram'];
const SAMPLES = ['The quick fox, 漢字 12!', '', '\u200f ⬠☃⬠ <0x41> [MASK]</s>'];

/** Text formats, by name. */
export const textFormats: Readonly<Record<string, Format>> = {
  TSV: table('tsv', [
    `sentence1\tsentence2\tlabel\n${rows((text, pair, label) => [text, pair, label].join('\t'))}\n`,
    `text\tlabel\r\n${rows((text, _, label) => `${text}\t${label}\r`)}`,
  ]),
  CSV: table('csv', [
    `text,pair,label\n${rows((text, pair, label) => [csvField(text), csvField(pair), label].join(','))}\n`,
    gzipSync(`text,label\n${rows((text, _, label) => `${csvField(text)},${label}`)}`),
  ]),
  JSONL: table('jsonl', [jsonl, words, talk]),
  'plain text': table('txt', ['One line.\nAnother one.\n\nA paragraph.\n']),
  // Some of their rows have no class and no conversation.
  Parquet: table('parquet', parquet, { edits: byteEdits, columns: { text: 'text', label: 'none' } }),
  'tokenizer.json': {
    originals: tokenizers.map((name) =>
      readFileSync(new URL(`../fixtures/tokenizers/${name}/tokenizer.json`, import.meta.url)),
    ),
    edits: [jsonEdit, jsonEdit, jsonEdit, ...textEdits],
    async read(bytes, path) {
      const folder = `${path}-model`;
      mkdirSync(folder, { recursive: true });
      writeFileSync(`${folder}/tokenizer.json`, bytes);
      const tokenizer = await loadTokenizer(folder);
      let count = 0;
      for (const text of SAMPLES) {
        const { ids, mask, typeIds } = tokenizer.encode(text, text);
        const { ids: own } = tokenizer.encodeWords(text.split(' '));
        const isSound = [...ids, ...own].every((id) => Number.isInteger(id) && id >= 0 && id < tokenizer.size);
        if (!isSound || mask.length !== ids.length || typeIds.length !== ids.length) throw new Error('not in full');
        if (typeof tokenizer.decode(ids) !== 'string') throw new Error('no text');
        count += ids.length;
      }
      return count;
    },
  },
};
