import { printable } from './text.js';

/** `[` and `]` mean something in a link, a reference, its definition, a footnote. */
const LINK = /\]\s*[([:]|\[\^/;

/**
 * Text that Markdown shows as it is, within a line: in a table's cell, in bold. Only what would mean something is
 * escaped, so that `98.9 %`, `> 240` and `fc1_a` can be read in the source too.
 */
export function escapeInline(text: string): string {
  const line = printable(text).trim();
  const brackets = LINK.test(line) ? /[[\]]/g : /(?!)/g;
  return (
    line
      // A backslash escapes punctuation, ours included.
      .replace(/\\(?=[!-/:-@[-`{-~]|$)/g, '\\\\')
      .replace(/[`|]/g, '\\$&')
      .replace(brackets, '\\$&')
      // Emphasis opens and closes beside text; between spaces, and _ within a word, the mark is itself.
      .replace(/(?<!\s)[*~]|[*~](?!\s)/g, '\\$&')
      .replace(/(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu, '\\$&')
      .replace(/&(?=#?\w+;)/g, '&amp;')
      .replace(/<(?=[a-z/!?])/gi, '&lt;')
  );
}

/** Text that Markdown shows as it is, as a paragraph of its own: nor does its start make it a list, heading or quote. */
export function escapeMarkdown(text: string): string {
  return escapeInline(text)
    .replace(/^(#{1,6}|[-+*])(?=\s|$)/, '\\$1')
    .replace(/^(?=>|[-=][-=\s]*$)/, '\\')
    .replace(/^(\d{1,9})([.)])(?=\s|$)/, '$1\\$2');
}
