export { attackReport, type ReportOrigin, type Summary, summarizeAttack } from './attack-report.js';
export { type AttackTableOptions, advantageSentence, attackTable, cheapestAttackSentence } from './attack-table.js';
export * from './charts.js';
export { demoReport, summarizeDemo } from './demo-report.js';
export { environmentRows, reportOrigin } from './environment.js';
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
export { reproductionPage, reproductionReport, summarizeReproduction } from './reproduction-report.js';
export { type Table, type TableColumn, tableToHtml, tableToMarkdown, tableToText } from './table.js';
export { printable } from './text.js';
