import { describe, expect, it } from 'vitest';
import { attacks } from '../../attacks/index.js';
import { lockMethods } from '../../locks/index.js';
import { frontierModels } from './frontier-models.js';
import {
  attacksNotTried,
  controlsOf,
  freeTransforms,
  frontierSettings,
  locksToDraw,
  type ModelSettings,
  parsed,
} from './frontier-settings.js';

const { small, full } = frontierSettings as Record<'small' | 'full', Readonly<Record<string, ModelSettings>>>;

const optionsOf = ({ locks }: ModelSettings, method: string) => {
  const lock = locks.find((each) => each.method === method);
  return lock && (parsed(lock).options as Record<string, unknown>);
};

it('has the settings of removal that were tried at every scale of a model', () => {
  for (const models of [small, full]) {
    for (const name of ['resnet20', 'resnet32'].filter((each) => models[each])) {
      expect(optionsOf(models[name], 'redistil')).toMatchObject({ steps: 1500, schedule: 'cosine', a: 0.3 });
      expect(optionsOf(models[name], 'erase')).toMatchObject({ steps: 1500, schedule: 'cosine', energy: 0.97 });
    }
    const erase = optionsOf(models['minilm-narrow'], 'erase');
    expect(erase).toMatchObject({ rank: 96, tableRank: 96, unseen: 'random', unseenBelow: 20, examples: 1600 });
    expect(erase?.energy).toBeUndefined();
    expect(optionsOf(models['minilm-narrow'], 'redistil')).toMatchObject({ a: 0.3 });
  }
  expect(optionsOf(full['minilm-narrow'], 'erase')).toMatchObject({ steps: 800 });
});

it('has the same locks for models that share them', () => {
  for (const models of Object.values(frontierSettings) as Readonly<Record<string, ModelSettings>>[]) {
    for (const { name, locksOf } of frontierModels) {
      if (locksOf === undefined || !models[name]) continue;
      const drawn = ({ locks, usual, draws, limit, testLimit, training }: ModelSettings) => ({
        ...{ locks, usual, draws, limit, testLimit, training },
      });
      expect(drawn(models[name])).toEqual(drawn(models[locksOf]));
    }
  }
  expect(frontierModels.filter(({ locksOf }) => locksOf !== undefined)).not.toHaveLength(0);
});

it('draws those of its locks that are named, and the usual ones where none are', () => {
  const drawn = (own: ModelSettings, names?: string[]) => locksToDraw(own, names).map(({ method }) => method);
  expect(drawn(small.resnet20)).toEqual(['specdef', 'redistil', 'erase', 'rebalance']);
  expect(drawn(small.resnet20, ['tar', 'trap', 'dlr'])).toEqual(['trap', 'tar']);
  expect(drawn(small['minilm-reviews'])).toEqual(['erase']);
  expect(drawn(full.resnet20)).toEqual(full.resnet20.locks.map(({ method }) => method));
  for (const { locks, usual = [] } of Object.values(small)) {
    expect(locks.map(({ method }) => method)).toEqual(expect.arrayContaining([...usual]));
  }
});

/** A step of it takes so long that its suite is cut to what two cores do. */
const { 'smollm2-reviews': large, ...others } = full;

it('attacks each of three draws twice, of a large model once', () => {
  const timesOf = ({ draws, budget }: ModelSettings) =>
    [0, 1, 2].map((draw) => (draws.length === 3 ? budget.seeds.filter((seed) => seed % 3 === draw).length : 0));
  for (const own of [...Object.values(small), ...Object.values(others)]) expect(timesOf(own)).toEqual([2, 2, 2]);
  expect(timesOf(large)).toEqual([1, 1, 1]);
});

it('tries the whole suite standard at full, and says what it leaves out of it at small', () => {
  for (const { attacks: names } of Object.values(others)) expect(attacksNotTried(names)).toEqual([]);
  const left = attacksNotTried(small.resnet20.attacks);
  expect(left).toEqual(expect.arrayContaining(['heal', 'clip-heal', 'preconditioned', 'ema', 'top-layers']));
  expect(left).not.toContain('clip');
  // What is tried is tried: a transform without options, or what a lock reveals, is not used at all.
  const { attacks: names } = full.resnet20;
  const free = freeTransforms(names);
  for (const name of names) {
    for (const { name: step, learn } of attacks.get(name).transforms) expect(learn ?? free[step]).toBeDefined();
  }
});

describe('controls', () => {
  it('are one for each training that is left without the lock', () => {
    const found = (name: string, models = full) =>
      controlsOf(locksToDraw(models[name])).map(({ lock, controls }) => [lock.method, controls]);
    expect(found('resnet20', small)).toEqual([
      ['specdef', ['specdef']],
      ['redistil', ['redistil', 'erase']],
    ]);
    expect(found('minilm-narrow', small)).toEqual(found('resnet20', small));
    const all = found('minilm-narrow');
    expect(all).toContainEqual(['specdef', ['specdef', 'specdef-moved']]);
    expect(all.flatMap(([, controls]) => controls).sort()).toEqual(
      full['minilm-narrow'].locks
        .map(({ method }) => method)
        .filter((method) => lockMethods.get(method).sham)
        .sort(),
    );
  });

  it('have all the steps of their lock, though they begin within its budget', () => {
    const [, removal] = controlsOf(locksToDraw(small.resnet20));
    expect(optionsOf(small.resnet20, 'redistil')).toMatchObject({ settle: 3 });
    expect(removal.options).toMatchObject({ a: 0, settle: 0, steps: 1500 });
  });
});
