import { describe, expect, it } from 'vitest';
import { escapeInline, escapeMarkdown } from './markdown.js';

describe('escapeInline', () => {
  it.each([
    ['*bold* and __bold__', '\\*bold\\* and \\_\\_bold\\_\\_'],
    ['_a_b_', '\\_a_b\\_'],
    ['a|b', 'a\\|b'],
    ['`code`', '\\`code\\`'],
    ['[a](b)', '\\[a\\](b)'],
    ['[a]: b', '\\[a\\]: b'],
    ['[^1]', '\\[^1\\]'],
    ['![a][b]', '!\\[a\\]\\[b\\]'],
    ['a\\|b', 'a\\\\\\|b'],
    ['C:\\data', 'C:\\data'],
    ['~struck~', '\\~struck\\~'],
    ['&amp; &#35; &', '&amp;amp; &amp;#35; &'],
    ['<b> </b> <!-- <? <3', '&lt;b> &lt;/b> &lt;!-- &lt;? <3'],
    ['a\nb', 'a b'],
  ])('%j', (text, expected) => expect(escapeInline(text)).toBe(expected));
});

describe('escapeMarkdown', () => {
  it.each([
    ['# a', '\\# a'],
    ['- a', '\\- a'],
    ['+ a', '\\+ a'],
    ['* a', '\\* a'],
    ['> a', '\\> a'],
    ['---', '\\---'],
    ['-- -', '\\-- -'],
    ['===', '\\==='],
    ['1. a', '1\\. a'],
    ['12) a', '12\\) a'],
    ['98.9 % of 1', '98.9 % of 1'],
    ['#1 of 3', '#1 of 3'],
    ['-5 points', '-5 points'],
  ])('%j', (text, expected) => expect(escapeMarkdown(text)).toBe(expected));
});
