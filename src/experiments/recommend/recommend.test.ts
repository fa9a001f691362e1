import { expect, it } from 'vitest';
import type { FrontierPoint } from '../reproduce/reproduction.js';
import type { ModelKind } from './model-kind.js';
import { recommendLock } from './recommend.js';

const kind: ModelKind = { input: 'texts', hasBatchNorm: false, release: 'narrow' };
const images: ModelKind = { input: 'images', hasBatchNorm: true, release: 'narrow' };

function point(method: string, low: number, high: number, over: Partial<FrontierPoint> = {}): FrontierPoint {
  const left = { ratio: (low + high) / 2, low, high };
  const measured = { lost: [0.005], kl: [], score: left, cost: left, attack: 'clipped', seconds: 1 };
  return { model: 'MiniLM', kind, method, class: 'removal', ...measured, ...over };
}

const control = point('sham lock', 0.9, 1.1, { class: undefined });
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
  const sham = point('sham lock', 0.3, 0.6, { class: undefined });
  const found = await recommendLock(kind, [sham, point('same', 0.4, 0.7)], unknown);
  expect(found.best).toBeUndefined();
  expect(found.candidates).toHaveLength(1);
  expect(await recommendLock(images, [control, point('a', 0, 0.01)], unknown)).toEqual({ differs: [], candidates: [] });
});

it('says in what the likest model differs', async () => {
  const measured = [control, point('a', 0.2, 0.3), point('b', 0, 0, { model: 'CNN', kind: images })];
  const { likest, differs } = await recommendLock({ ...kind, release: 'rich' }, measured, unknown);
  expect(likest).toBe('MiniLM');
  expect(differs).toEqual(['it releases the logits of one classifier, yours rich outputs']);
  const other = await recommendLock({ ...images, hasBatchNorm: false }, measured, unknown);
  expect(other.differs).toEqual(['it has batch norm, yours no batch norm']);
});
