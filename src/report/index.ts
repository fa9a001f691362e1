export * from './charts.js';
export { type Report, type ReportSection, renderReport } from './html.js';
export {
  cost,
  decimal,
  formatMean,
  formatMedian,
  interval,
  MISSING,
  percent,
  ratio,
  slowdown,
  steps,
} from './numbers.js';
export { type Table, type TableColumn, tableToHtml, tableToMarkdown, tableToText } from './table.js';
