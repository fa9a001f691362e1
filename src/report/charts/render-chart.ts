import { createHash } from 'node:crypto';
import type * as Vega from 'vega';
import type { TopLevelSpec } from 'vega-lite';
import type { Table } from '../format/table.js';
import { escapeHtml, estimateTextWidth, printable } from '../format/text.js';
import { CHART_CLASS, CHART_STYLE } from '../format/theme.js';

/** A drawn chart: the Vega-Lite specification with its data (an artifact of its own), and the picture. */
export interface Chart {
  /** Vega-Lite 6, as one would open it in the Vega editor. */
  spec: TopLevelSpec;
  /** The numbers that it shows, for those who cannot see it or want them. */
  data: Table;
  /** The same for a narrow screen, where the other would not fit: its parts below one another. */
  narrow?: string;
  /** A complete SVG document without scripts, links or fonts from elsewhere, readable on white and on dark. */
  svg: string;
}

/** What every chart function takes. */
export interface RenderOptions {
  /** Called with each warning of Vega; default `process.emitWarning`, because a late warning must not cost a report. */
  onWarning?: (message: string) => void;
}

/** The part of a mark that decides how wide its text is. */
interface TextItem {
  text?: unknown;
  fontSize?: number;
  limit?: number;
}

/** Vega's text measurement, which its types leave out. */
interface TextMetrics {
  textMetrics: { width(item: TextItem, text?: unknown): number };
}

/**
 * Vega and the compiler of Vega-Lite, loaded with the first chart, because most that import this package draw none. Vega's
 * own text measurement depends on whether node-canvas happens to be installed, and without it takes 0.8 em a character, so
 * that legends and margins are a third too wide.
 */
async function loadVega(): Promise<{ vega: typeof Vega; compile: typeof import('vega-lite').compile }> {
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')]);
  (vega as unknown as TextMetrics).textMetrics.width = textWidth;
  return { vega, compile };
}

function textWidth({ text: own, fontSize = 11, limit = 0 }: TextItem, text: unknown = own): number {
  const lines = Array.isArray(text) ? text : [text ?? ''];
  const width = Math.max(...lines.map((line) => estimateTextWidth(String(line).trim(), fontSize)));
  return limit > 0 ? Math.min(width, limit) : width;
}

function makeLogger(onWarning: (message: string) => void, warn: number): Vega.LoggerInterface {
  let level = warn;
  const report = (messages: readonly unknown[]): void => onWarning(messages.map(String).join(' '));
  function setLevel(value: number): Vega.LoggerInterface;
  function setLevel(): number;
  function setLevel(value?: number): number | Vega.LoggerInterface {
    if (value === undefined) return level;
    level = value;
    return logger;
  }
  const logger: Vega.LoggerInterface = {
    level: setLevel,
    error(...messages: readonly unknown[]) {
      report(messages);
      return logger;
    },
    warn(...messages: readonly unknown[]) {
      report(messages);
      return logger;
    },
    info: () => logger,
    debug: () => logger,
  };
  return logger;
}

/** A loader that loads nothing: a chart's data lie in its specification. */
function closedLoader(): Vega.Loader {
  const refuse = (uri: string): Promise<never> => Promise.reject(new Error(`charts load nothing, got ${uri}`));
  return { load: refuse, sanitize: refuse, http: refuse, file: refuse };
}

/**
 * Draws a Vega-Lite specification as SVG: no DOM, no network, no clock; the same specification gives the same bytes.
 * The specification's `title` (a string in `usermeta.title`) and `description` become the picture's accessible name.
 *
 * @param companions - The numbers behind the chart, and its specification for a narrow screen.
 */
export async function renderChart(
  spec: TopLevelSpec,
  { data, narrow }: { data: Table; narrow?: TopLevelSpec },
  { onWarning = (message) => process.emitWarning(message) }: RenderOptions = {},
): Promise<Chart> {
  const svg = await draw(spec, onWarning);
  return { spec, data, svg, ...(narrow && { narrow: await draw(narrow, onWarning) }) };
}

/** What a report's section takes of a chart. */
export function picture({ svg, narrow, data }: Chart): Pick<Chart, 'svg' | 'narrow' | 'data'> {
  return { svg, narrow, data };
}

async function draw(spec: TopLevelSpec, onWarning: (message: string) => void): Promise<string> {
  const { vega, compile } = await loadVega();
  const logger = makeLogger(onWarning, vega.Warn);
  const runtime = vega.parse(compile(spec, { logger }).spec);
  const view = new vega.View(runtime, { renderer: 'none', loader: closedLoader(), logger });
  try {
    return labelled(await view.toSVG(), spec);
  } finally {
    view.finalize();
  }
}

/** Text as it may stand in the picture. */
function text(value: string): string {
  return escapeHtml(printable(value));
}

/** Gives the picture that Vega writes a name, a description, a class and a style sheet. */
function labelled(svg: string, spec: TopLevelSpec): string {
  const name = text(typeof spec.usermeta?.title === 'string' ? spec.usermeta.title : 'Chart');
  const description = spec.description === undefined ? name : text(spec.description);
  // Unique among the charts of a page, and the same wherever the same is drawn: of what is seen, because the last bits of
  // the numbers behind it differ between versions of Node.js.
  const seen = JSON.stringify([name, description, svg]);
  const id = `chart-${createHash('sha256').update(seen).digest('hex').slice(0, 12)}`;
  const opening = svg.slice(0, svg.indexOf('>') + 1);
  const root = opening
    .replace(/ class="[^"]*"/, '')
    .replace('<svg', `<svg class="${CHART_CLASS}" role="img" aria-labelledby="${id}-title ${id}-desc"`);
  // Inside one image, roles on its groups mean nothing to a screen reader.
  const body = svg
    .slice(opening.length)
    .replace(/<[a-z][^>]*>/g, (tag) => tag.replace(/ (?:role|aria-[a-z]+)="[^"]*"/g, ''));
  return [
    root,
    `<title id="${id}-title">${name}</title>`,
    `<desc id="${id}-desc">${description}</desc>`,
    `<style>${CHART_STYLE}</style>`,
    body,
  ].join('');
}
