import type { Report } from './html.js';
import { escapeInline, escapeMarkdown } from './markdown.js';
import { tableToMarkdown } from './table.js';

/** A Markdown page, and the pictures that it shows by file name. */
export interface Page {
  /** The page. */
  readonly markdown: string;
  /** SVG by file name, beside the page. */
  readonly charts: ReadonlyMap<string, string>;
}

/** How every page begins. */
export const pageStart = '<!-- Written by weightlock. -->';

/**
 * A report as a Markdown page; text that is not ours may stand in all of it, and is escaped. A page is for others: of absolute paths in the
 * configuration it has the last part alone, which a digest beside them identifies.
 *
 * @param name - What the page is called; the names of its pictures begin with it.
 */
export function renderPage({ title, summary, sections, environment, config }: Report, name: string): Page {
  const charts = new Map<string, string>();
  const lines = [pageStart, `# ${escapeInline(title)}`, ...summary.map(prose)];
  for (const [index, { heading, paragraphs = [], table, svg, caption = heading, chart }] of sections.entries()) {
    lines.push(`## ${escapeInline(heading)}`, ...paragraphs.map(prose));
    if (table) lines.push(tableToMarkdown({ ...table, title: undefined }));
    if (!svg) continue;
    const file = `${name}-${chart ?? index + 1}.svg`;
    charts.set(file, svg);
    const below = escapeInline(caption);
    lines.push(`![${below}](${file})`, `*${below}*`);
  }
  const rows = Object.entries(environment).map(([key, value]) => ({ key, value }));
  const columns = [
    { key: 'key', header: 'what' },
    { key: 'value', header: 'value' },
  ];
  lines.push('## Environment', tableToMarkdown({ columns, rows }), '## Configuration', fenced(withoutFolders(config)));
  return { markdown: `${lines.join('\n\n')}\n`, charts };
}

/** A paragraph, in which names may stand as code. */
function prose(text: string): string {
  return escapeMarkdown(text).replace(/\\`([\w.-]+)\\`/g, '`$1`');
}

/** An absolute path that is all of a line's value, behind a key or in a list, in quotation marks or none. */
const absolutePath =
  /^(\s*(?:- +)*(?:[^\s:"'][^:]*: +)?)(["']?)(?:\/|~[\\/]|[A-Za-z]:[\\/]|\\\\).*?([^\\/]*?)[\\/]*\2$/;

/** Configuration in which nobody's folders are told. */
function withoutFolders(yaml: string): string {
  return yaml
    .split('\n')
    .map((line) => line.replace(absolutePath, '$1$2…/$3$2'))
    .join('\n');
}

/** YAML in a fence that it cannot end. */
function fenced(yaml: string): string {
  const longest = Math.max(0, ...Array.from(yaml.matchAll(/`+/g), ([run]) => run.length));
  const fence = '`'.repeat(Math.max(3, longest + 1));
  return `${fence}yaml\n${yaml.trimEnd()}\n${fence}`;
}
