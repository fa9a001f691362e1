import { type AttackOptions, attackOptions, type SweepResult, type SweptCell } from '../experiments/index.js';
import { attackSections, type ReportOrigin, type Summary, summarizeAttack } from './attack-report.js';
import type { Report, ReportSection } from './format/html.js';
import { cost, ratio } from './format/numbers.js';
import type { Table } from './format/table.js';

/** What a sweep found as people read it: tables, and the sentences below them. */
export interface SweepSummary {
  /** One line a cell; of a sweep of one cell its attacks as well. */
  readonly tables: readonly Table[];
  /** What was found, most important first. */
  readonly sentences: readonly string[];
}

/** Puts the findings of a sweep into tables and plain sentences. */
export function summarizeSweep(result: SweepResult): SweepSummary {
  const summaries = result.cells.flatMap((cell) => {
    const summary = summaryOf(cell);
    return summary ? [{ cell, summary }] : [];
  });
  const failed = result.failed.map(({ job, message }) => `Failed: ${job} (${message}).`);
  const [only] = summaries;
  if (only && result.cells.length === 1) {
    return { tables: [overview(result), only.summary.table], sentences: [...only.summary.sentences, ...failed] };
  }
  const verdicts = summaries.map(({ cell, summary }) => `${cell.name}: ${summary.sentences[0]}`);
  return { tables: [overview(result)], sentences: [...verdicts, ...failed] };
}

/** What the report of a sweep says. */
export async function sweepReport(result: SweepResult, origin: ReportOrigin): Promise<Report> {
  const { sentences } = summarizeSweep(result);
  const sections: ReportSection[] = [{ heading: 'All models, locks and attacks', table: overview(result) }];
  for (const cell of result.cells) {
    const summary = summaryOf(cell);
    if (!cell.attacked || !summary) {
      sections.push({ heading: cell.name, paragraphs: [`Not measured: ${cell.failure ?? 'nothing was tried'}.`] });
      continue;
    }
    sections.push({ heading: cell.name, paragraphs: [...summary.sentences], table: summary.table });
    for (const section of await attackSections(cell.attacked, optionsOf(cell))) {
      sections.push({ ...section, heading: `${cell.name}. ${section.heading}` });
    }
  }
  return { title: 'weightlock sweep', summary: [...sentences], sections, ...origin };
}

/** The options that a cell's attacks had; they were checked when the sweep began. */
function optionsOf({ options }: SweptCell): AttackOptions {
  return attackOptions.parse(options);
}

function summaryOf(cell: SweptCell): Summary | undefined {
  return cell.attacked && summarizeAttack(cell.attacked, optionsOf(cell));
}

/** One line a cell: what its attacks say of the lock, and the cheapest of them. */
function overview({ cells }: SweepResult): Table {
  const right = { align: 'right' as const };
  return {
    title: 'All models, locks and attacks',
    columns: [
      { key: 'model', header: 'model' },
      { key: 'lock', header: 'lock' },
      { key: 'attacks', header: 'attacks' },
      { key: 'verdict', header: 'verdict' },
      { key: 'cheapest', header: 'cheapest attack' },
      { key: 'steps', header: 'steps', ...right },
      { key: 'slowdown', header: 'slowdown', ...right },
    ],
    rows: cells.map(({ model, lock, attacks, attacked }) => {
      const verdict = attacked?.verdict;
      const cheapest = verdict?.cheapest;
      return {
        model,
        lock: lock ?? 'released',
        attacks,
        verdict: attacked ? (verdict?.verdict ?? 'not compared') : 'failed',
        cheapest: cheapest ? `${cheapest.attack}, ${cheapest.optimizer}` : '',
        steps: cheapest ? cost(cheapest.cost) : '',
        slowdown: ratio(cheapest?.slowdown?.median),
      };
    }),
  };
}
