import { RandomStream } from '../linalg/index.js';
import { InputError } from '../registry/index.js';
import type { Dataset, Labelled, Selection } from './dataset.js';
import type { TextWriter } from './examples.js';

/** How texts are altered. */
export interface TextAlteration {
  /** Altered copies of each example; 0: none. */
  readonly copies: number;
  /** Share of the rare words of an example that others take the place of, the same in both of its texts; default 0.5. */
  readonly replace?: number;
  /** Words that the examples have fewer times are rare; default 20. */
  readonly rarerThan?: number;
  /** Share of the words that are left out; default 0.05. */
  readonly drop?: number;
  /** Share of the pairs whose second text is that of another pair; default 0.1 of them. */
  readonly cross?: number;
}

/** Letters or digits in a row. */
const word = /\p{L}+|\p{N}+/gu;
const digits = /^\p{N}+$/u;

/**
 * Examples and altered copies of them, as many of each: what a model can be asked about beside the few texts that there are. Rare words
 * give way to words of the vocabulary, numbers to other numbers, words are left out, and the texts of a pair change places in every
 * other copy. A copy has the answer of what it was made of, which may be no longer right: it is for those who learn from what another model
 * says.
 *
 * @param seed - Decides all that is drawn.
 * @throws InputError where examples are no texts, or not one text or pair each, or texts of pairs are to be exchanged and none is one.
 */
export function alteredTexts<T extends Dataset & Partial<Labelled>>(
  dataset: T,
  alteration: TextAlteration,
  seed: number,
): T {
  const { writer } = dataset.examples;
  const { textsOf, nameOf } = dataset;
  if (!writer || !textsOf) {
    throw new InputError(
      `${dataset.name}: expected texts that are one example each, to alter copies of them, found others`,
    );
  }
  const texts = Array.from(dataset.indices, (index) => textsOf(index));
  if (alteration.cross !== undefined && texts.every(([, second]) => second === undefined)) {
    throw new InputError(`${dataset.name}: expected pairs of texts to exchange the second ones of, found single texts`);
  }
  const rewrite = rewriting(texts, writer, alteration);
  const all = [...texts];
  for (let copy = 0; copy < alteration.copies; copy++) {
    for (const [position, own] of texts.entries()) {
      const random = new RandomStream(seed, 'altered text', copy * texts.length + position);
      all.push(rewrite(own, random));
    }
  }
  const origin = (at: number) => dataset.indices[at % texts.length];
  const indices = Uint32Array.from(all.keys());
  const selection: Selection & Partial<Labelled> = {
    ...{ name: dataset.name, indices, size: all.length },
    ...(dataset.labels && { labels: Int32Array.from(all, (_, at) => Number(dataset.labels?.[at % texts.length])) }),
  };
  return {
    ...dataset,
    ...selection,
    examples: writer.encode(all),
    textsOf: (at: number) => all[at],
    nameOf: nameOf && ((at: number) => `${nameOf(origin(at))}${at < texts.length ? '' : ', altered'}`),
  };
}

/** Alters one example after another. */
function rewriting(
  texts: readonly (readonly string[])[],
  writer: TextWriter,
  { replace = 0.5, rarerThan = 20, drop = 0.05, cross = 0.1 }: TextAlteration,
): (texts: readonly string[], random: RandomStream) => readonly string[] {
  const counts = new Map<string, number>();
  for (const text of texts.flat()) {
    for (const [found] of text.matchAll(word)) counts.set(plain(found), (counts.get(plain(found)) ?? 0) + 1);
  }
  const isRare = (found: string) => (counts.get(plain(found)) ?? 0) < rarerThan;
  const others = replace > 0 ? writer.words().filter(isRare) : [];
  return ([first, second], random) => {
    const another = second !== undefined && random.uniform() < cross;
    const pair = another ? texts[random.integer(texts.length)][1] : second;
    /** What stands for each rare word in this example; undefined: it stays. */
    const standIns = new Map<string, string | undefined>();
    const standIn = (found: string): string | undefined => {
      if (others.length === 0 || random.uniform() >= replace) return undefined;
      if (digits.test(found)) return found.replace(/./gu, () => String(random.integer(10)));
      const drawn = others[random.integer(others.length)];
      // What the vocabulary does not have as one word is written with several tokens, and so is what stands for it.
      return writer.isWord(found) ? drawn : drawn + others[random.integer(others.length)];
    };
    const write = (text: string) => {
      const written = text.replace(word, (found) => {
        if (!isRare(found)) return found;
        const key = plain(found);
        if (!standIns.has(key)) standIns.set(key, standIn(found));
        const other = standIns.get(key);
        if (other === undefined) return found;
        return found[0] === key[0] ? other : capital(other);
      });
      const parts = written.split(' ');
      const kept = parts.filter(() => random.uniform() >= drop);
      return kept.length > 0 ? kept.join(' ') : parts[random.integer(parts.length)];
    };
    if (pair === undefined) return [write(first)];
    const both = [write(first), write(pair)];
    return random.uniform() < 1 / 2 ? both : both.reverse();
  };
}

/** A word as it is counted. */
function plain(found: string): string {
  return found.toLowerCase();
}

function capital(found: string): string {
  return found.charAt(0).toUpperCase() + found.slice(1);
}
