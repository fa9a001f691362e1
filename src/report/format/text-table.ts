import { displayWidth } from './text.js';
import { breakLines, PIECES, widestPiece } from './wrap.js';

/** A column of numbers with an interval can be read at this width. */
const EASY = 16;
/** Rows of more lines than this stand apart. */
const DENSE = 2;

/** Header and cells of a table as printable text; all lines have as many cells as `align`. */
export interface TextGrid {
  /** The column headers. */
  readonly header: readonly string[];
  /** The cells, row by row. */
  readonly rows: readonly (readonly string[])[];
  /** How each column is aligned. */
  readonly align: readonly ('left' | 'right')[];
}

/**
 * Draws a table within `width` columns. As it is where it fits (columns two spaces apart, or one); else cells and headers
 * are wrapped where that costs the fewest lines; where even the longest words stand in the way, the columns are folded
 * into several blocks that each begin with the first column.
 */
export function drawGrid(grid: TextGrid, width: number): string[] {
  const natural = columnsOf(grid).map((texts) => Math.max(...texts.map(displayWidth)));
  for (const gap of [2, 1]) {
    if (total(natural, gap) <= width) return drawBlock(grid, natural, gap);
  }
  for (const pieces of [PIECES.words, PIECES.parts]) {
    const widths = shrunk(grid, natural, { width, gap: 1, pieces });
    if (!widths) continue;
    const gap = total(widths, 2) <= width ? 2 : 1;
    return drawBlock(grid, widths, gap);
  }
  return fold(grid, natural, width);
}

function columnsOf({ header, rows }: TextGrid): string[][] {
  return header.map((title, column) => [title, ...rows.map((row) => row[column])]);
}

function total(widths: readonly number[], gap: number): number {
  return widths.reduce((sum, width) => sum + width, 0) + gap * (widths.length - 1);
}

/** Column widths that fit, or nothing where the widest pieces are too wide. */
function shrunk(
  grid: TextGrid,
  natural: readonly number[],
  { width, gap, pieces }: { width: number; gap: number; pieces: number },
): number[] | undefined {
  const columns = columnsOf(grid);
  const least = columns.map((texts) => Math.max(...texts.map((text) => widestPiece(text, pieces))));
  if (total(least, gap) > width) return undefined;
  const known = columns.map(() => new Map<number, number[]>());
  /** Lines that each cell of a column takes at a width. */
  const heights = (column: number, at: number): number[] => {
    const found = known[column].get(at) ?? columns[column].map((text) => breakLines(text, at).length);
    known[column].set(at, found);
    return found;
  };
  const widths = [...natural];
  const lines = (): number => {
    const cells = widths.map((at, column) => heights(column, at));
    return cells[0].reduce((sum, _, row) => sum + Math.max(...cells.map((column) => column[row])), 0);
  };
  // One column narrower at a time, the one that makes the table least longer; of equal ones the widest.
  while (total(widths, gap) > width) {
    let best: { column: number; lines: number } | undefined;
    for (let column = 0; column < widths.length; column++) {
      if (widths[column] <= least[column]) continue;
      widths[column]--;
      const taken = lines();
      widths[column]++;
      const better = !best || taken < best.lines || (taken === best.lines && widths[column] > widths[best.column]);
      if (better) best = { column, lines: taken };
    }
    if (!best) return undefined;
    widths[best.column]--;
  }
  return widths.map((at, column) =>
    Math.max(...columns[column].flatMap((text) => breakLines(text, at).map(displayWidth))),
  );
}

/** Several blocks below one another, each with the first column and an equal share of the others. */
function fold(grid: TextGrid, natural: readonly number[], width: number): string[] {
  const columns = columnsOf(grid);
  const widest = (column: number, way: number) => Math.max(...columns[column].map((text) => widestPiece(text, way)));
  // A long name beside many numbers may break behind its punctuation, to leave them room.
  const first = Math.max(widest(0, PIECES.parts), Math.min(widest(0, PIECES.words), Math.floor(width / 3)));
  const needed = columns.slice(1).map((_, index) => {
    const column = index + 1;
    return Math.min(natural[column], Math.max(widest(column, PIECES.words), Math.min(widest(column, 0), EASY)));
  });
  const perBlock = Math.max(1, Math.floor((width - first) / (Math.max(...needed) + 1)));
  const others = natural.length - 1;
  if (others <= perBlock) return drawBlock(grid, squeezed(natural, width), 1);
  const share = Math.ceil(others / Math.ceil(others / perBlock));
  return Array.from({ length: Math.ceil(others / share) }, (_, block) => {
    const pick = <T>(cells: readonly T[]): T[] => [
      cells[0],
      ...cells.slice(1 + block * share, 1 + (block + 1) * share),
    ];
    const part = { header: pick(grid.header), rows: grid.rows.map(pick), align: pick(grid.align) };
    return [...(block > 0 ? [''] : []), ...drawGrid(part, width)];
  }).flat();
}

/** Widths that fit whatever stands in the columns: the widest ones are cut back to one width. */
function squeezed(natural: readonly number[], width: number): number[] {
  let limit = Math.max(...natural);
  const cut = () => natural.map((own) => Math.min(own, limit));
  while (limit > 1 && total(cut(), 1) > width) limit--;
  return cut();
}

function drawBlock({ header, rows, align }: TextGrid, widths: readonly number[], gap: number): string[] {
  const space = ' '.repeat(gap);
  const draw = (cells: readonly string[], at: 'top' | 'bottom'): string[] => {
    const broken = cells.map((text, column) => breakLines(text, widths[column]));
    const height = Math.max(...broken.map(({ length }) => length));
    return Array.from({ length: height }, (_, line) =>
      broken
        .map((lines, column) => {
          const text = lines[at === 'top' ? line : line - (height - lines.length)] ?? '';
          const padding = ' '.repeat(Math.max(0, widths[column] - displayWidth(text)));
          return align[column] === 'right' ? padding + text : text + padding;
        })
        .join(space)
        .trimEnd(),
    );
  };
  return [
    // Headers stand on the rule, like the ends of their columns.
    ...draw(header, 'bottom'),
    widths.map((width) => '─'.repeat(width)).join(space),
    ...apart(rows.map((row) => draw(row, 'top'))),
  ];
}

/** The lines of all rows, with empty ones between rows of several lines, where nothing else would tell them apart. */
function apart(rows: readonly string[][]): string[] {
  const tall = rows.some(({ length }) => length > DENSE);
  return rows.flatMap((lines, index) => (tall && index > 0 ? ['', ...lines] : lines));
}
