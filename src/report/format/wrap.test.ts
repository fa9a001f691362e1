import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { displayWidth } from './text.js';
import { breakLines, screenColumns, sentenceColumns, wrap } from './wrap.js';

describe('wrap', () => {
  it('breaks at words, and not between a number and its sign', () => {
    expect(wrap('Authorized accuracy is 98.9 % of n = 3 seeds, > 240 steps.', 27)).toBe(
      'Authorized accuracy is\n98.9 % of n = 3 seeds,\n> 240 steps.',
    );
    expect(wrap('It keeps 98.9 %.', 14)).toBe('It keeps\n98.9 %.');
  });

  it('leaves short lines, tables and long words as they are, and keeps indentation', () => {
    const path = `/tmp/${'folder/'.repeat(20)}report.html`;
    const table = `name${' '.repeat(20)}value and more words`;
    expect(wrap(`\n${path}`, 30)).toBe(`\n${path}`);
    expect(wrap(table, 30)).toBe(table);
    expect(wrap('  one two three four', 12)).toBe('  one two\n  three four');
    expect(wrap('one\n\ntwo', 12)).toBe('one\n\ntwo');
  });

  it('keeps every line within the width where its words are shorter, and every word', () => {
    const words = fc.array(fc.constantFrom('a', 'some', 'words', '漢字', '98.9', '(1 to 2)', 'n = 3'), {
      minLength: 1,
    });
    fc.assert(
      fc.property(words, fc.integer({ min: 8, max: 80 }), (parts, width) => {
        const text = parts.join(' ');
        const wrapped = wrap(text, width);
        for (const line of wrapped.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(width);
        expect(wrapped.replaceAll('\n', ' ')).toBe(text);
      }),
    );
  });
});

describe('breakLines', () => {
  it.each([
    ['87.8 % (86.1 to 90.0)', 14, ['87.8 %', '(86.1 to 90.0)']],
    ['SGD + momentum', 8, ['SGD +', 'momentum']],
    ['encoder.layer.0.attention', 14, ['encoder.layer.', '0.attention']],
    ['layer4.0.bn1', 9, ['layer4.0.', 'bn1']],
    ['abcdefgh', 3, ['abc', 'def', 'gh']],
    ['1.234 5.678', 6, ['1.234', '5.678']],
    ['漢字漢字', 5, ['漢字', '漢字']],
    ['', 5, ['']],
  ])('%j in %d columns', (text, width, expected) => expect(breakLines(text, width)).toEqual(expected));
});

describe('screenColumns and sentenceColumns', () => {
  it.each([
    [{ columns: 120 }, 120, 80],
    [{ columns: 60 }, 60, 60],
    [{ columns: 0 }, 80, 80],
    [{}, 80, 80],
    [{ columns: 10 }, 40, 40],
  ])('%j', (terminal, screen, sentence) => {
    expect([screenColumns(terminal), sentenceColumns(terminal)]).toEqual([screen, sentence]);
  });
});
