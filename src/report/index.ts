export { type AttackTableOptions, advantageSentence, attackTable, cheapestAttackSentence } from './attack-table.js';
export * from './charts.js';
export { type DemoSummary, demoReport, summarizeDemo } from './demo-report.js';
export { environmentRows } from './environment.js';
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
