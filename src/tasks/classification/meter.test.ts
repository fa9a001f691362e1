import { describe, expect, it } from 'vitest';
import { readFixture } from '../../../test/support/fixtures.js';
import { ScoreMeter, UtilityMeter } from './meter.js';

interface Case {
  name: string;
  labels: number[];
  logits: number[];
  original: number[];
  accuracy: number;
  loss: number;
  ece: number;
  f1: number;
  matthews: number;
  agreement: number;
  kl: number;
  range: [number, number];
}

const { cases } = readFixture<{ cases: Case[] }>('utility.json');

/** Judges logits in two pieces. */
function judge(logits: readonly number[], original: readonly number[], labels: readonly number[]) {
  const width = logits.length / labels.length;
  const meter = new UtilityMeter(Int32Array.from(labels), width);
  const rows = (all: readonly number[], from: number, to?: number) =>
    Float32Array.from(all.slice(from * width, to === undefined ? undefined : to * width));
  // The last ones first: an evaluation may take them in any order.
  const rest = Uint32Array.from(labels.slice(1).keys(), (position) => position + 1);
  meter.add({ positions: rest, values: rows(logits, 1), original: rows(original, 1) });
  meter.add({ positions: Uint32Array.of(0), values: rows(logits, 0, 1), original: rows(original, 0, 1) });
  return meter.result();
}

describe('UtilityMeter', () => {
  it.each(cases.map((each) => [each.name, each] as const))('agrees with torch and torchmetrics: %s', (_, each) => {
    const { n, metrics } = judge(each.logits, each.original, each.labels);
    for (const key of ['accuracy', 'loss', 'ece', 'f1', 'matthews', 'agreement', 'kl'] as const) {
      expect(Math.abs((metrics[key] ?? Number.NaN) - each[key]), key).toBeLessThan(1e-6 * (1 + each[key]));
    }
    expect([metrics.leastLogit, metrics.largestLogit]).toEqual(each.range);
    expect([n, metrics.notFinite]).toEqual([each.labels.length, 0]);
  });

  it('has of two classes the share of pairs that are in order, by counting all pairs', () => {
    const [two] = cases.filter(({ name }) => name === 'two classes');
    const { auc } = judge(two.logits, two.original, two.labels).metrics;
    const margins = two.labels.map((_, row) => two.logits[2 * row + 1] - two.logits[2 * row]);
    const of = (label: number) => margins.filter((_, row) => two.labels[row] === label);
    const pairs = of(1).flatMap((second) => of(0).map((first) => (second > first ? 1 : second === first ? 0.5 : 0)));
    expect(auc).toBeCloseTo(pairs.reduce<number>((sum, won) => sum + won, 0) / pairs.length, 12);
    const small = (logits: readonly number[], labels: readonly number[]) => judge(logits, logits, labels).metrics.auc;
    // Equal ones count half; without finite logits an example is below all others, or above them.
    expect(small([0, 1, 0, 1], [0, 1])).toBe(0.5);
    expect(small([0, 2, 0, 1, Number.NaN, 0], [1, 0, 1])).toBe(0.5);
    expect(small([0, 2, 0, 1], [1, 1])).toBeNull();
    const [several] = cases;
    expect(judge(several.logits, several.original, several.labels).metrics.auc).toBeUndefined();
  });

  it('counts what is not finite as wrong, and judges the rest', () => {
    const logits = [2, 1, Number.POSITIVE_INFINITY, 0, Number.NaN, 3, 0, 1];
    const original = [2, 1, 2, 0, 1, 3, 0, 1];
    const { metrics } = judge(logits, original, [0, 0, 1, 1]);
    const range = { leastLogit: 0, largestLogit: 2 };
    expect(metrics).toMatchObject({ accuracy: 0.5, agreement: 0.5, notFinite: 0.5, kl: 0, ...range });
    expect(metrics.loss).toBeCloseTo(Math.log(1 + Math.exp(-1)), 6);
    const none = judge(new Array(4).fill(Number.NaN), original.slice(0, 4), [0, 1]);
    const nothing = { loss: null, ece: null, kl: null, leastLogit: null, largestLogit: null };
    expect(none.metrics).toMatchObject({ accuracy: 0, notFinite: 1, ...nothing });
    expect(JSON.parse(JSON.stringify(none))).toEqual(none);
  });
});

describe('ScoreMeter', () => {
  const score = (logits: Float32Array, labels: Int32Array) => {
    const meter = new ScoreMeter(labels, logits.length / labels.length);
    meter.add({ positions: Uint32Array.from(labels.keys()), values: logits });
    return meter.result().metrics;
  };

  it('counts rows whose largest logit is the label; NaN is wrong, the first of equal logits counts', () => {
    const logits = Float32Array.of(1, 2, 3, 0, 5, 5, Number.NaN, 9);
    expect(score(logits, Int32Array.of(1, 0, 0, 1)).accuracy).toBe(0.75);
    // −log softmax of [0, ln 3] at 1 is −ln(3/4).
    expect(score(Float32Array.of(0, Math.log(3)), Int32Array.of(1)).loss).toBeCloseTo(-Math.log(0.75), 6);
  });

  it('tells classes apart; F1 is the harmonic mean of precision and recall', () => {
    const predicted = [0, 0, 0, 1, 2, 2];
    const logits = Float32Array.from(predicted.flatMap((label) => [0, 1, 2, 3].map((one) => Number(one === label))));
    const found = score(logits, Int32Array.of(0, 0, 1, 0, 2, 0));
    // Class 0: 4 examples, 3 predicted, 2 right: precision 2/3, recall 2/4.
    expect(found['f1.0']).toBeCloseTo(4 / 7, 12);
    expect([0, 1, 2].map((label) => found[`recall.${label}`])).toEqual([0.5, 0, 1]);
    expect(found['f1.3']).toBe(0);
    expect(found['recall.3']).toBeNull();
  });
});
