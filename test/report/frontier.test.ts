import { describe, expect, it } from 'vitest';
import { frontierSpec, frontierTable } from '../../src/report/index.js';
import { exampleFrontier } from './example.js';

describe('the frontier', () => {
  it('its table says what is not measured, and what is a bound', () => {
    const [specdef, rebalance, erase] = frontierTable(exampleFrontier).rows;
    expect(specdef).toMatchObject({
      ...{ lost: '1.5 (−4.9 to 7.9, n = 2)', kl: '0.100', score: '0.90 (0.50 to 1.30)', cost: 'measures nothing' },
      flops: '3.0e12',
    });
    expect(rebalance).toMatchObject({ cost: '–', flops: '0', class: 'symmetry' });
    expect(erase).toMatchObject({ score: '–', class: '–', flops: '–', kl: '–' });
    const [point] = exampleFrontier.points;
    const bound = { ...point, cost: { ratio: 0.1, low: 0, high: 0.2, isUpperBound: true } };
    expect(frontierTable({ ...exampleFrontier, points: [bound] }).rows[0]).toMatchObject({
      cost: '≤ 0.10 (0.00 to 0.20)',
    });
    // A column more where a classifier of two classes was measured.
    const hasAreas = ({ columns }: ReturnType<typeof frontierTable>) => columns.some(({ key }) => key === 'area');
    expect(hasAreas(frontierTable(exampleFrontier))).toBe(false);
    const ofTwo = frontierTable({ ...exampleFrontier, points: [{ ...point, areaLost: [0.01, 0.03] }, bound] });
    expect(hasAreas(ofTwo)).toBe(true);
    expect(ofTwo.rows.map(({ area }) => area)).toEqual(['0.020', '–']);
  });

  it('says what unlocked model, floor and locked model reach, and what the best attack computes', () => {
    const [point] = exampleFrontier.points;
    const reach = (value: number, more: object = {}) => ({ attack: 'clip', value, ...more });
    const reached = (floor: number) => ({
      score: {
        ...{ ratio: 0.9, low: 0.5, high: 1.3 },
        reached: { locked: reach(0.7, { flops: 2e9 }), unlocked: reach(0.781), floor: reach(floor) },
      },
      cost: { ratio: 1, reached: { locked: reach(11.5), unlocked: reach(4), floor: reach(29, { ranOut: true }) } },
    });
    const points = [
      { ...point, ...reached(0.53) },
      { ...point, method: 'erase', ...reached(0.55), lost: [], diverged: 3 },
    ];
    const { rows, notes } = frontierTable({ ...exampleFrontier, points });
    expect(rows[0]).toMatchObject({ reached: '70.0 %', steps: '12', taken: '2.0e9', flops: '3.0e12' });
    expect(rows[1].method).toBe('erase (3 of 3 draws diverged)');
    expect(notes).toContain(
      'small CNN: unlocked 78.1 %, 4 steps to the target; floor 53.0 % to 55.0 %, > 29 steps to the target.',
    );
    const [first] = points;
    const overlooked = { ratio: 0.95, low: 0.6, high: 1.4, reached: reach(0.75) };
    const seen = { ...first, score: { ...first.score, overlooked } };
    const said = frontierTable({ ...exampleFrontier, points: [seen, points[1]] }).notes?.join(' ');
    expect(said).toContain(
      'those that the searches chose, whose rows these are: specdef: clip, 75.0 %, 0.95 (0.60 to 1.40). They',
    );
    // Results of before know nothing of it.
    expect(frontierTable(exampleFrontier).notes).toHaveLength(2);
    expect(frontierTable(exampleFrontier).rows[0]).toMatchObject({ reached: '–', steps: '–', taken: '–' });
  });

  it('draws what takes nearly the same alike, on whole decades', () => {
    const [point] = exampleFrontier.points;
    const sizes = (...flops: number[]) => {
      const points = flops.map((each, index) => ({ ...point, method: `lock ${index}`, flops: each }));
      return JSON.stringify(frontierSpec({ ...exampleFrontier, points }));
    };
    expect(sizes(7.6442978e13, 7.64429785e13)).toContain('"domain":[10000000000000,100000000000000]');
    expect(sizes(1e7, 3e9)).toContain('"domain":[10000000,10000000000]');
  });

  it('refuses to draw nothing, and what is not a number', () => {
    const [point, , erase] = exampleFrontier.points;
    expect(() => frontierSpec({ ...exampleFrontier, points: [erase] })).toThrow('at least one');
    expect(() => frontierSpec({ ...exampleFrontier, points: [{ ...point, lost: [Number.NaN] }] })).toThrow('finite');
  });
});
