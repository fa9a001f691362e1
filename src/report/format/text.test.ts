import { describe, expect, it } from 'vitest';
import { displayWidth, elide, escapeHtml, fitColumns, printable } from './text.js';

describe('displayWidth', () => {
  it.each([
    ['σ₁ = 4', 6],
    ['e\u0301', 1],
    ['漢字', 4],
    ['한국', 4],
    ['🔒', 2],
    ['👩‍🔬', 2],
    ['ｆ', 2],
    ['–×–', 3],
    ['', 0],
  ])('%s', (text, width) => expect(displayWidth(text)).toBe(width));
});

describe('elide', () => {
  it('keeps the start and the end, where names of weights differ', () => {
    expect(elide('encoder.layer.0.attention.self.query.weight', 28)).toBe('encoder.l….self.query.weight');
    expect(elide('conv1.weight', 12)).toBe('conv1.weight');
    expect(Array.from(elide('🔒'.repeat(40), 10))).toHaveLength(10);
  });
});

describe('fitColumns', () => {
  it('never cuts a character in two', () => {
    expect(fitColumns('漢字', 3)).toBe('漢');
    expect(fitColumns('e\u0301x', 1)).toBe('e\u0301');
    expect(fitColumns('👩‍🔬a', 1)).toBe('');
    expect(fitColumns('abc', 9)).toBe('abc');
  });
});

describe('printable', () => {
  it.each([
    ['a\tb\r\nc', 'a b c'],
    ['\u001b[31mred', '�[31mred'],
    ['safe\u202egnp.exe', 'safe�gnp.exe'],
    ['half \ud83d', 'half �'],
    ['σ₁ 漢字 👩‍🔬 é', 'σ₁ 漢字 👩‍🔬 é'],
  ])('%j', (text, expected) => expect(printable(text)).toBe(expected));
});

describe('escapeHtml', () => {
  it('escapes what ends an element or an attribute', () => {
    expect(escapeHtml(`<a href='x' title="y">&amp;`)).toBe('&lt;a href=&#39;x&#39; title=&quot;y&quot;&gt;&amp;amp;');
  });
});
