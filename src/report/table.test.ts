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
        '| locked, σ 128 | \\> 300 | – |',
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
        "| &lt;/td>'�\\[2J �gnp | – |",
        '',
        '\\# not a heading',
        '',
        '1\\. not a list',
        '',
        '\\[not\\](a link) \\`code\\` &lt;b>',
      ].join('\n'),
    );
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
    for (const tag of tags)
      expect(tag).toMatch(/^<\/?(?:div|table|caption|thead|tbody|tr|th|td|p)(?: [a-z-]+="[^"<>]*")*>$/);
  });
});
