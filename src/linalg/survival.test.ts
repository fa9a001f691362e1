import { describe, expect, it } from 'vitest';
import { readFixture } from '../../test/support/fixtures.js';
import { medianDuration, survivalCurve } from './index.js';

const { cases } = readFixture<{
  cases: {
    times: number[];
    censored: boolean[];
    at: number[];
    survival: number[];
    low: (number | null)[];
    high: (number | null)[];
  }[];
}>('survival.json');

const durationsOf = ({ times, censored }: (typeof cases)[number]) =>
  times.map((time, index) => ({ time, censored: censored[index] }));

describe('survivalCurve', () => {
  it.each(cases)('is that of SciPy, with its log-log bounds: $times.length times', (each) => {
    const steps = survivalCurve(durationsOf(each));
    expect(steps).toHaveLength(each.times.filter((_, index) => !each.censored[index]).length);
    for (const { time, survival, low, high } of steps) {
      const index = each.at.indexOf(time);
      expect(survival).toBeCloseTo(each.survival[index], 12);
      if (low === undefined) expect(each.low[index]).toBeNull();
      else
        expect([low, high].map(Number)).toEqual(
          [each.low[index], each.high[index]].map((x) => expect.closeTo(Number(x), 10)),
        );
    }
  });
});

describe('medianDuration', () => {
  const of = (times: number[], censored: number[] = []) =>
    medianDuration([...times.map((time) => ({ time })), ...censored.map((time) => ({ time, censored: true }))]);

  it('is where the curve comes to a half, between the times where its bounds do', () => {
    // The bounds of SciPy for six times: low 0.273 at the first, 0.195 at the second; high 0.517 at the fifth, none at the last.
    expect(medianDuration(durationsOf(cases[0]))).toEqual({
      n: 6,
      median: 9.619,
      low: 4.023,
      high: undefined,
      longest: 90.832,
    });
    const many = of(Array.from({ length: 101 }, (_, i) => i + 1));
    expect(many.median).toBe(51);
    expect([many.low > 35 && many.low < 45, Number(many.high) > 57 && Number(many.high) < 67]).toEqual([true, true]);
  });

  it('is not known where fewer than half came so far', () => {
    expect(of([10], [20, 20, 20])).toMatchObject({ n: 4, median: undefined, high: undefined, longest: 20 });
    expect(of([], [20, 30])).toEqual({ n: 2, median: undefined, low: 30, high: undefined, longest: 30 });
    // Censored early, they say little: the rest decide.
    expect(of([10, 11, 12, 13], [1, 1]).median).toBe(11);
    expect(() => of([])).toThrow('expected at least one time');
  });
});
