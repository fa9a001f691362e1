import { escapeInline, escapeMarkdown } from './markdown.js';
import { MISSING } from './numbers.js';
import { escapeHtml, printable } from './text.js';
import { drawGrid } from './text-table.js';
import { screenColumns, sentenceColumns, wrap } from './wrap.js';

/** One column of a table. */
export interface TableColumn {
  /** Key of the cell in each row. */
  key: string;
  /** Text at the top. */
  header: string;
  /** Default `left`; numbers read best at the `right`. */
  align?: 'left' | 'right';
}

/** A table of texts; cells that a row lacks are shown as `–`. The first column names the row. */
export interface Table {
  /** What the table shows: the caption. */
  title?: string;
  /** From left to right. */
  columns: TableColumn[];
  /** Formatted cells by the key of their column. */
  rows: Record<string, string>[];
  /** Sentences below the table: n, seeds, budget, what a mark means. */
  notes?: string[];
}

/** Characters from which a text in HTML may break into lines. */
const LONG = 40;

/** Header and cells as printable text, in the order of the columns. */
function cells(table: Table): string[][] {
  const rows = table.rows.map((row) =>
    table.columns.map(({ key }) => printable(Object.hasOwn(row, key) ? row[key] : MISSING)),
  );
  return [table.columns.map((column) => printable(column.header)), ...rows];
}

/**
 * The table for a terminal, within `maxWidth` columns: the default is the terminal's own width, 80 where there is none.
 * Aligned by displayed width; wrapped or folded where it would be wider. Ends without a line break.
 */
export function tableToText(table: Table, { maxWidth = screenColumns() }: { maxWidth?: number } = {}): string {
  const [header, ...rows] = cells(table);
  const align = table.columns.map((column) => column.align ?? 'left');
  const sentences = Math.min(maxWidth, sentenceColumns());
  const parts = drawGrid({ header, rows, align }, maxWidth);
  if (table.title !== undefined) parts.unshift(wrap(printable(table.title), sentences), '');
  if (table.notes?.length) parts.push('', ...table.notes.map((note) => wrap(printable(note), sentences)));
  return parts.join('\n');
}

/** The table as GitHub-flavoured Markdown. Ends without a line break. */
export function tableToMarkdown(table: Table): string {
  const [header, ...rows] = cells(table).map((line) => `| ${line.map(escapeInline).join(' | ')} |`);
  const rule = `| ${table.columns.map(({ align }) => (align === 'right' ? '---:' : '---')).join(' | ')} |`;
  const parts = [[header, rule, ...rows].join('\n')];
  if (table.title !== undefined) parts.unshift(`**${escapeInline(table.title)}**`);
  parts.push(...(table.notes ?? []).map(escapeMarkdown));
  return parts.join('\n\n');
}

/** The table as HTML with caption, column and row headers; all text escaped. The styles are those of `renderReport`. */
export function tableToHtml(table: Table): string {
  const [header, ...rows] = cells(table);
  const cell = (tag: 'td' | 'th', scope: 'col' | 'row' | undefined, text: string, column: number): string => {
    const attributes = [
      ...(scope ? [` scope="${scope}"`] : []),
      ...(table.columns[column].align === 'right' ? [' class="right"'] : text.length > LONG ? [' class="long"'] : []),
    ];
    return `<${tag}${attributes.join('')}>${escapeHtml(text)}</${tag}>`;
  };
  const head = header.map((text, column) => cell('th', 'col', text, column)).join('');
  const body = rows.map((line) => {
    const texts = line.map((text, column) =>
      column === 0 ? cell('th', 'row', text, column) : cell('td', undefined, text, column),
    );
    return `<tr>${texts.join('')}</tr>`;
  });
  const label = escapeHtml(printable(table.title ?? 'Table'));
  return [
    // Focusable, so that a table wider than a phone can be scrolled with the keyboard too.
    `<div class="scroll" role="region" tabindex="0" aria-label="${label}">`,
    '<table>',
    ...(table.title === undefined ? [] : [`<caption>${label}</caption>`]),
    `<thead><tr>${head}</tr></thead>`,
    '<tbody>',
    ...body,
    '</tbody>',
    '</table>',
    '</div>',
    ...(table.notes ?? []).map((note) => `<p class="note">${escapeHtml(printable(note))}</p>`),
  ].join('\n');
}
