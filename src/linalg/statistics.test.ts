import { describe, expect, it } from 'vitest';
import { mean, pairedShareDifference, ratioInterval, studentQuantile } from './statistics.js';

describe('ratioInterval', () => {
  const [locked, unlocked] = [
    [0.3, 0.32, 0.31, 0.28],
    [0.7, 0.68, 0.69, 0.72],
  ];

  it('ends where the difference from a ratio can just not be told from 0', () => {
    const { ratio, low = Number.NaN, high = Number.NaN } = ratioInterval(locked, unlocked);
    expect(ratio).toBeCloseTo(mean(locked) / mean(unlocked), 12);
    for (const end of [low, high]) {
      const rest = locked.map((value, index) => value - end * unlocked[index]);
      const center = mean(rest);
      const deviation = Math.sqrt(rest.reduce((sum, value) => sum + (value - center) ** 2, 0) / 3);
      expect(Math.abs(center) / (deviation / 2)).toBeCloseTo(studentQuantile(3), 9);
    }
  });

  it('has no ends where the denominator cannot be told from 0, nor of one pair', () => {
    expect(ratioInterval(locked, [-1, 1, -1, 1.1])).not.toHaveProperty('low');
    expect(ratioInterval([1], [2])).toEqual({ n: 1, ratio: 0.5, confidence: 0.95 });
    expect(() => ratioInterval([1, 2], [1])).toThrow('expected pairs, got 2 and 1 values');
  });
});

describe('pairedShareDifference', () => {
  it('is that of approval of a prime minister in two surveys of the same 1,600 people', () => {
    // 944 before and 880 after: 86 came, 150 went (Agresti, "Categorical Data Analysis", Table 10.1).
    const { difference, low, high } = pairedShareDifference(86, 150, 1600);
    expect(difference).toBeCloseTo(-0.04, 12);
    expect(low).toBeCloseTo(-0.0587, 4);
    expect(high).toBeCloseTo(-0.0212, 4);
  });

  it('has a width where nothing changed, and takes no impossible counts', () => {
    const { difference, low, high } = pairedShareDifference(0, 0, 300);
    expect([difference, low]).toEqual([0, -high]);
    expect(high).toBeCloseTo(0.0065, 4);
    for (const [gained, lost, n] of [
      [1, 2, 2],
      [-1, 0, 5],
      [0, 0, 0],
    ]) {
      expect(() => pairedShareDifference(gained, lost, n)).toThrow('difference of shares: expected');
    }
  });

  it.each([
    [0.03, 0.01, 100],
    [0.06, 0.05, 60],
    [0.01, 0, 300],
  ])('holds the true difference in about 95 % of samples: %d lost, %d gained, n = %d', (lost, gained, n) => {
    // Over all outcomes with their trinomial probabilities.
    let covered = 0;
    const rest = 1 - lost - gained;
    let ofLost = rest ** n;
    for (let a = 0; a <= n; a++) {
      let probability = ofLost;
      for (let b = 0; a + b <= n; b++) {
        const { low, high } = pairedShareDifference(b, a, n);
        if (low <= gained - lost && gained - lost <= high) covered += probability;
        probability *= ((n - a - b) / (b + 1)) * (gained / rest);
      }
      ofLost *= ((n - a) / (a + 1)) * (lost / rest);
    }
    expect(covered).toBeGreaterThan(0.93);
    expect(covered).toBeLessThan(0.995);
  });
});
