import { expect, it } from 'vitest';
import type { FrontierPoint } from '../reproduce/reproduction.js';
import type { ModelKind } from './model-kind.js';
import { recommendLock, strengthOf } from './recommend.js';

const kind: ModelKind = { input: 'texts', hasBatchNorm: false, release: 'narrow' };
const images: ModelKind = { input: 'images', hasBatchNorm: true, release: 'narrow' };

function point(method: string, low: number, high: number, over: Partial<FrontierPoint> = {}): FrontierPoint {
  const left = { ratio: (low + high) / 2, low, high };
  const measured = { lost: [0.005], kl: [], score: left, cost: left, attack: 'clipped', seconds: 1 };
  return { model: 'MiniLM', kind, method, class: 'removal', ...measured, ...over };
}

const named = ['a', 'weak', 'dear', 'slow', 'wide', 'elsewhere', 'ruined', 'diverged', 'kept'];
const control = point('sham lock', 0.9, 1.1, { class: undefined, controls: named });
const unknown = async () => undefined;

it('proposes what left least, by whole intervals, within the utility and the time that are allowed', async () => {
  const measured = [
    control,
    point('weak', 0.5, 0.7),
    point('dear', 0.05, 0.09, { lost: [0.02, 0.01] }),
    point('slow', 0.02, 0.08),
    point('wide', -0.5, 1.2),
    point('elsewhere', 0, 0.01, { model: 'ResNet-20', kind: images }),
  ];
  const seconds = async ({ method }: FrontierPoint) => (method === 'slow' ? 4000 : 60);
  const { likest, candidates, best } = await recommendLock(kind, measured, seconds, { seconds: 3600 });
  expect(likest).toBe('MiniLM');
  expect(candidates.map(({ point: { method }, strength, against }) => [method, strength, against])).toEqual([
    ['slow', 'holds', 'time'],
    ['dear', 'holds', 'utility'],
    ['wide', 'nothing shown', 'nothing shown'],
    ['weak', 'takes a part', undefined],
  ]);
  expect(best?.point.method).toBe('weak');
  expect((await recommendLock(kind, measured, seconds)).best?.point.method).toBe('slow');
});

it('proposes nothing that its control does as well, and nothing for what is like no model that was measured', async () => {
  const sham = point('sham lock', 0.3, 0.6, { class: undefined, controls: ['same'] });
  const found = await recommendLock(kind, [sham, point('same', 0.4, 0.7)], unknown);
  expect(found.best).toBeUndefined();
  expect(found.candidates).toHaveLength(1);
  expect(await recommendLock(images, [control, point('a', 0, 0.01)], unknown)).toEqual({ differs: [], candidates: [] });
});

it('does not propose what ruins probabilities, or diverged in some draw', async () => {
  const measured = [
    control,
    point('ruined', 0.02, 0.08, { kl: [0.1, 2.98] }),
    point('diverged', 0.03, 0.08, { diverged: 1 }),
    point('kept', 0.5, 0.7, { kl: [0.5] }),
  ];
  const against = async (maxKl?: number) => {
    const { candidates } = await recommendLock(kind, measured, unknown, { maxKl });
    return Object.fromEntries(candidates.map(({ point: { method }, against: reason }) => [method, reason]));
  };
  expect(await against()).toEqual({ ruined: 'kl', diverged: 'diverged', kept: undefined });
  expect(await against(3)).toEqual({ ruined: undefined, diverged: 'diverged', kept: undefined });
  expect(await against(0.4)).toEqual({ ruined: 'kl', diverged: 'diverged', kept: 'kl' });
});

it('compares a lock with the control of its own training, and with no other', async () => {
  const own = (name: string, low: number, more: Partial<FrontierPoint> = {}) =>
    point(`sham of ${name}`, low, 1, { class: undefined, controls: [name], ...more });
  const points = [own('a', 0.8), own('b', 0.2), own('c', 0.8, { diverged: 1 })];
  const strength = (method: string, low = 0.3, high = 0.6) => strengthOf(point(method, low, high), points);
  expect([strength('a'), strength('b')]).toEqual(['takes a part', 'nothing shown']);
  expect([strength('c'), strength('erase')]).toEqual(['no control', 'no control']);
  // No training, so nothing but the unlocked model to compare with.
  expect([strength('rebalance'), strength('rebalance', 0.9, 1.1)]).toEqual(['takes a part', 'nothing shown']);
  // Results that do not say which lock their control is of had that of specdef.
  const older = [point('sham lock', 0.8, 1, { class: undefined })];
  expect(strengthOf(point('specdef', 0.3, 0.6), older)).toBe('takes a part');
  expect(strengthOf(point('redistil', 0.3, 0.6), older)).toBe('no control');
  const measured = [...older, point('specdef', 0.4, 0.6), point('redistil', 0.3, 0.5)];
  const found = await recommendLock(kind, measured, unknown);
  expect(found.candidates.map(({ point: { method }, against }) => [method, against])).toEqual([
    ['redistil', 'no control'],
    ['specdef', undefined],
  ]);
});

it('proposes no symmetry: whoever knows of it undoes it', async () => {
  const { best, candidates } = await recommendLock(
    kind,
    [point('rebalance', -0.5, 0.5, { class: 'symmetry' })],
    unknown,
  );
  expect(best).toBeUndefined();
  expect(candidates).toMatchObject([{ strength: 'takes a part', against: 'symmetry' }]);
});

it('takes nothing for held of which more may be left', () => {
  const cost = { ratio: 0.05, low: 0, high: 0.1 };
  const strength = (more: object) => strengthOf(point('a', 0, 0.1, { cost: { ...cost, ...more } }), [control]);
  expect(strength({})).toBe('holds');
  expect(strength({ isUpperBound: true })).toBe('holds');
  expect(strength({ isLowerBound: true })).toBe('takes a part');
});

it('says in what the likest model differs', async () => {
  const measured = [control, point('a', 0.2, 0.3), point('b', 0, 0, { model: 'CNN', kind: images })];
  const { likest, differs } = await recommendLock({ ...kind, release: 'rich' }, measured, unknown);
  expect(likest).toBe('MiniLM');
  expect(differs).toEqual(['it releases the logits of one classifier, yours rich outputs']);
  const other = await recommendLock({ ...images, hasBatchNorm: false }, measured, unknown);
  expect(other.differs).toEqual(['it has batch norm, yours no batch norm']);
});
