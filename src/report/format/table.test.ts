import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Table, tableToHtml, tableToMarkdown, tableToText } from './table.js';
import { displayWidth } from './text.js';

const table: Table = {
  title: 'Steps to 95 %',
  columns: [
    { key: 'model', header: 'model' },
    { key: 'adamw', header: 'AdamW', align: 'right' },
    { key: 'kfac', header: 'K-FAC', align: 'right' },
  ],
  rows: [
    { model: 'unlocked', adamw: '48', kfac: '12' },
    { model: 'locked, σ 128', adamw: '> 300' },
  ],
  notes: ['Median of three seeds.'],
};

const hostile: Table = {
  title: '<script>alert(1)</script>',
  columns: [
    { key: 'a', header: '"><img src=x onerror=alert(1)>' },
    { key: '__proto__', header: 'b|c' },
  ],
  rows: [{ a: "</td>'\u001b[2J\r\n\u202egnp" }],
  notes: ['# not a heading', '1. not a list', '[not](a link) `code` <b>'],
};

const wide: Table = {
  title: 'Attacks on the unauthorized task',
  columns: [
    { key: 'start', header: 'starting point' },
    { key: 'steps', header: 'steps to 95 %', align: 'right' },
    { key: 'score', header: 'best score', align: 'right' },
  ],
  rows: [
    { start: 'unlocked', steps: '48 (40 to 60)', score: '87.8 % (86.1 to 90.0)' },
    { start: 'locked, clip + reset', steps: '> 240' },
  ],
  notes: ['Steps: median (least to most) over 6 seeds.'],
};

describe('tableToText', () => {
  it('aligns columns and marks missing cells', () => {
    expect(tableToText(table)).toBe(
      [
        'Steps to 95 %',
        '',
        'model          AdamW  K-FAC',
        '─────────────  ─────  ─────',
        'unlocked          48     12',
        'locked, σ 128  > 300      –',
        '',
        'Median of three seeds.',
      ].join('\n'),
    );
  });

  it('draws the columns together where that keeps the table within its width', () => {
    expect(tableToText({ ...table, title: undefined, notes: [] }, { maxWidth: 26 }).split('\n')[0]).toBe(
      'model         AdamW K-FAC',
    );
  });

  it('shows control characters instead of sending them to the terminal', () => {
    const text = tableToText(hostile);
    expect(text).toContain("</td>'�[2J �gnp");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: their absence is what is tested
    expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
  });

  it('wraps cells before a bracket and headers at their words, and keeps numbers beside their signs', () => {
    expect(tableToText(wide, { maxWidth: 40 })).toBe(
      [
        'Attacks on the unauthorized task',
        '',
        'starting        steps to',
        'point               95 %      best score',
        '────────────  ──────────  ──────────────',
        'unlocked              48          87.8 %',
        '              (40 to 60)  (86.1 to 90.0)',
        'locked, clip       > 240               –',
        '+ reset',
        '',
        'Steps: median (least to most) over 6',
        'seeds.',
      ].join('\n'),
    );
  });

  it('breaks long names before it breaks a number', () => {
    const row = { matrix: 'encoder.layer.0.attention.output.dense.weight', shape: '1536×384' };
    const columns = ['matrix', 'shape', 'σ1', 'σ2', 'condition', 'Frobenius'].map((key) => ({ key, header: key }));
    const numbers = { σ1: '28.72', σ2: '11.18', condition: '31,137', Frobenius: '190.43' };
    const lines = tableToText({ columns, rows: [{ ...row, ...numbers }] }, { maxWidth: 80 }).split('\n');
    for (const number of Object.values(numbers)) expect(lines[2]).toContain(number);
    expect(
      lines
        .slice(2)
        .map((line) => line.split(' ')[0])
        .join(''),
    ).toBe(row.matrix);
  });

  it('folds columns that no wrapping brings side by side, and repeats the first', () => {
    const sigmas = Array.from({ length: 12 }, (_, index) => `σ${index + 1}`);
    const text = tableToText(
      {
        columns: ['matrix', ...sigmas].map((key) => ({ key, header: key })),
        rows: ['conv1.weight', 'conv2.weight'].map((matrix) => ({
          matrix,
          ...Object.fromEntries(sigmas.map((key) => [key, '1,234.56'])),
        })),
      },
      { maxWidth: 60 },
    );
    expect(text.match(/^matrix .*/gm)?.map((line) => line.split(/ +/))).toEqual([
      ['matrix', ...sigmas.slice(0, 4)],
      ['matrix', ...sigmas.slice(4, 8)],
      ['matrix', ...sigmas.slice(8)],
    ]);
    expect(text.match(/conv1\.weight( +1,234\.56){4}/g)).toHaveLength(3);
  });

  it('sets rows of several lines apart', () => {
    const cell = 'a finding of a claim that takes more than two lines here';
    const text = tableToText(
      { columns: [{ key: 'claim', header: 'claim' }], rows: [{ claim: cell }, { claim: 'short' }] },
      { maxWidth: 20 },
    );
    expect(text.split('\n').slice(-2)).toEqual(['', 'short']);
  });

  it('stays within 80 columns by default, where there is no terminal', () => {
    const columns = ['a', 'b', 'c', 'd'].map((key) => ({ key, header: `${key} header of some length` }));
    const text = tableToText({ columns, rows: [{ a: 'word '.repeat(9), b: '12 (10 to 14)' }] });
    expect(Math.max(...text.split('\n').map(displayWidth))).toBeGreaterThan(60);
    expect(Math.max(...text.split('\n').map(displayWidth))).toBeLessThanOrEqual(80);
  });

  it('fits every table into its width and loses no cell', () => {
    const words = ['a', 'word', 'conv1.weight', '(1 to 2)', '98.9 %', '> 3', '漢字', 'x'.repeat(50)];
    const cell = fc.array(fc.constantFrom(...words), { minLength: 1, maxLength: 6 }).map((parts) => parts.join(' '));
    const arbitrary = fc.record({
      rows: fc.array(fc.array(cell, { minLength: 9, maxLength: 9 }), { minLength: 1, maxLength: 4 }),
      columns: fc.integer({ min: 1, max: 9 }),
      maxWidth: fc.integer({ min: 40, max: 120 }),
    });
    /** How often each letter stands in a text. */
    const tally = (text: string) => {
      const found = new Map<string, number>();
      for (const letter of text.replaceAll(/[\s─]/g, '')) found.set(letter, (found.get(letter) ?? 0) + 1);
      return found;
    };
    fc.assert(
      fc.property(arbitrary, ({ rows, columns, maxWidth }) => {
        const keys = Array.from({ length: columns }, (_, index) => String(index));
        const text = tableToText(
          {
            columns: keys.map((key) => ({ key, header: `column ${key}` })),
            rows: rows.map((cells) => Object.fromEntries(keys.map((key) => [key, cells[Number(key)]]))),
          },
          { maxWidth },
        );
        for (const line of text.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(maxWidth);
        const shown = tally(text);
        // Folding repeats the first column, so there may be more letters, never fewer.
        for (const [letter, times] of tally(rows.flatMap((cells) => cells.slice(0, columns)).join(''))) {
          expect(shown.get(letter), letter).toBeGreaterThanOrEqual(times);
        }
      }),
    );
  });

  it('gives all lines of a right-aligned column the same displayed width, whatever the text', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1 }), (cells) => {
        const lines = tableToText({
          columns: [
            { key: 'c', header: 'c', align: 'right' },
            { key: 'end', header: '|' },
          ],
          rows: cells.map((c) => ({ c, end: '|' })),
        }).split('\n');
        expect(lines.length).toBe(cells.length + 2);
        expect(new Set(lines.map(displayWidth)).size).toBe(1);
      }),
    );
  });
});

describe('tableToMarkdown', () => {
  it('writes a GitHub table', () => {
    expect(tableToMarkdown(table)).toBe(
      [
        '**Steps to 95 %**',
        '',
        '| model | AdamW | K-FAC |',
        '| --- | ---: | ---: |',
        '| unlocked | 48 | 12 |',
        '| locked, σ 128 | > 300 | – |',
        '',
        'Median of three seeds.',
      ].join('\n'),
    );
  });

  it('escapes everything that has a meaning', () => {
    expect(tableToMarkdown(hostile)).toBe(
      [
        '**&lt;script>alert(1)&lt;/script>**',
        '',
        '| ">&lt;img src=x onerror=alert(1)> | b\\|c |',
        '| --- | --- |',
        "| &lt;/td>'�[2J �gnp | – |",
        '',
        '\\# not a heading',
        '',
        '1\\. not a list',
        '',
        '\\[not\\](a link) \\`code\\` &lt;b>',
      ].join('\n'),
    );
  });

  it('keeps each row on one line, however long, and needless backslashes away', () => {
    const cells = ['98.9 %', '3e−3', '> 240', '-5 to 5', 'fc1_a.weight', '[32, 9]', 'a & b', 'a < b', '2 * 3', '1.0'];
    const text = tableToMarkdown({
      columns: [{ key: 'cell', header: 'cell' }],
      rows: [...cells, 'word '.repeat(60).trim()].map((cell) => ({ cell })),
    });
    expect(text.split('\n').slice(2, -1)).toEqual(cells.map((cell) => `| ${cell} |`));
    expect(text).not.toContain('\\');
  });
});

describe('tableToHtml', () => {
  it('has a caption, column headers and row headers', () => {
    const html = tableToHtml(table);
    expect(html).toContain('<caption>Steps to 95 %</caption>');
    expect(html).toContain('<th scope="col" class="right">AdamW</th>');
    expect(html).toContain('<tr><th scope="row">unlocked</th><td class="right">48</td><td class="right">12</td></tr>');
    expect(html).toContain('<td class="right">&gt; 300</td>');
    expect(html).toContain('<p class="note">Median of three seeds.</p>');
  });

  it('lets no text become markup', () => {
    const tags = tableToHtml(hostile).match(/<[^>]*>/g) ?? [];
    expect(tags.length).toBeGreaterThan(10);
    for (const tag of tags)
      expect(tag).toMatch(/^<\/?(?:div|table|caption|thead|tbody|tr|th|td|p)(?: [a-z-]+="[^"<>]*")*>$/);
  });
});
