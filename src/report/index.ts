export * from './charts.js';
export { type Report, type ReportSection, renderReport } from './html.js';
export {
  type Cost,
  cost,
  decimal,
  formatMean,
  formatMedian,
  interval,
  type MeanInterval,
  type MedianInterval,
  MISSING,
  meanInterval,
  medianInterval,
  percent,
  ratio,
  slowdown,
  steps,
  studentQuantile,
} from './numbers.js';
export { type Table, type TableColumn, tableToHtml, tableToMarkdown, tableToText } from './table.js';
