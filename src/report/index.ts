export { startLabel } from './attack-names.js';
export { attackReport, type ReportOrigin, type Summary, summarizeAttack } from './attack-report.js';
export { advantageSentence, cheapestAttackSentence, firstLookSentence } from './attack-sentences.js';
export { type AttackTableOptions, attackTable } from './attack-table.js';
export { advantageLeft } from './charts/frontier.js';
export * from './charts/index.js';
export { demoReport, summarizeDemo } from './demo-report.js';
export { environmentRows, reportOrigin } from './environment.js';
export { type Report, type ReportSection, renderReport } from './format/html.js';
export { escapeInline, escapeMarkdown } from './format/markdown.js';
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
} from './format/numbers.js';
export { type Page, pageStart, renderPage } from './format/page.js';
export { type Table, type TableColumn, tableToHtml, tableToMarkdown, tableToText } from './format/table.js';
export { fitColumns, printable, printableJson, printableLines } from './format/text.js';
export { screenColumns, sentenceColumns, wrap } from './format/wrap.js';
export { lockedSentence } from './locked-sentence.js';
export { pageName, reproductionPage, reproductionReport, summarizeReproduction } from './reproduction-report.js';
export { type SweepSummary, summarizeSweep, sweepReport } from './sweep-report.js';
export { showMetric, utilitySentence, utilityTable } from './utility-table.js';
