import { lockMethods } from '../../locks/index.js';
import { InputError } from '../../registry/index.js';
import { counted, overDraws } from './claims.js';
import { runnerOf } from './common.js';
import { claimsOf } from './frontier-claims.js';
import { Comparison, planOf, worthNothing } from './frontier-comparison.js';
import { frontierModels } from './frontier-models.js';
import { attacksNotTried, controlsOf, frontierSettings, locksToDraw, type ModelSettings } from './frontier-settings.js';
import {
  type Claim,
  type FrontierPoint,
  type Reproduction,
  type ReproductionContext,
  type Scale,
  scalesOf,
  settingsOf,
} from './reproduction.js';

/** `frontier`: all lock methods beside one another: utility lost, advantage left, owner's computing. */
export const frontier: Reproduction = {
  name: 'frontier',
  description: 'all lock methods beside one another: utility lost, advantage left, what they take their owner (ours)',
  data: [...new Set(frontierModels.filter(({ onlyNamed }) => !onlyNamed).flatMap(({ reads }) => reads))],
  models: Object.fromEntries(frontierModels.map(({ name, reads }) => [name, reads])),
  locks: [...new Set(Object.values(frontierSettings).flatMap((models) => Object.values(models).flatMap(methodsOf)))],
  scales: scalesOf(frontierSettings),
  canSkipSweep: false,
  requireChoice: chosenOf,
  async run(scale, context) {
    const { offered, wanted } = chosenOf(scale, context);
    const runner = runnerOf(context);
    const points: FrontierPoint[] = [];
    const claims: Claim[] = [];
    const setup: string[] = [];
    const attacks = new Set<string>();
    for (const model of frontierModels) {
      const own = offered[model.name];
      if (!own || !wanted.includes(model.name)) continue;
      const prepared = await model.prepare(runner, context, own);
      const { path } = prepared.unlocked;
      const base = await runner.attack(
        { unlocked: path, locked: path, head: prepared.head },
        { ...planOf(prepared, own, `${model.name}-base`), from: ['unlocked', 'random weights'] },
      );
      setup.push(`${model.what} ${setupOf(own, prepared.goal.target)}.`);
      attacks.add(attacksInWords(own));
      // A plan has found nothing yet, and what is tried at scale smoke is whether all parts run.
      const isJudged = !context.plan && scale !== 'smoke';
      const worthless = isJudged ? worthNothing(model.label, base.rows) : undefined;
      if (worthless !== undefined) {
        setup.push(worthless);
        claims.push(...claimsOf(model.label, []));
        continue;
      }
      const comparison = new Comparison(runner, model, prepared, own, base.rows);
      const chosen = locksToDraw(own, context.locks);
      const possible = chosen.filter(({ method }) => prepared.proxy || lockMethods.get(method).proxies !== 'required');
      const controls = controlsOf(possible);
      const found: FrontierPoint[] = [];
      for (const lock of possible) found.push(await comparison.judge(lock));
      for (const control of controls) found.push(await comparison.judgeControl(control));
      points.push(...found);
      claims.push(...overDraws(own.draws.length, claimsOf(model.label, found)));
      const left = chosen.filter((lock) => !possible.includes(lock));
      const others = own.locks.filter((lock) => !chosen.includes(lock));
      if (others.length > 0) {
        setup.push(`Not among these locks of ${model.label}: ${others.map(({ method }) => method).join(', ')}.`);
      }
      setup.push(
        ...left.map(({ method }) => `${method} was left out: there is no other task to train it against.`),
        ...controls.map(({ lock, controls: of }) => `The sham of ${lock.method} is the control of ${of.join(', ')}.`),
      );
    }
    return {
      name: 'frontier',
      title: 'What locks cost and what they leave',
      scale,
      setup: [
        ...setup,
        'A sham lock is the training of a lock, all its steps, without the lock; a method that trains nothing has the unlocked model for a control.',
        ...attacks,
        'Locks that are trained stop before a point of utility is lost on held-out examples; there is no budget on KL.',
      ],
      tables: [],
      frontier: { title: 'Utility lost, advantage left, and what the owner computes', name: 'locks', points },
      utility: {},
      attacks: [],
      claims,
      notes: [...runner.notes],
      seconds: runner.seconds,
    };
  },
};

/**
 * The settings of a scale, and the names of the models that are wanted.
 *
 * @throws InputError for models and locks that the scale has not.
 */
function chosenOf(scale: Scale, { models, locks }: Pick<ReproductionContext, 'models' | 'locks'>) {
  const offered = settingsOf(frontierSettings, scale);
  const usual = frontierModels.filter(({ name, onlyNamed }) => offered[name] && !onlyNamed);
  const wanted = models ?? usual.map(({ name }) => name);
  const missing = wanted.find((name) => !offered[name]);
  if (missing !== undefined) {
    throw new InputError(
      `--models: expected some of ${Object.keys(offered).join(', ')} for frontier at scale ${scale}, found ${missing}`,
    );
  }
  const methods = new Set(wanted.flatMap((name) => methodsOf(offered[name])));
  const unknown = locks?.find((method) => !methods.has(method));
  if (unknown !== undefined) {
    throw new InputError(
      `--locks: expected some of ${[...methods].join(', ')} for ${wanted.join(', ')} at scale ${scale}, found ${unknown}`,
    );
  }
  return { offered, wanted };
}

function methodsOf({ locks }: ModelSettings): string[] {
  return locks.map(({ method }) => method);
}

function setupOf({ budget: { steps, batchSize, seeds }, optimizers, draws }: ModelSettings, target: number): string {
  const among = optimizers.map(({ name }) => name).join(' and ');
  return `${draws.length} draws of each lock; attacks of at most ${steps} steps of ${batchSize}, ${among} at the best rate of a search, ${counted(seeds.length, 'seed')}; the cost is steps to a score of ${Math.round(100 * target)} %`;
}

function attacksInWords({ attacks }: ModelSettings): string {
  const without = attacksNotTried(attacks);
  const left = without.length > 0 ? ` Of the suite standard not tried: ${without.join(', ')}.` : '';
  return `Attacks, the same for all: ${attacks.join(', ')}; those that can do nothing to a model are left out.${left}`;
}
