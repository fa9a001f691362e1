import { type AttackRow, attackersAdvantage } from '../attacks/index.js';
import type { AttackedModel, AttackOptions } from '../experiments/index.js';
import { startLabel } from './attack-names.js';
import {
  type AttackTableOptions,
  advantageScale,
  advantageSentence,
  attackTable,
  cheapestAttackSentence,
  optimizerLabel,
  verdictSentence,
} from './attack-table.js';
import { type LearningCurve, learningCurves } from './charts.js';
import { type ReportSection, renderReport } from './html.js';
import type { Table } from './table.js';

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
  { rows, cost, score }: AttackedModel,
  { target, perClass }: Pick<AttackOptions, 'target' | 'perClass'>,
  authorized?: AttackTableOptions['authorized'],
): Summary {
  const advantages = [cost, score].filter((advantage) => advantage !== undefined);
  const table = attackTable(rows, { target, perClass, authorized });
  if (advantages.length === 0) {
    return {
      table,
      sentences: [
        'The unlocked model was not attacked: nothing says what the lock costs an attacker (give --unlocked).',
      ],
    };
  }
  const sentences = advantages.flatMap((advantage) => {
    const found = [cheapestAttackSentence(advantage), advantageSentence(advantage)];
    // What the lock does to those who do not know of it is another question, and worth an answer.
    if (advantage.locked.attack === 'fine-tune') return found;
    const plain = attackersAdvantage(rows, advantage.measure, { only: (name) => name === 'fine-tune' });
    return plain ? [...found, `Plain fine-tuning alone: ${advantageSentence(plain)}`] : found;
  });
  return { table, sentences: [verdictSentence(advantages), advantageScale, ...sentences] };
}

/** The charts of an attack: accuracy over steps, one chart a measure. */
export async function attackSections(rows: readonly AttackRow[], options: AttackOptions): Promise<ReportSection[]> {
  const { target, perClass, costSteps, scoreSteps } = options;
  const sections: ReportSection[] = [];
  const cost = attackCurves(rows, 'cost');
  if (cost.length > 0) {
    sections.push({
      heading: 'All training images: how fast each starting point learns',
      svg: (await learningCurves(cost, { target })).svg,
      caption: `Accuracy on the unauthorized task at the best learning rate of each optimizer, at most ${costSteps} steps. A run that reached the target, or diverged, keeps its last accuracy.`,
    });
  }
  const score = attackCurves(rows, 'score');
  if (score.length > 0) {
    sections.push({
      heading: `${perClass} images of each class: how far each starting point comes`,
      svg: (await learningCurves(score, { target: null })).svg,
      caption: `Accuracy on the unauthorized task at the best learning rate of each optimizer, ${scoreSteps} steps. A run that diverged keeps its last accuracy.`,
    });
  }
  return sections;
}

/** An attack as a self-contained HTML page. */
export async function attackReport(
  result: AttackedModel,
  options: AttackOptions,
  origin: ReportOrigin,
): Promise<string> {
  const { table, sentences } = summarizeAttack(result, options);
  return renderReport({
    title: 'weightlock attack',
    summary: [...sentences],
    sections: [{ heading: 'All attacks', table }, ...(await attackSections(result.rows, options))],
    ...origin,
  });
}

/** One curve a trial; a run that ended before others of its row keeps its last accuracy, so that all cover the same steps. */
export function attackCurves(rows: readonly AttackRow[], measure: AttackRow['measure']): LearningCurve[] {
  return (
    rows
      .filter((row) => row.measure === measure && row.attack !== 'frozen')
      // The unlocked model's own adaptive attacks are in the table; in the chart they would hide the rest.
      .filter(({ start, attack }) => start !== 'unlocked' || attack === 'fine-tune')
      .flatMap((row) => {
        const { start, attack } = row;
        const { trials } = row.result;
        // A logarithmic axis has no place for step 0.
        const steps = [...new Set(trials.flatMap(({ curve }) => curve.map(({ step }) => step)))].filter(
          (step) => step > 0,
        );
        return trials.map(({ seed, curve }) => ({
          attack: optimizerLabel(row),
          start: startLabel({ start, attack }),
          seed,
          points: steps.map((step) => ({ step, accuracy: lastUpTo(curve, step) })),
        }));
      })
      .filter(({ points }) => points.length > 0)
  );
}

function lastUpTo(curve: AttackRow['result']['trials'][number]['curve'], step: number): number {
  return curve.reduce((last, point) => (point.step <= step ? point.score : last), curve[0].score);
}
