import { displayWidth } from './text.js';

/** Columns of a terminal that nobody can ask. */
const USUAL_COLUMNS = 80;
/** Below this no table can be read, and no terminal is meant. */
const FEWEST_COLUMNS = 40;

/** Columns that tables may fill: the terminal's behind stdout, 80 where there is none. */
export function screenColumns(terminal: { readonly columns?: number } = process.stdout): number {
  // Some pseudo-terminals report 0.
  return Math.max(FEWEST_COLUMNS, terminal.columns || USUAL_COLUMNS);
}

/** Columns that sentences may fill: longer lines are hard to read, however wide the terminal is. */
export function sentenceColumns(terminal?: { readonly columns?: number }): number {
  return Math.min(USUAL_COLUMNS, screenColumns(terminal));
}

/**
 * Spaces at which a line may break: not between a number and its `%`, nor around a sign of comparison, so that `98.9 %`,
 * `> 240` and `n = 3` stay whole.
 */
const BREAKABLE_SPACE = /(?<!(?:^|[\s(])[<>≤≥=≈]) (?![%=≤≥](?:\W|$))/u;

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Ways to take a text apart, the gentlest first, and what stood between the pieces. */
const WAYS: readonly { split: (text: string) => string[]; joint: string }[] = [
  { split: (text) => text.split(/ (?=\()/), joint: ' ' },
  { split: (text) => text.split(BREAKABLE_SPACE), joint: ' ' },
  // Behind punctuation, but within no decimal number.
  {
    split: (text) => text.split(/(?<=[\p{L}\p{N}][./_-])(?<!\p{N}\.)(?=[\p{L}\p{N}])|(?<=\p{N}\.)(?=\p{L})/u),
    joint: '',
  },
  { split: (text) => Array.from(graphemes.segment(text), ({ segment }) => segment), joint: '' },
];

/** How small the pieces are that a text is taken apart into. */
export const PIECES = { words: 1, parts: 2, characters: 3 } as const;

/** The columns that the widest piece of a text takes. */
export function widestPiece(text: string, way: number): number {
  return Math.max(...WAYS[way].split(text).map(displayWidth));
}

/**
 * Breaks a text into lines of at most `width` columns: before a bracket where that is enough, else between words, within
 * a word behind its punctuation, and at last anywhere.
 */
export function breakLines(text: string, width: number, way = 0): string[] {
  if (displayWidth(text) <= width || way === WAYS.length) return [text];
  const { split, joint } = WAYS[way];
  const lines: string[] = [];
  let current: string | undefined;
  for (const piece of split(text)) {
    const longer = current === undefined ? piece : current + joint + piece;
    if (displayWidth(longer) <= width) {
      current = longer;
      continue;
    }
    if (current !== undefined) lines.push(current);
    const broken = breakLines(piece, width, way + 1);
    lines.push(...broken.slice(0, -1));
    current = broken[broken.length - 1];
  }
  return current === undefined ? lines : [...lines, current];
}

/**
 * Wraps the sentences of a text at word boundaries. Lines that fit, lines of a table (two spaces in a row mark its
 * columns) and words longer than a line stay as they are; a wrapped line keeps its indentation.
 *
 * @param width - Columns; default the terminal's, 80 at most.
 */
export function wrap(text: string, width: number = sentenceColumns()): string {
  return text
    .split('\n')
    .map((line) => {
      const [indent] = /^ */.exec(line) ?? [''];
      const sentence = line.slice(indent.length);
      if (displayWidth(line) <= width || /\S {2,}\S/.test(sentence)) return line;
      return fill(sentence.split(BREAKABLE_SPACE), Math.max(1, width - indent.length))
        .map((part) => indent + part)
        .join('\n');
    })
    .join('\n');
}

function fill(words: readonly string[], width: number): string[] {
  return words.reduce<string[]>((lines, word) => {
    const last = lines.at(-1);
    if (last !== undefined && displayWidth(`${last} ${word}`) <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
    return lines;
  }, []);
}
