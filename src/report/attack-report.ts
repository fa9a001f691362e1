import { type AttackRow, attackersAdvantage, releasedWorth } from '../attacks/index.js';
import { type AttackedModel, type AttackOptions, isOneBudget } from '../experiments/index.js';
import { optimizerLabel, startLabel } from './attack-names.js';
import {
  advantageScale,
  advantageSentence,
  cheapestAttackSentence,
  costSentence,
  effortSentence,
  outdoneSentence,
  overlookedSentence,
  shamSentence,
  verdictSentence,
  worthSentence,
} from './attack-sentences.js';
import { type AttackTableOptions, attackTable, scoredOn, usuallyDrawnBy } from './attack-table.js';
import { boundedSentences } from './bounded-sentences.js';
import { type LearningCurve, learningCurves, picture, searchCurves } from './charts/index.js';
import type { Report, ReportSection } from './format/html.js';
import { magnitude } from './format/numbers.js';
import type { Table } from './format/table.js';
import { capitalized } from './format/text.js';

/** Findings as people read them: one table and the sentences below it. */
export interface Summary {
  /** All starting points and attacks. */
  readonly table: Table;
  /** What was found, most important first. */
  readonly sentences: readonly string[];
}

/** What a report says of where its numbers come from. */
export interface ReportOrigin {
  /** Versions and machine. */
  readonly environment: Record<string, string>;
  /** Configuration as YAML. */
  readonly config: string;
}

/** Puts the findings of an attack into a table and plain sentences. */
export function summarizeAttack(
  { rows, metric, drawnBy, cost, score, verdict, lockFlops, notes: left = [], seconds }: AttackedModel,
  { target, perClass }: Pick<AttackOptions, 'target' | 'perClass'>,
  authorized?: AttackTableOptions['authorized'],
): Summary {
  const advantages = [cost, score].filter((advantage) => advantage !== undefined);
  const effort = effortSentence(rows, seconds);
  const owner =
    lockFlops === undefined
      ? []
      : [`The lock took its owner ${magnitude(lockFlops / 1e9, 1)} GFLOP, as the model's card states.`];
  const notes = [...(effort ? [effort] : []), ...owner, ...left];
  const bounded = verdict?.bounded;
  const table = attackTable(rows, { target, perClass, drawnBy, authorized, metric, utilityDrop: bounded?.drop });
  if (advantages.length === 0) {
    return {
      table,
      sentences: [
        ...(['score', 'cost'] as const).flatMap((measure) => {
          const worth = releasedWorth(rows, measure);
          return worth ? [worthSentence(worth)] : [];
        }),
        'No unlocked model was attacked beside it: nothing says what a lock costs an attacker (give --unlocked).',
        ...notes,
      ],
    };
  }
  const sentences = advantages.flatMap((advantage) => {
    const cost = costSentence(advantage, seconds);
    const overlooked = overlookedSentence(advantage);
    const outdone = outdoneSentence(rows, advantage);
    const found = [
      cheapestAttackSentence(advantage),
      ...(cost ? [cost] : []),
      advantageSentence(advantage),
      ...(overlooked ? [overlooked] : []),
      ...(outdone ? [outdone] : []),
    ];
    // What the lock does to those who do not know of it is another question, and worth an answer.
    if (advantage.locked.plain) return found;
    const plain = attackersAdvantage(rows, advantage.measure, { only: (row) => row.plain });
    return plain ? [...found, `Plain fine-tuning alone: ${advantageSentence(plain)}`] : found;
  });
  const kept = bounded
    ? boundedSentences(
        bounded,
        advantages.map(({ measure }) => measure),
      )
    : [];
  const control = verdict?.sham ? [shamSentence(verdict.sham)] : [];
  return {
    table,
    sentences: [verdictSentence(advantages), advantageScale, ...sentences, ...control, ...kept, ...notes],
  };
}

/** The charts of an attack: score over steps, one chart a measure. */
export async function attackSections(
  {
    rows,
    metric,
    drawnBy = usuallyDrawnBy,
    bestSoFar = [],
  }: Pick<AttackedModel, 'rows' | 'metric' | 'drawnBy' | 'bestSoFar'>,
  options: AttackOptions,
): Promise<ReportSection[]> {
  const { target, perClass, costSteps, scoreSteps } = options;
  const both = isOneBudget(options);
  const sections: ReportSection[] = [];
  const cost = attackCurves(rows, 'cost');
  if (cost.length > 0) {
    sections.push({
      heading: `All training examples: how fast${both ? ' and how far' : ''} each starting point learns`,
      ...picture(await learningCurves(cost, { target, metric })),
      caption: `${capitalized(metric)} on the unauthorized task at the best learning rate of each optimizer, at most ${costSteps} steps. A run that ${both ? '' : 'reached the target, or '}diverged${both ? '' : ','} keeps its last ${metric}.`,
    });
  }
  const score = attackCurves(rows, 'score');
  if (score.length > 0 && !both) {
    sections.push({
      heading: `${capitalized(scoredOn(perClass, drawnBy))}: how far each starting point comes`,
      ...picture(await learningCurves(score, { target: null, metric })),
      caption: `${capitalized(metric)} on the unauthorized task at the best learning rate of each optimizer, ${scoreSteps} steps. A run that diverged keeps its last ${metric}.`,
    });
  }
  const measure = score.length > 0 ? 'score' : 'cost';
  const searched = bestSoFar.filter((curve) => curve.measure === measure);
  const isDrawn = searched.some(({ points }) => points.length > 2);
  // One search has no course, and what has no number cannot be drawn.
  if (isDrawn && searched.every(({ points }) => points.every((point) => Number.isFinite(point.score)))) {
    sections.push({
      heading: 'What searching costs: the best attack so far',
      ...picture(await searchCurves(searched, { metric })),
      caption: `${capitalized(metric)} of the best attack so far over the floating-point operations of all searches and of one run of what each chose, in the order of the plan. Which attack is the best is decided on the seeds of the searches; the score is that of other seeds.`,
    });
  }
  return sections;
}

/** What a report of an attack says. */
export async function attackReport(
  result: AttackedModel,
  options: AttackOptions,
  origin: ReportOrigin,
): Promise<Report> {
  const { table, sentences } = summarizeAttack(result, options);
  return {
    title: 'weightlock attack',
    summary: [...sentences],
    sections: [{ heading: 'All attacks', table }, ...(await attackSections(result, options))],
    ...origin,
  };
}

/** One curve a trial; a run that ended before others of its row keeps its last score, so that all cover the same steps. */
export function attackCurves(rows: readonly AttackRow[], measure: AttackRow['measure']): LearningCurve[] {
  const drawn = rows.filter((row) => row.measure === measure && row.trains);
  return drawn
    .flatMap((row) => {
      const trials = row.result.trials.filter(({ curve }) => curve.length > 0);
      // A logarithmic axis has no place for step 0.
      const steps = [...new Set(trials.flatMap(({ curve }) => curve.map(({ step }) => step)))].filter(
        (step) => step > 0,
      );
      return trials.map(({ seed, curve }) => ({
        attack: optimizerLabel(row),
        start: lineLabel(row, drawn),
        seed,
        points: steps.map((step) => ({ step, score: lastUpTo(curve, step) })),
      }));
    })
    .filter(({ points }) => points.length > 0);
}

/** What a line is of: the starting point, what is trained where not all is, and the attack's name where others say the same. */
function lineLabel(row: AttackRow, all: readonly AttackRow[]): string {
  const named = (each: AttackRow) =>
    each.composition.trained.name === 'all' ? startLabel(each) : `${startLabel(each)}, ${each.use}`;
  const label = named(row);
  return all.some((other) => other.kind !== row.kind && named(other) === label) ? `${label} (${row.kind})` : label;
}

function lastUpTo(curve: AttackRow['result']['trials'][number]['curve'], step: number): number {
  return curve.reduce((last, point) => (point.step <= step ? point.score : last), curve[0].score);
}
