import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadTokenizer } from '../text/index.js';
import { TextStream } from './text-stream.js';

const folder = 'test/fixtures/tokenizers';
const { texts } = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as { texts: Record<string, string> };

describe.each(['byte-level', 'byte-fallback', 'unigram', 'wordpiece'])('text as it comes, %s', (name) => {
  it('is the whole text in pieces, without halves of characters', async () => {
    const tokenizer = await loadTokenizer(join(folder, name));
    for (const [what, text] of Object.entries(texts)) {
      const { ids } = tokenizer.encode(text);
      const stream = new TextStream(tokenizer);
      const pieces = [...ids.map((id) => stream.push(id)), stream.end()];
      const whole = tokenizer.decode(ids, { skipSpecialTokens: true });
      expect(pieces.join(''), what).toBe(whole);
      expect(
        pieces.slice(0, -1).every((piece) => !piece.endsWith('\ufffd')),
        what,
      ).toBe(true);
    }
  });
});

it('comes while tokens come', () => {
  const words = ['a', ' b', '\ufffd', ' c'];
  const tokenizer = { decode: (ids: readonly number[]) => ids.map((id) => words[id]).join('') };
  const stream = new TextStream(tokenizer);
  expect([0, 1, 2, 3].map((id) => stream.push(id))).toEqual(['a', ' b', '', '\ufffd c']);
  expect(stream.push(2)).toBe('');
  expect(stream.end()).toBe('\ufffd');
  expect(stream.end()).toBe('');
});
