import type { DemoOptions, DemoResult } from '../experiments/index.js';
import { advantageSentence, attackTable, cheapestAttackSentence } from './attack-table.js';
import { type LearningCurve, learningCurves, spectra } from './charts.js';
import { renderReport } from './html.js';
import { decimal, percent } from './numbers.js';
import type { Table } from './table.js';

/** The demo's findings: one table and the sentences below it. */
export interface DemoSummary {
  /** All starting points and attacks. */
  readonly table: Table;
  /** What was found, most important first. */
  readonly sentences: readonly string[];
}

/** Puts the demo's findings into a table and plain sentences. */
export function summarizeDemo(result: DemoResult, options: DemoOptions): DemoSummary {
  const { unlocked, locked, clipped } = result.authorized;
  const table = attackTable(result.rows, {
    target: options.attack.target,
    perClass: options.attack.perClass,
    authorized: { unlocked: unlocked.accuracy, locked: locked.accuracy, 'locked, clip': clipped.accuracy },
  });
  const raised = result.lock.spectra.map(({ before, after }) => after[0] / before[0]);
  const sigma = Math.max(...result.lock.spectra.map(({ after }) => after[0]));
  const lost = 100 * (unlocked.accuracy - locked.accuracy);
  const sentences = [
    `Authorized accuracy: ${percent(unlocked.accuracy)} before the lock, ${percent(locked.accuracy)} after ` +
      `(${decimal(Math.abs(lost), 1)} points ${lost < 0 ? 'gained' : 'lost'}, n = ${unlocked.n}); ${result.lock.steps} lock steps raised the largest ` +
      `singular values by ${decimal(Math.min(...raised), 0)} to ${decimal(Math.max(...raised), 0)} times, to ${decimal(sigma, 0)} at most.`,
  ];
  for (const advantage of [result.cost, result.score]) {
    if (advantage) sentences.push(cheapestAttackSentence(advantage), advantageSentence(advantage));
  }
  return { table, sentences };
}

/** The demo as a self-contained HTML page. */
export async function demoReport(
  result: DemoResult,
  options: DemoOptions,
  { environment, config }: { environment: Record<string, string>; config: string },
): Promise<string> {
  const { table, sentences } = summarizeDemo(result, options);
  const { target, perClass, costSteps, scoreSteps } = options.attack;
  const costCurves = await learningCurves(curves(result, 'cost'), { target });
  const scoreCurves = await learningCurves(curves(result, 'score'), { target: null });
  const sigma = await spectra(
    result.lock.spectra.map(({ name, before, after }) => {
      const shown = Math.min(before.length, options.specdef.topK + 2);
      return { layer: name, before: before.slice(0, shown), after: after.slice(0, shown) };
    }),
  );
  return renderReport({
    title: 'weightlock demo: train, lock, attack',
    summary: [...sentences],
    sections: [
      {
        heading: 'What was done',
        paragraphs: [
          `A small convolutional network learned the digits ${options.authorized.join(', ')} (the authorized task) and was locked with SpecDef. ` +
            `The attacker wants it to learn the digits ${options.unauthorized.join(', ')} instead (the unauthorized task), with all ${result.unauthorized.train} training images (cost) or ` +
            `with ${perClass} labelled images of each digit (score); accuracy is measured on ${result.unauthorized.test} test images.`,
        ],
        table,
      },
      {
        heading: 'All training images: how fast each starting point learns',
        svg: costCurves.svg,
        caption: `Accuracy on the unauthorized task at the best learning rate of each optimizer, at most ${costSteps} steps; a run ends when it reaches the target.`,
      },
      {
        heading: `${perClass} images of each digit: how far each starting point comes`,
        svg: scoreCurves.svg,
        caption: `Accuracy on the unauthorized task at the best learning rate of each optimizer, ${scoreSteps} steps.`,
      },
      {
        heading: 'Singular values before and after the lock',
        svg: sigma.svg,
        caption: 'Largest singular values of each weight matrix, from a full SVD.',
      },
    ],
    environment,
    config,
  });
}

function curves(result: DemoResult, measure: 'cost' | 'score'): LearningCurve[] {
  return result.rows
    .filter((row) => row.measure === measure && row.attack !== 'frozen')
    .flatMap(({ start, attack, optimizer, result: { trials } }) =>
      trials.map(({ seed, curve }) => ({
        attack: optimizer,
        start: attack === 'clip' ? 'locked then clipped' : start,
        seed,
        points: curve.filter(({ step }) => step > 0),
      })),
    );
}
