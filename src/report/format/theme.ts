import type { Config } from 'vega-lite';

/**
 * Each colour of a chart: on white, and on a dark page. The hues are Okabe and Ito's, which stay apart for every kind of
 * colour blindness, made lighter or darker until they contrast with the page by at least 3 : 1 (text by 4.5 : 1).
 */
export const palette = {
  page: { light: '#ffffff', dark: '#14171b' },
  ink: { light: '#24292f', dark: '#e6e8eb' },
  muted: { light: '#5f6771', dark: '#a3abb5' },
  grid: { light: '#e4e7eb', dark: '#30363d' },
  blue: { light: '#0072b2', dark: '#56b4e9' },
  vermillion: { light: '#d55e00', dark: '#ff8c42' },
  green: { light: '#008a64', dark: '#3ccf9f' },
  grey: { light: '#6c757f', dark: '#b2bac3' },
  purple: { light: '#b0578d', dark: '#e09cc4' },
  amber: { light: '#a87400', dark: '#f0c04a' },
} as const;

/** The class of the root element of every chart. */
export const CHART_CLASS = 'weightlock-chart';

/**
 * The style sheet inside every chart: on a dark screen it replaces each colour by its dark counterpart, so that one SVG
 * reads well in a page, alone, and in a README; on paper, and in viewers without CSS, the light colours stay. A chart
 * that is a document of its own (`:root`) brings its background along, because what shows it may follow another scheme.
 */
export const CHART_STYLE = `.${CHART_CLASS}:root{background:${palette.page.light}}@media screen and (prefers-color-scheme: dark){.${CHART_CLASS}:root{background:${palette.page.dark}}${Object.values(
  palette,
)
  .flatMap(({ light, dark }) =>
    ['fill', 'stroke'].map((property) => `.${CHART_CLASS} [${property}="${light}"]{${property}:${dark}}`),
  )
  .join('')}}`;

const font = 'system-ui, sans-serif';

/** The look that all charts share. */
export const chartConfig: Config = {
  // The chart is one image with a title and a description; a role on every mark would only repeat the numbers.
  aria: false,
  background: 'transparent',
  font,
  padding: 4,
  view: { stroke: null },
  axis: {
    domainColor: palette.muted.light,
    gridColor: palette.grid.light,
    labelColor: palette.muted.light,
    labelFontSize: 12,
    labelPadding: 6,
    tickColor: palette.muted.light,
    ticks: false,
    titleColor: palette.ink.light,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    titlePadding: 8,
  },
  header: {
    labelAnchor: 'start',
    labelColor: palette.ink.light,
    labelFontSize: 13,
    labelFontWeight: 'bold',
    labelPadding: 8,
    title: null,
  },
  legend: {
    labelColor: palette.ink.light,
    labelFontSize: 12,
    columnPadding: 20,
    labelLimit: 0,
    offset: 12,
    orient: 'top',
    symbolSize: 260,
    symbolStrokeWidth: 2.5,
    title: null,
  },
  text: { color: palette.ink.light, fontSize: 12 },
};

/** How a chart says what its lines and bands are: above everything else of it. */
export const keyStyle = {
  anchor: 'start',
  color: palette.muted.light,
  fontSize: 12,
  fontWeight: 'normal',
  lineHeight: 16,
  offset: 10,
} as const;
