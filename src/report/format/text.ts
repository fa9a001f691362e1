/** Whitespace that would break a line or a column. */
const BREAKS = /[\t\n\v\f\r\u0085\u2028\u2029]+/gu;

/** Control characters, lone surrogates and marks that reorder text: in a name from a file they could drive a terminal or disguise it. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Text on one line with every unprintable character shown as `�`; what a name from a file must pass before it is printed. */
export function printable(text: string): string {
  return text.replace(BREAKS, ' ').replace(UNPRINTABLE, '\ufffd');
}

/** Text of several lines, each {@link printable}; only `\n` ends a line. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** JSON with every unprintable character of its strings as an escape, so that it means the same; its line breaks stay. */
export function printableJson(json: string): string {
  return json.replace(
    new RegExp(`(?!\\n)(?:${UNPRINTABLE.source}|[\\u2028\\u2029])`, 'gu'),
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Text for HTML content and quoted attributes: `& < > " '` as entities. */
export function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => entities[character]);
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
const ZERO_WIDTH = /^[\p{M}\u200b-\u200d\u2060\ufeff\u00ad]+$/u;
const WIDE =
  /^(?:\p{Emoji_Presentation}|.*\ufe0f|[\u1100-\u115f\u2e80-\u303e\u3041-\u4dbf\u4e00-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6]|[\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}])/u;

/** Columns that a text takes in a terminal: 2 for East Asian wide characters and emoji, 0 for combining marks, else 1. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) {
    if (!ZERO_WIDTH.test(segment)) width += WIDE.test(segment) ? 2 : 1;
  }
  return width;
}

/** The start of a text that takes at most `columns` of a terminal. */
export function fitColumns(text: string, columns: number): string {
  let [width, end] = [0, 0];
  for (const { segment, index } of graphemes.segment(text)) {
    width += displayWidth(segment);
    if (width > columns) break;
    end = index + segment.length;
  }
  return text.slice(0, end);
}

/**
 * Width of a text in pixels, guessed at 0.6 em a terminal column: the fonts of the reader are not known here, and this is
 * just above the mean of the common sans-serif ones (Segoe UI 0.53, Helvetica 0.54, DejaVu Sans 0.6).
 */
export function estimateTextWidth(text: string, fontSize: number): number {
  return Math.round(displayWidth(text) * fontSize * 0.6);
}

/** At most `limit` characters: the start and the end of a longer text, which is where names of weights differ. */
export function elide(text: string, limit: number): string {
  const characters = Array.from(graphemes.segment(text), ({ segment }) => segment);
  if (characters.length <= limit) return text;
  const head = Math.floor((limit - 1) / 3);
  return `${characters.slice(0, head).join('')}…${characters.slice(characters.length - (limit - 1 - head)).join('')}`;
}

/** A text with a capital at its beginning. */
export function capitalized(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
