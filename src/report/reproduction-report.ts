import { attackersAdvantage, type Measure } from '../attacks/index.js';
import type {
  Claim,
  ReproductionResult,
  ResultAttack,
  ResultCell,
  ResultFrontier,
  ResultScatter,
  ResultSeries,
  ResultTable,
} from '../experiments/index.js';
import { meanInterval } from '../linalg/index.js';
import { attackCurves, type ReportOrigin } from './attack-report.js';
import {
  advantageSentence,
  cheapestAttackSentence,
  outdoneSentence,
  overlookedSentence,
  shamSentence,
} from './attack-sentences.js';
import { attackTable } from './attack-table.js';
import {
  frontierChart,
  frontierTable,
  learningCurves,
  picture,
  rateCurves,
  scatter,
  scatterTable,
  seriesLines,
  seriesTable,
} from './charts/index.js';
import type { Report, ReportSection } from './format/html.js';
import { decimal, formatMean, MISSING } from './format/numbers.js';
import type { Table } from './format/table.js';
import { utilityTable } from './utility-table.js';

/** Tables and sentences of a reproduction, for a terminal. */
export function summarizeReproduction(result: ReproductionResult): { tables: Table[]; sentences: string[] } {
  return {
    tables: [
      ...result.tables.map(sideBySide),
      ...(result.frontier ? [frontierTable(result.frontier)] : []),
      ...(result.series ?? []).map(seriesTable),
      ...(result.scatters ?? []).map(scatterTable),
      ...Object.entries(result.utility).map(([model, change]) =>
        utilityTable(change, { title: `What the lock costs: ${model}` }),
      ),
      ...result.attacks.map((attack) => ({ ...tableOf(attack), title: `Attacks: ${attack.task}` })),
    ],
    sentences: [
      ...result.attacks.flatMap(attackSentences),
      ...result.claims.map(
        ({ verdict, text, source, finding }) => `${verdicts[verdict]}: ${text} (${source}) ${finding}.`,
      ),
      ...(result.notes ?? []),
      verdictSentence(result.claims),
    ],
  };
}

/** What the report of a reproduction says. */
export async function reproductionReport(result: ReproductionResult, origin: ReportOrigin): Promise<Report> {
  return {
    title: `${result.title} (scale ${result.scale})`,
    summary: [verdictSentence(result.claims), ...result.attacks.flatMap(attackSentences)],
    sections: await parts(result),
    ...withDuration(result, origin),
  };
}

/** What a reproduction's page and pictures are called: the experiment, and its scale where that is not the default. */
export function pageName({ name, scale }: Pick<ReproductionResult, 'name' | 'scale'>): string {
  return scale === 'small' ? name : `${name}-${scale}`;
}

/** What the page of a reproduction says, among others of its kind: what its parts say is not said before them. */
export async function reproductionPage(result: ReproductionResult, origin: ReportOrigin): Promise<Report> {
  const { title, scale } = result;
  const summary = [`Scale \`${scale}\`. ${verdictSentence(result.claims)}`];
  return { title, summary, sections: await parts(result), ...withDuration(result, origin) };
}

async function parts(result: ReproductionResult): Promise<ReportSection[]> {
  const attacks: ReportSection[] = [];
  for (const attack of result.attacks) {
    const curves = attackCurves(attack.rows, 'score');
    attacks.push({
      heading: `Attacks: ${attack.task}`,
      paragraphs: attackSentences(attack),
      table: tableOf(attack),
      ...(curves.length > 0 && {
        ...picture(await learningCurves(curves, { target: attack.target, metric: attack.metric })),
        chart: (attack.task.match(/[a-z0-9]+/gi) ?? []).join('-').toLowerCase(),
        caption: `${attack.task}: ${attack.metric} over steps at the best learning rate of each optimizer; the dashed line is the target of the cost.`,
      }),
    });
  }
  return [
    { heading: 'What was done', paragraphs: [...result.setup, ...(result.notes ?? [])] },
    ...(await Promise.all(result.tables.map(tablePart))),
    ...(result.frontier ? [await frontierPart(result.frontier)] : []),
    ...(await Promise.all((result.series ?? []).map(seriesPart))),
    ...(await Promise.all((result.scatters ?? []).map(scatterPart))),
    ...Object.entries(result.utility).map(([model, change]) => ({
      heading: `What the lock costs: ${model}`,
      table: utilityTable(change),
    })),
    { heading: 'Claims', table: { ...claimTable(result.claims), title: undefined } },
    ...attacks,
  ];
}

/** A table, and its lines over the learning rates where its columns are such. */
async function tablePart(table: ResultTable): Promise<ReportSection> {
  const { title, rates, rows } = table;
  const part: ReportSection = { heading: title, table: { ...sideBySide(table), title: undefined } };
  if (!rates) return part;
  const curves = rows.map(({ label, cells }) => ({
    label,
    points: rates.values.flatMap((rate, column) => {
      const { ours: scores = [] } = cells[column] ?? {};
      return scores.length > 0 ? [{ rate, scores }] : [];
    }),
  }));
  const { name, metric, guessing } = rates;
  return {
    ...part,
    ...picture(await rateCurves(curves, { metric, guessing })),
    chart: name,
    caption: `${title}; the dashed line is guessing, the bars reach from the worst to the best seed.`,
  };
}

/** Lines, and the numbers that they are drawn through. */
async function seriesPart(series: ResultSeries): Promise<ReportSection> {
  const { title, name } = series;
  const chart = await seriesLines(series);
  const caption = `${title}; the line is the geometric mean over seeds, the bars reach from the least to the largest, dashed lines are theory.`;
  return {
    heading: title,
    table: { ...seriesTable(series), title: undefined },
    ...picture(chart),
    chart: name,
    caption,
  };
}

/** Locks beside one another; without a chart where nothing was measured that it could show. */
async function frontierPart(frontier: ResultFrontier): Promise<ReportSection> {
  const { title, name, points } = frontier;
  const part: ReportSection = { heading: title, table: { ...frontierTable(frontier), title: undefined } };
  if (!points.some(({ score, lost }) => score?.low !== undefined && lost.length > 0)) return part;
  return {
    ...part,
    ...picture(await frontierChart(frontier)),
    chart: name,
    caption: `${title}: utility lost against advantage left; the size is the owner's computing, the bars are 95 % intervals.`,
  };
}

/** Forecasts beside what was measured. */
async function scatterPart(found: ResultScatter): Promise<ReportSection> {
  const { title, name, within } = found;
  return {
    heading: title,
    table: { ...scatterTable(found), title: undefined },
    ...picture(await scatter(found)),
    chart: name,
    caption: `${title}: measured against predicted; on the line they agree, between the dashed lines they do within a factor of ${within}.`,
  };
}

/** The paper's table with our numbers beside the paper's, `ours / paper`. */
function sideBySide({ title, reference = "the paper's", columns, rows }: ResultTable): Table {
  return {
    title,
    columns: [
      { key: 'label', header: 'model' },
      ...columns.map((header) => ({ key: header, header, align: 'right' as const })),
    ],
    rows: rows.map(({ label, cells }) => ({
      label,
      ...Object.fromEntries(columns.map((column, index) => [column, cell(cells[index])])),
    })),
    notes: [
      `Each cell: ours (95 % interval of the mean over seeds, where there are several) / ${reference}; – where one of them has no number.`,
      ...(rows.some(({ cells }) => cells.some(({ diverged }) => diverged))
        ? ['A run that diverged leaves no model: it counts as guessing, and of one class as no right answer.']
        : []),
    ],
  };
}

function cell({ ours, paper, diverged = 0 }: ResultCell): string {
  const percents = ours.map((value) => 100 * value);
  const measured = ours.length === 0 ? MISSING : formatMean(meanInterval(percents, { within: [0, 100] }));
  return `${measured}${diverged > 0 ? `, ${diverged} of ${ours.length} diverged` : ''} / ${paper === undefined ? MISSING : decimal(100 * paper)}`;
}

function tableOf({ rows, target, metric }: ResultAttack): Table {
  return { ...attackTable(rows, { target, metric }), title: undefined };
}

function attackSentences({ task, rows, cost, score }: ResultAttack): string[] {
  const locked = [score, cost].flatMap((advantage) => {
    if (!advantage) return [];
    const found = [
      cheapestAttackSentence(advantage),
      advantageSentence(advantage),
      overlookedSentence(advantage),
      outdoneSentence(rows, advantage),
    ];
    return [`${task}: ${found.filter((sentence) => sentence !== undefined).join(' ')}`];
  });
  const ofSham = (measure: Measure) => attackersAdvantage(rows, measure, { of: 'control' })?.value;
  const sham = { cost: ofSham('cost'), score: ofSham('score') };
  return [...locked, ...(sham.cost || sham.score ? [`${task}: ${shamSentence(sham)}`] : [])];
}

const verdicts = { holds: 'holds', fails: 'fails', unmeasured: 'not decided' } as const;

function claimTable(claims: readonly Claim[]): Table {
  return {
    title: 'Claims',
    columns: [
      { key: 'verdict', header: 'verdict' },
      { key: 'text', header: 'claim' },
      { key: 'source', header: 'source' },
      { key: 'finding', header: 'what was measured' },
    ],
    rows: claims.map(({ verdict, text, source, finding }) => ({ verdict: verdicts[verdict], text, source, finding })),
  };
}

function verdictSentence(claims: readonly Claim[]): string {
  const count = (verdict: Claim['verdict']) => claims.filter((claim) => claim.verdict === verdict).length;
  return `Of ${claims.length} claims, ${count('holds')} held, ${count('fails')} failed, and ${count('unmeasured')} cannot be decided by these numbers.`;
}

function withDuration(result: ReproductionResult, { environment, config }: ReportOrigin): ReportOrigin {
  const total = Object.values(result.seconds).reduce((sum, seconds) => sum + seconds, 0);
  const longest = Object.entries(result.seconds)
    .map(([part, seconds]) => `${part} ${decimal(seconds / 60)}`)
    .join(', ');
  return { environment: { ...environment, 'duration, minutes': `${decimal(total / 60)} (${longest})` }, config };
}
