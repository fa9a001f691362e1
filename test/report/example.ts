import type { BestSoFar } from '../../src/attacks/index.js';
import type { ResultFrontier } from '../../src/experiments/index.js';
import type { LayerSpectrum, LearningCurve, SeriesOptions, TradeOffPoint } from '../../src/report/index.js';

/** Invented curves of a plausible shape: made from a formula, no randomness, so that snapshots stay. */
export function exampleCurves(): LearningCurve[] {
  const halfway: Record<string, Record<string, number>> = {
    AdamW: { unlocked: 9, locked: 34, 'random weights': 20, 'locked, clipped': 24 },
    'SGD with momentum': { unlocked: 24, locked: 900, 'random weights': 110, 'locked, clipped': 60 },
    Adadelta: { unlocked: 16, locked: 110, 'random weights': 30, 'locked, clipped': 30 },
    'K-FAC': { unlocked: 4, locked: 24, 'random weights': 4.5, 'locked, clipped': 7 },
  };
  const stepsSeen = [0, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 300];
  return Object.entries(halfway).flatMap(([attack, starts]) =>
    Object.entries(starts).flatMap(([start, half]) =>
      [1, 2, 3].map((seed) => ({
        attack,
        start,
        seed,
        points: stepsSeen.map((step) => {
          const shift = half * (1 + 0.14 * (seed - 2));
          const wiggle = 0.012 * Math.sin(step * 1.7 + seed * 2.1 + half);
          const reached = 0.2 + 0.775 * (1 - 1 / (1 + (step / shift) ** 1.6)) + wiggle;
          return { step, score: Math.min(0.985, Math.max(0.1, reached)) };
        }),
      })),
    ),
  );
}

/** Four singular values of six matrices: k = 4 raised, as after a lock with α 0.1. */
export function exampleSpectra(): LayerSpectrum[] {
  const layers = ['conv1', 'conv2', 'fc1', 'fc2', 'fc3', 'fc4'];
  return layers.map((layer, row) => {
    const before = [0, 1, 2, 3, 4, 5].map((index) => (1.4 + 0.45 * row) * 0.82 ** index);
    const after = before.map((sigma, index) =>
      index < 4 ? sigma * (18 - 3 * index) * (1 + 0.2 * Math.sin(row)) : sigma * 1.04,
    );
    return { layer: `${layer}.weight`, before, after };
  });
}

/** Lock settings from the design's table, with two that lie close to one another. */
export function exampleTradeOff(): TradeOffPoint[] {
  return [
    { label: 'unlocked', authorized: 0.991, advantage: 1, reference: true },
    { label: 'α 0.5, k 1', authorized: 0.99, advantage: 0.62, advantageRange: [0.5, 0.71] },
    { label: 'α 0.1, k 1', authorized: 0.934, advantage: 0.18, advantageRange: [0.05, 0.3] },
    { label: 'α 0.1, k 4', authorized: 0.9895, advantage: -0.21, advantageRange: [-0.34, -0.08] },
    { label: 'α 0.1, k 8', authorized: 0.988, advantage: 0.55 },
    { label: 'α 0.1, k 16', authorized: 0.987, advantage: 0.83 },
  ];
}

/** Steps over condition numbers beside theory, or over singular values in three panels, some beyond their budget. */
export function exampleSeries(panels: boolean): SeriesOptions {
  const places = [1, 10, 100, 1000];
  const points = (power: number) =>
    places.map((x) => ({ x, values: [0.9, 1, 1.2].map((spread) => Math.round(20 * spread * x ** power)) }));
  if (!panels) {
    const lines = [
      { label: 'gradient descent', points: points(1) },
      { label: 'heavy ball', points: points(0.5) },
      {
        label: 'gradient descent',
        theory: true,
        points: places.map((x) => ({ x, values: [18 * x] })),
      },
      { label: 'heavy ball', theory: true, points: places.map((x) => ({ x, values: [18 * x ** 0.5] })) },
    ];
    return { title: 'Steps by κ', x: 'κ', y: 'steps', lines };
  }
  const lines = ['mlp', 'cnn', 'transformer'].flatMap((panel, index) => [
    {
      panel,
      label: 'as set',
      points: points(0.3 + 0.3 * index).map((each, i) => (i === 3 ? { ...each, values: [], missed: 3 } : each)),
    },
    { panel, label: 'after balancing', points: points(0.1 * index) },
  ]);
  return { title: 'Steps by σ_max', x: 'σ_max', y: 'steps', mark: 100, lines };
}

/** Best attacks so far: the unlocked model is had at once, the locked one by the third attack. */
export function exampleSearches(): BestSoFar[] {
  const kinds = ['fine-tune', 'lora', 'clip', 'canonicalize'];
  const curve = (start: string, scores: readonly number[], spread: number, best: readonly number[]): BestSoFar => ({
    ...{ start, measure: 'score', seeds: 6, draws: 2, confidence: 0.95 },
    points: scores.map((score, index) => ({
      ...(index > 0 && { attack: kinds[best[index - 1]], optimizer: 'adamw' }),
      ...{ steps: 480 * index, flops: 3.1e10 * index, score, low: score - spread, high: score + spread },
    })),
  });
  return [
    curve('unlocked', [0.2, 0.88, 0.88, 0.88, 0.88], 0.02, [0, 0, 0, 0]),
    curve('locked', [0.2, 0.35, 0.38, 0.74, 0.79], 0.05, [0, 1, 2, 3]),
    curve('random weights', [0.2, 0.31], 0.03, [0]),
  ];
}

/** Two models with three locks each, one of them measured in part. */
export const exampleFrontier: ResultFrontier = {
  title: 'What locks cost and leave',
  name: 'frontier',
  points: ['small CNN', 'MiniLM'].flatMap((model, index) => [
    {
      ...{ model, method: 'specdef', class: 'off-manifold', lost: [0.01 + 0.01 * index, 0.02], kl: [0.1] },
      ...{ score: { ratio: 0.9, low: 0.5, high: 1.3 }, cost: { ratio: 1.2 }, attack: 'clip', flops: 3e12, seconds: 40 },
    },
    {
      ...{ model, method: 'rebalance', class: 'symmetry', lost: [0], kl: [0] },
      ...{ score: { ratio: 1, low: 0.9, high: 1.1 }, attack: 'canonicalize', flops: 0, seconds: 0.2 },
    },
    { model, method: 'erase', lost: [0.005], kl: [], attack: 'plain', seconds: 10 },
  ]),
};
