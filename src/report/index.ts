export { startLabel } from './attack-names.js';
export { attackReport, type ReportOrigin, type Summary, summarizeAttack } from './attack-report.js';
export { advantageSentence, cheapestAttackSentence, firstLookSentence } from './attack-sentences.js';
export { type AttackTableOptions, attackTable } from './attack-table.js';
export * from './charts.js';
export { demoReport, summarizeDemo } from './demo-report.js';
export { environmentRows, reportOrigin } from './environment.js';
export { advantageLeft } from './frontier.js';
export { type Report, type ReportSection, renderReport } from './html.js';
export { lockedSentence } from './locked-sentence.js';
export { escapeInline, escapeMarkdown } from './markdown.js';
export {
  cost,
  count,
  decimal,
  formatMean,
  formatMedian,
  interval,
  MISSING,
  magnitude,
  percent,
  ratio,
  slowdown,
  steps,
} from './numbers.js';
export { type Page, pageStart, renderPage } from './page.js';
export { pageName, reproductionPage, reproductionReport, summarizeReproduction } from './reproduction-report.js';
export { type SweepSummary, summarizeSweep, sweepReport } from './sweep-report.js';
export { type Table, type TableColumn, tableToHtml, tableToMarkdown, tableToText } from './table.js';
export { fitColumns, printable, printableJson, printableLines } from './text.js';
export { showMetric, utilitySentence, utilityTable } from './utility-table.js';
export { screenColumns, sentenceColumns, wrap } from './wrap.js';
