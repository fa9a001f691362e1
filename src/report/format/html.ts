import { createHash } from 'node:crypto';
import { InputError } from '../../registry/index.js';
import { PAGE_STYLE } from './page-style.js';
import { type Table, tableToHtml } from './table.js';
import { escapeHtml, printable } from './text.js';
import { CHART_STYLE } from './theme.js';

/** A part of a report: heading, text, then the table and the chart. All but `svg` is plain text. */
export interface ReportSection {
  /** What the part is about. */
  heading: string;
  /** Text below the heading. */
  paragraphs?: string[];
  /** Comes after the text. */
  table?: Table;
  /** A picture of `renderChart`; anything that could run, load or link is refused. */
  svg?: string;
  /** The same for a narrow screen, shown there instead. */
  narrow?: string;
  /** The numbers behind the picture, folded away below it. */
  data?: Table;
  /** Stands below the picture. */
  caption?: string;
  /** Name of the picture's file beside a Markdown page, without its ending; default its number. */
  chart?: string;
}

/** What `renderReport` takes. */
export interface Report {
  /** The page's heading, and its name in a browser's tab. */
  title: string;
  /** Plain sentences at the top: what was found, for those who read no further. */
  summary: string[];
  /** In the order of the page. */
  sections: ReportSection[];
  /** Versions, device, threads, seeds, and whatever else one needs to run it again. */
  environment: Record<string, string>;
  /** The full configuration as text (YAML). */
  config: string;
}

const ELEMENTS = new Set(['svg', 'title', 'desc', 'style', 'g', 'path', 'rect', 'line', 'circle', 'text', 'tspan']);
/** Presentation, geometry and accessibility; neither `style` nor `href`, no event handlers. */
const ATTRIBUTE =
  /^(?:xmlns(?::xlink)?|version|id|class|role|d|x|y|x[12]|y[12]|cx|cy|r|dx|dy|width|height|viewBox|transform|opacity|display|aria-[a-z]+|pointer-events|(?:fill|stroke|font|text)(?:-[a-z]+)*)$/;

/**
 * The picture as it is, if it is inert: only elements and attributes that draw or describe, only the style sheet of our
 * charts, one root. The list is of what is allowed, so that what nobody thought of is refused.
 */
function inertSvg(svg: string, heading: string): string {
  const refuse = (what: string): never => {
    throw new InputError(`report section "${printable(heading)}": expected an SVG of a chart, got ${what}`);
  };
  const open: string[] = [];
  let end = 0;
  for (const match of svg.matchAll(/<(\/?)([A-Za-z]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|<|>/g)) {
    const [tag, closing, name, attributes, selfClosing] = match;
    if (name === undefined) refuse(`a stray "${tag}" at character ${match.index}`);
    if (end > 0) refuse(`markup after its end at character ${end}`);
    if (!ELEMENTS.has(name)) refuse(`an element <${name}>`);
    if (open.length === 0 && (name !== 'svg' || match.index > 0)) refuse(`"${svg.slice(0, 20)}" at its start`);
    for (const [, key, value] of attributes.matchAll(/([\w:-]+)="([^"]*)"/g)) {
      if (!ATTRIBUTE.test(key) || /url\s*\(/i.test(value)) refuse(`an attribute ${key}="${value}"`);
    }
    if (closing) {
      if (open.pop() !== name) refuse(`a misplaced </${name}>`);
      if (open.length === 0) end = match.index + tag.length;
    } else if (!selfClosing) open.push(name);
  }
  if (end === 0 || svg.slice(end).trim() !== '') refuse('one that does not end with </svg>');
  for (const [, style] of svg.matchAll(/<style[^>]*>([^<]*)/g)) {
    if (style !== CHART_STYLE) refuse('a style sheet of another origin');
  }
  return svg;
}

function text(value: string): string {
  return escapeHtml(printable(value));
}

function paragraphs(values: readonly string[]): string[] {
  return values.map((value) => `<p>${text(value)}</p>`);
}

function renderSection(section: ReportSection): string {
  const { heading, paragraphs: texts = [], table, caption } = section;
  return [
    '<section>',
    `<h2>${text(heading)}</h2>`,
    ...paragraphs(texts),
    ...(table ? [tableToHtml(table)] : []),
    ...(section.svg === undefined
      ? paragraphs(caption === undefined ? [] : [caption])
      : renderFigure({ ...section, svg: section.svg })),
    '</section>',
  ].join('\n');
}

/** The picture, in a form for each width of screen, its caption, and the numbers behind it. */
function renderFigure({ heading, svg, narrow, data, caption }: ReportSection & { svg: string }): string[] {
  const box = (picture: string, kind: string): string[] => [
    `<div class="scroll${kind}" role="region" tabindex="0" aria-label="${text(heading)}: chart">`,
    inertSvg(picture, heading),
    '</div>',
  ];
  return [
    '<figure>',
    ...(narrow === undefined ? box(svg, '') : [...box(svg, ' if-wide'), ...box(narrow, ' if-narrow')]),
    ...(caption === undefined ? [] : [`<figcaption>${text(caption)}</figcaption>`]),
    ...(data ? ['<details>', '<summary>Data of this chart</summary>', tableToHtml(data), '</details>'] : []),
    '</figure>',
  ];
}

function hashSource(style: string): string {
  return `'sha256-${createHash('sha256').update(style).digest('base64')}'`;
}

/**
 * A report as one HTML file that requests nothing: no scripts, fonts or images from anywhere, and a content security
 * policy that admits only the two style sheets inside it (by hash). Light and dark, phone, paper. All text is escaped,
 * so names from files cannot become markup. The same input gives the same bytes.
 *
 * @throws InputError when the `svg` of a section holds more than a chart of `renderChart`
 */
export function renderReport({ title, summary, sections, environment, config }: Report): string {
  const policy = [
    "default-src 'none'",
    `style-src ${hashSource(PAGE_STYLE)} ${hashSource(CHART_STYLE)}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const facts = Object.entries(environment).map(([key, value]) => `<dt>${text(key)}</dt><dd>${text(value)}</dd>`);
  // Line breaks mean something here, and only here.
  const lines = config.split(/\r?\n/).map((line) => text(line.replaceAll('\t', '  ')));
  return `${[
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    '<meta name="referrer" content="no-referrer">',
    `<title>${text(title)}</title>`,
    `<style>${PAGE_STYLE}</style>`,
    '</head>',
    '<body>',
    '<main>',
    '<header>',
    `<h1>${text(title)}</h1>`,
    ...(summary.length === 0 ? [] : ['<div class="summary">', ...paragraphs(summary), '</div>']),
    '</header>',
    ...sections.map(renderSection),
    '<section>',
    '<h2>How to get these numbers again</h2>',
    ...(facts.length === 0 ? [] : ['<dl>', ...facts, '</dl>']),
    ...(config === ''
      ? []
      : [`<pre tabindex="0" role="region" aria-label="Configuration"><code>${lines.join('\n')}</code></pre>`]),
    '</section>',
    '</main>',
    '</body>',
    '</html>',
  ].join('\n')}\n`;
}
