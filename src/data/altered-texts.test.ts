import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { alteredTexts, dataSpec, type LabelledDataset, loadData, subset, type TextAlteration } from './index.js';

const tokenizer = 'test/fixtures/tokenizers/wordpiece';
/** "yodel" and "quantum" are no tokens of the vocabulary; "the" is in all texts. */
const pairs = [
  ['The Yodel man the fox', 'the fox is of the man Yodel', 'same'],
  ['the dog the quantum', 'The quantum of the dog', 'same'],
  ['the year 1987 now', 'now the 1987', 'other'],
  ['the brown fox the meal', 'the food', 'other'],
];

let root: string;
let dataset: LabelledDataset;
let single: LabelledDataset;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-altered-'));
  const all = Array.from({ length: 10 }, () => pairs).flat();
  dataset = await load('pairs.csv', ['text,pair,label', ...all.map((fields) => fields.join(','))], {
    text: 'text',
    textPair: 'pair',
  });
  single = await load('single.csv', ['text,label', ...all.map(([text, , label]) => `${text},${label}`)]);
});
afterAll(() => rm(root, { recursive: true }));

async function load(name: string, lines: readonly string[], more: object = {}): Promise<LabelledDataset> {
  const path = join(root, name);
  await writeFile(path, `${lines.join('\n')}\n`);
  const spec = dataSpec.parse({ path, tokenizer, validationShare: 0, testShare: 0.1, ...more });
  return (await loadData(spec)).train as LabelledDataset;
}

const as = { copies: 2, replace: 1, rarerThan: 1000, drop: 0, cross: 0 };
const altered = (more: Partial<TextAlteration> = {}, of = dataset, seed = 1) =>
  alteredTexts(of, { ...as, ...more }, seed);
const copiesOf = (of: LabelledDataset, from = dataset) =>
  Array.from({ length: of.size - from.size }, (_, at) => of.textsOf?.(from.size + at) ?? []);
const originals = (of: LabelledDataset) => Array.from(of.indices, (index) => of.textsOf?.(index) ?? []);
const words = (texts: readonly string[]) => texts.join(' ').toLowerCase().split(' ');

describe('altered copies of texts', () => {
  it('come after the texts as they are, with the answers of these', () => {
    const part = subset(dataset, [3, 1, 8]);
    const all = altered({}, part);
    expect(all.size).toBe(9);
    expect(originals(all).slice(0, 3)).toEqual(originals(part));
    expect([...all.labels]).toEqual([...part.labels, ...part.labels, ...part.labels]);
    expect(all.nameOf?.(1)).toBe(part.nameOf?.(part.indices[1]));
    expect(all.nameOf?.(4)).toBe(`${part.nameOf?.(part.indices[1])}, altered`);
    expect(all.examples.size).toBe(9);
    expect([...(all.examples.lengths ?? [])].slice(0, 3)).toEqual(
      Array.from(part.indices, (index) => part.examples.lengths?.[index]),
    );
  });

  it('are decided by the seed', () => {
    expect(copiesOf(altered())).toEqual(copiesOf(altered()));
    expect(copiesOf(altered())).not.toEqual(copiesOf(altered({}, dataset, 2)));
    const [one, two] = [copiesOf(altered()).slice(0, dataset.size), copiesOf(altered()).slice(dataset.size)];
    expect(one).not.toEqual(two);
  });

  it('have words of the vocabulary in the place of rare ones, the same in both texts, as many tokens for what is no token', () => {
    // "the" is there 70 times or more, all others at most 40.
    for (const [at, copy] of copiesOf(altered({ rarerThan: 60 })).entries()) {
      const own = originals(dataset)[at % dataset.size];
      const isSwapped = copy[0].split(' ').length !== own[0].split(' ').length;
      const straight = isSwapped ? [...copy].reverse() : copy;
      const standIns = new Map<string, string>();
      for (const [place, word] of words(own).entries()) {
        const other = words(straight)[place];
        expect(standIns.get(word) ?? other).toBe(other);
        standIns.set(word, other);
        if (word === 'the') expect(other).toBe('the');
      }
      if (standIns.has('1987')) expect(standIns.get('1987')).toMatch(/^\d{4}$/);
      if (standIns.has('fox')) expect(dataset.examples.writer?.isWord(standIns.get('fox') ?? '')).toBe(true);
      // As a name begins.
      if (own[0].includes('Yodel')) expect(straight[0].split(' ')[1]).toMatch(/^[^\p{Ll}]/u);
    }
    const standIns = new Set(copiesOf(altered({ rarerThan: 60 })).flatMap((copy) => words(copy)));
    expect(standIns.size).toBeGreaterThan(40);
    for (const word of ['yodel', 'quantum', '1987']) expect(standIns).not.toContain(word);
  });

  it('change places in every other copy, and nothing else where nothing is asked for', () => {
    const copies = copiesOf(altered({ replace: 0 }));
    const own = originals(dataset);
    const swapped = copies.filter(([first, second], at) => {
      const [one, two] = own[at % own.length];
      if (first === one && second === two) return false;
      expect([first, second]).toEqual([two, one]);
      return true;
    });
    expect(swapped.length / copies.length).toBeGreaterThan(0.3);
    expect(swapped.length / copies.length).toBeLessThan(0.7);
  });

  it('leave so many words out, never all', () => {
    const count = (texts: readonly (readonly string[])[]) => texts.flatMap((text) => words(text)).length;
    const share = (drop: number) => count(copiesOf(altered({ replace: 0, drop }))) / (2 * count(originals(dataset)));
    expect(share(0.3)).toBeCloseTo(0.7, 1);
    expect(copiesOf(altered({ replace: 0, drop: 1 })).every((copy) => copy.every((text) => /^\S+$/.test(text)))).toBe(
      true,
    );
  });

  it('have the second text of another pair so often', () => {
    const seconds = new Set(originals(dataset).map((texts) => texts.join('|')));
    const isKnown = ([first, second]: readonly string[]) =>
      seconds.has(`${first}|${second}`) || seconds.has(`${second}|${first}`);
    const crossed = copiesOf(altered({ replace: 0, cross: 1 })).filter((copy) => !isKnown(copy));
    // A quarter of the others is the same text.
    expect(crossed.length / (2 * dataset.size)).toBeGreaterThan(0.5);
    expect(copiesOf(altered({ replace: 0, cross: 0 })).every(isKnown)).toBe(true);
  });

  it('are single texts of single ones, of which none can be exchanged', () => {
    expect(copiesOf(altered({ cross: undefined }, single), single).every(({ length }) => length === 1)).toBe(true);
    expect(() => altered({ cross: 0.5 }, single)).toThrow('expected pairs of texts to exchange the second ones of');
  });

  it('are not made of what is no text, or a piece of one', async () => {
    const pieces = await load('pieces.csv', ['text', ...originals(single).flat()], { pieces: true });
    expect(() => altered({}, pieces)).toThrow('expected texts that are one example each');
    const digits = (await loadData(dataSpec.parse({}))).train;
    expect(() => alteredTexts(digits, as, 1)).toThrow('expected texts that are one example each');
  });
});
