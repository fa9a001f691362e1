import { attacks, labelOf } from '../attacks/index.js';
import type { DemoOptions, DemoResult } from '../experiments/index.js';
import { tasks } from '../tasks/index.js';
import { startLabel } from './attack-names.js';
import { attackSections, type ReportOrigin, type Summary, summarizeAttack } from './attack-report.js';
import { scoredOn } from './attack-table.js';
import { picture, spectra } from './charts/index.js';
import type { Report } from './format/html.js';
import { decimal, percent } from './format/numbers.js';
import { utilitySentence, utilityTable } from './utility-table.js';

/** Puts the demo's findings into a table and plain sentences. */
export function summarizeDemo(result: DemoResult, options: DemoOptions): Summary {
  const { task, before, after } = result.test;
  const { score } = tasks.get(task).roles;
  const scores = Object.entries(result.transformed).map(([attack, found]) => [
    startLabel({ start: 'locked', label: labelOf(attacks.get(attack).transforms) }),
    found,
  ]);
  const { table, sentences } = summarizeAttack(result, options.attack, {
    unlocked: before.float32.metrics[score] ?? Number.NaN,
    locked: after.float32.metrics[score] ?? Number.NaN,
    ...(result.sham && {
      [startLabel({ start: 'sham-locked' })]: result.sham.after.float32.metrics[score] ?? Number.NaN,
    }),
    ...Object.fromEntries(scores),
  });
  const raised = result.lock.spectra.map(({ before, after }) => after[0] / before[0]);
  const sigma = Math.max(...result.lock.spectra.map(({ after }) => after[0]));
  const lock =
    `${result.lock.steps} lock steps raised the largest singular value of each matrix ${decimal(Math.min(...raised), 0)} to ` +
    `${decimal(Math.max(...raised), 0)} times, to ${decimal(sigma, 0)} at most.`;
  const [verdict, ...rest] = sentences;
  return {
    table,
    sentences: [verdict, utilitySentence(result.test), ...result.warnings, lock, drawsSentence(result), ...rest],
  };
}

/** How far draws of the lock differ, or that there was one. */
function drawsSentence({ test, lock, draws = [] }: DemoResult): string {
  if (draws.length === 0) {
    return 'The lock was drawn once; another seed of it may give another result (demo --locks 5 takes five).';
  }
  const all = [{ test, lock }, ...draws];
  const { roles } = tasks.get(test.task);
  const range = (of: (draw: (typeof all)[number]) => number, show: (value: number) => string) => {
    const values = all.map(of);
    return `${show(Math.min(...values))} to ${show(Math.max(...values))}`;
  };
  const metric = (name: string) => (draw: (typeof all)[number]) => draw.test.after.float32.metrics[name] ?? Number.NaN;
  const sigma = (draw: (typeof all)[number]) => Math.max(...draw.lock.spectra.map(({ after }) => after[0]));
  return (
    `Over ${all.length} draws of the lock: authorized score ${range(metric(roles.score), percent)}, KL to the original ` +
    `${range(metric(roles.divergence), (value) => decimal(value, 4))} nats, largest singular value ${range(sigma, (value) => decimal(value, 0))}; ` +
    'each trial of an attack takes one of them by its seed, so that intervals cover locks.'
  );
}

/** What the report of the demo says. */
export async function demoReport(result: DemoResult, options: DemoOptions, origin: ReportOrigin): Promise<Report> {
  const { table, sentences } = summarizeDemo(result, options);
  const { perClass } = options.attack;
  const sigma = await spectra(
    result.lock.spectra.map(({ name, before, after }) => {
      const shown = Math.min(before.length, options.specdef.topK + 2);
      return { layer: name, before: before.slice(0, shown), after: after.slice(0, shown) };
    }),
  );
  return {
    title: 'weightlock demo: train, lock, attack',
    summary: [...sentences],
    sections: [
      {
        heading: 'What was done',
        paragraphs: [
          `A small convolutional network learned the digits ${options.authorized.join(', ')} (the authorized task) and was locked with SpecDef. ` +
            `The attacker wants it to learn the digits ${options.unauthorized.join(', ')} instead (the unauthorized task): with all ` +
            `${result.unauthorized.train} training images, where the steps to the target are the cost, and with ${scoredOn(perClass, 'labelled images of each digit')}, ` +
            `where the best ${result.metric} is the score, measured on ${result.unauthorized.test} test images.`,
        ],
        table,
      },
      { heading: 'What the lock costs the authorized task', table: utilityTable(result.test) },
      ...(await attackSections(result, options.attack)),
      {
        heading: 'Singular values before and after the lock',
        ...picture(sigma),
        caption: 'Largest singular values of each weight matrix, from a full SVD.',
      },
    ],
    ...origin,
  };
}
