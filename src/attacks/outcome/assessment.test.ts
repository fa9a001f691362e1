import { describe, expect, it } from 'vitest';
import { dataSpec } from '../../data/index.js';
import {
  type Advantage,
  type AttackRow,
  attackersAdvantage,
  attacks,
  boundedAdvantages,
  compositionOf,
  costs,
  factsOf,
  holdsButForOverlooked,
  isMeasured,
  lockVerdict,
  type Measure,
  overallVerdict,
  releasedWorth,
  scores,
  spentOn,
  starts,
  type Trial,
  verdictOf,
} from '../index.js';

/** A row whose seeds have the given costs (undefined: not within 100) or scores; the search saw the same, or `searched`. */
function row(
  start: string,
  attack: string,
  measure: Measure,
  values: readonly (number | undefined)[],
  searched: readonly (number | undefined)[] = values,
): AttackRow {
  const trials = (measured: readonly (number | undefined)[], learningRate: number) =>
    measured.map((value, seed): Trial => {
      const found = measure === 'cost' ? { score: 0, cost: value } : { score: value ?? 0 };
      return { learningRate, seed, evaluations: 0, curve: [], metrics: {}, end: 'budget', ...found };
    });
  // A rate that was tried and not chosen: the best of all by what it gained, and it must not count.
  const other = trials([1], 0.1);
  const result = { search: [...other, ...trials(searched, 1)], learningRate: 1, trials: trials(values, 1) };
  const optimizer = { name: 'adamw' };
  const composition = compositionOf({
    start: { kind: 'model', path: 'm' },
    optimizer,
    data: dataSpec.parse({}),
    steps: 100,
    batchSize: 1,
    budget: { decades: [0], searchSeeds: [], seeds: [] },
  });
  const facts = factsOf(attacks.get(attack), starts.get(start));
  return { ...facts, composition, measure, optimizer: optimizer.name, budget: 100, result };
}

describe('releasedWorth', () => {
  const scratch = row('random weights', 'fine-tune', 'score', [0.5, 0.6, 0.55]);
  const plain = row('locked', 'fine-tune', 'score', [0.7, 0.82, 0.76]);

  it('is how far the best attack comes above the floor, seed by seed', () => {
    const { gain, attack, floor } = releasedWorth([plain, scratch], 'score') ?? {};
    expect([attack, floor]).toEqual([plain, scratch]);
    expect(gain?.mean).toBeCloseTo(0.21, 12);
    // Of differences 0.2, 0.22 and 0.21 by hand: 0.21 ± 4.3027 · 0.01 / √3.
    expect(gain?.low).toBeCloseTo(0.18516, 4);
    expect(gain?.high).toBeCloseTo(0.23484, 4);
  });

  it('counts what outputs and another public model give to the floor, and one answer for all', () => {
    const outputs = row('locked', 'frozen', 'score', [0.65, 0.65, 0.65]);
    const other = row('another model', 'fine-tune', 'score', [0.8, 0.8, 0.8]);
    expect(releasedWorth([plain, scratch, outputs], 'score')?.gain?.mean).toBeCloseTo(0.11, 12);
    expect(releasedWorth([plain, scratch, outputs, other], 'score')?.gain?.mean).toBeCloseTo(-0.04, 12);
    const constant = { ...scratch, result: { ...scratch.result, constant: 0.58 } };
    const found = releasedWorth([plain, constant], 'score');
    expect(found?.constant).toBe(0.58);
    expect(found?.gain?.mean).toBeCloseTo((0.12 + 0.22 + 0.18) / 3, 12);
  });

  it('takes what is fitted to the same features with every seed as measured once, and names training of two that gain the same', () => {
    const whiteBox = row('locked', 'white-box', 'score', [0.7, 0.7, 0.7]);
    const outputs = row('locked', 'frozen', 'score', [0.6, 0.6, 0.6]);
    expect(releasedWorth([whiteBox, outputs], 'score')?.gain).toMatchObject({ n: 1, mean: expect.closeTo(0.1, 12) });
    expect(releasedWorth([whiteBox, outputs], 'score')?.gain).not.toHaveProperty('low');
    // What is fitted is chosen by all trials of its search, the one that the helper adds among them.
    const half = row('locked', 'frozen', 'score', [0.5, 0.5, 0.5]);
    const equal = row('random weights', 'fine-tune', 'score', [0.5, 0.5, 0.5], [0.625, 0.625, 0.625]);
    expect(releasedWorth([whiteBox, half, equal], 'score')?.floor).toBe(equal);
  });

  it('takes several draws of the model as so many, of cost says which attack it is, and of nothing nothing', () => {
    expect(releasedWorth([{ ...plain, draws: 2 }, scratch], 'score')?.gain).toMatchObject({ n: 2 });
    const cost = [row('locked', 'fine-tune', 'cost', [9, 9]), row('random weights', 'fine-tune', 'cost', [20, 30])];
    expect(releasedWorth(cost, 'cost')).toEqual({ measure: 'cost', attack: cost[0], floor: cost[1] });
    expect(releasedWorth([plain], 'score')).toBeUndefined();
    expect(releasedWorth([plain, scratch], 'cost')).toBeUndefined();
  });
});

describe('attackersAdvantage', () => {
  const unlocked = row('unlocked', 'fine-tune', 'cost', [20, 22, 18, 21]);
  const scratch = row('random weights', 'fine-tune', 'cost', [60, 58, 62, 61]);

  it('is near 1 where the lock does nothing, near 0 at the floor, below 0 beyond it', () => {
    const of = (costs: number[]) =>
      attackersAdvantage([unlocked, scratch, row('locked', 'fine-tune', 'cost', costs)], 'cost');
    expect(of([20, 22, 18, 21])?.value).toMatchObject({ ratio: 1, n: 4 });
    expect(of([60, 58, 62, 61])?.value.ratio).toBe(0);
    const beyond = of([80, 82, 78, 81]);
    expect(beyond?.value.ratio).toBeCloseTo(-0.5, 1);
    expect(beyond?.value.high).toBeLessThan(0);
  });

  it('takes the best attack of each start, counts frozen use to the floor, and can leave an attack out', () => {
    const rows = [
      row('unlocked', 'fine-tune', 'score', [0.9, 0.91]),
      row('random weights', 'fine-tune', 'score', [0.5, 0.52]),
      row('locked', 'fine-tune', 'score', [0.6, 0.62]),
      row('locked', 'clip', 'score', [0.7, 0.72]),
      row('locked', 'frozen', 'score', [0.55, 0.56]),
      row('unlocked', 'frozen', 'score', [0.99, 0.99]),
    ];
    const all = attackersAdvantage(rows, 'score');
    expect([all?.locked.kind, all?.floor.kind, all?.unlocked.kind]).toEqual(['clip', 'frozen', 'fine-tune']);
    expect(attackersAdvantage(rows, 'score', { only: ({ plain }) => plain })?.locked.kind).toBe('fine-tune');
    // A student of the released model is the floor where it is the best, and where the search saw so.
    const trained = rows.filter(({ trains }) => trains);
    const distilled = (searched: number[]) => [...trained, row('locked', 'distil', 'score', [0.58, 0.6], searched)];
    const found = attackersAdvantage(distilled([0.58, 0.6]), 'score');
    expect([found?.floor.kind, found?.locked.kind]).toEqual(['distil', 'clip']);
    expect(attackersAdvantage(distilled([0.4, 0.4]), 'score')?.floor.kind).toBe('fine-tune');
  });

  it('has a floor of no less than always giving the same answer', () => {
    const of = (constant?: number) => {
      const random = row('random weights', 'fine-tune', 'score', [0.01, 0.53, 0.53, 0.53]);
      const floor = { ...random, result: { ...random.result, ...(constant && { constant }) } };
      const [before, after] = [
        [0.7, 0.72, 0.74, 0.72],
        [0.6, 0.58, 0.56, 0.58],
      ];
      const rows = [row('unlocked', 'fine-tune', 'score', before), row('locked', 'fine-tune', 'score', after), floor];
      return attackersAdvantage(rows, 'score');
    };
    expect(of()?.value.low).toBeUndefined();
    expect(of()?.constant).toBeUndefined();
    const found = of(0.5);
    // Beneath it only where a seed is: 0.5 and three times 0.53.
    expect(found?.value.ratio).toBeCloseTo((0.58 - 0.5225) / (0.72 - 0.5225), 10);
    expect(found?.constant).toBe(0.5);
    expect(of(0.55)?.value).toMatchObject({ n: 4, ratio: expect.closeTo(0.03 / 0.17, 10), high: expect.any(Number) });
    expect(of(0.3)?.constant).toBeUndefined();
  });

  it('takes what is fitted to the same outputs with every seed for one measurement', () => {
    const fitted = (start: string, values: number[]) => row(start, 'white-box', 'score', values);
    const of = (locked: number[]) =>
      attackersAdvantage(
        [fitted('unlocked', [0.68, 0.68]), fitted('locked', locked), row('locked', 'frozen', 'score', [0.6, 0.6])],
        'score',
      )?.value;
    expect(of([0.7, 0.7])).toEqual({ n: 1, ratio: expect.closeTo(1.25, 10), confidence: 0.95 });
    // Of several draws of the lock they differ.
    expect(of([0.7, 0.69])).toMatchObject({ n: 2, low: expect.any(Number), high: expect.any(Number) });
  });

  it('takes the seeds of one draw of the lock together', () => {
    const drawn = { ...row('locked', 'fine-tune', 'cost', [20, 40, 24, 44]), draws: 2 };
    const found = attackersAdvantage([unlocked, scratch, drawn], 'cost');
    // Floor 61 and 59.5 by draw, unlocked 19 and 21.5, locked 22 and 42.
    expect(found).toMatchObject({ over: 'draws', value: { n: 2 } });
    expect(found?.value.ratio).toBeCloseTo((39 + 17.5) / (42 + 38), 10);
    expect(attackersAdvantage([unlocked, scratch, { ...drawn, draws: 4 }], 'cost')).toMatchObject({ value: { n: 4 } });
    expect(attackersAdvantage([unlocked, scratch, { ...drawn, draws: 4 }], 'cost')?.over).toBeUndefined();
  });

  it('is a lower bound where the floor ran out of budget, and nothing where the locked model did as well', () => {
    const late = row('random weights', 'fine-tune', 'cost', [undefined, 98, undefined, 99]);
    const of = (costs: (number | undefined)[], before = unlocked) =>
      attackersAdvantage([before, late, row('locked', 'fine-tune', 'cost', costs)], 'cost');
    const near = of([95, 97, 96, 96]);
    expect(near).toMatchObject({ isLowerBound: true, isUpperBound: false });
    // By its interval it would hold, but what the floor really takes is not known.
    expect(near?.value.high).toBeLessThan(0.25);
    expect(near && verdictOf(near)).toBe('cannot tell');
    const far = of([21, 22, 19, 21]);
    expect(far && verdictOf(far)).toBe('does not hold');
    const both = of([undefined, undefined, 99, undefined]);
    expect(both && isMeasured(both)).toBe(false);
    expect(both && verdictOf(both)).toBe('nothing measured');
    const missed = of([30, 31, 32, 33], row('unlocked', 'fine-tune', 'cost', [20, 22, 18, undefined]));
    expect(missed?.isLowerBound).toBe(true);
  });

  it('an upper bound does not say that a lock fails', () => {
    const most = attackersAdvantage(
      [unlocked, scratch, row('locked', 'fine-tune', 'cost', [25, 27, 23, undefined])],
      'cost',
    );
    const value = { n: 4, ratio: 0.5, low: 0.4, high: 0.6, confidence: 0.95 };
    expect(most && verdictOf({ ...most, value })).toBe('cannot tell');
    expect(most && verdictOf({ ...most, value: { ...value, low: 0.1, high: 0.2 } })).toBe('holds');
  });

  it('chooses the best attack on the seeds of the search, and reports it on the others', () => {
    const rows = [
      row('unlocked', 'fine-tune', 'score', [0.9, 0.91]),
      row('random weights', 'fine-tune', 'score', [0.5, 0.52]),
      // Lucky on the reported seeds, and not the one that the search would have chosen.
      row('locked', 'clip', 'score', [0.8, 0.82], [0.55, 0.56]),
      row('locked', 'rescale', 'score', [0.6, 0.62], [0.7, 0.71]),
    ];
    const advantage = attackersAdvantage(rows, 'score');
    expect(advantage?.locked.kind).toBe('rescale');
    expect(advantage?.value.ratio).toBeCloseTo((0.61 - 0.51) / (0.905 - 0.51), 6);
    // The lucky one is shown beside it, and none where the chosen one gained the most.
    expect(advantage?.overlooked?.locked.kind).toBe('clip');
    expect(advantage?.overlooked?.value.ratio).toBeCloseTo((0.81 - 0.51) / (0.905 - 0.51), 6);
    expect(lockVerdict(advantage ? [advantage] : [])?.worst?.score?.overlooked).toMatchObject({
      ...{ attack: 'clip', optimizer: 'adamw', score: expect.closeTo(0.81, 10) },
      advantage: { ratio: expect.closeTo(0.3 / 0.395, 6) },
    });
    const others = rows.filter(({ kind }) => kind !== 'clip');
    expect(attackersAdvantage(others, 'score')?.overlooked).toBeUndefined();
  });

  it('does not let a lock hold by what the searches chose where another attack leaves more by its whole interval', () => {
    const of = (clipped: readonly number[], searched: readonly number[] = [0, 0, 0, 0]) => {
      const found = attackersAdvantage(
        [
          row('unlocked', 'fine-tune', 'score', [0.9, 0.91, 0.92, 0.9]),
          row('random weights', 'fine-tune', 'score', [0.5, 0.51, 0.5, 0.52]),
          row('locked', 'fine-tune', 'score', [0.51, 0.52, 0.5, 0.52]),
          row('locked', 'clip', 'score', clipped, searched),
        ],
        'score',
      );
      return found && [verdictOf(found), holdsButForOverlooked(found)];
    };
    expect(of([0.4, 0.4, 0.4, 0.4])).toEqual(['holds', false]);
    // More than was chosen, and still at most a quarter.
    expect(of([0.53, 0.54, 0.52, 0.54])).toEqual(['holds', false]);
    // On both sides of the quarter: not shown to leave more.
    expect(of([0.5, 0.75, 0.5, 0.75])).toEqual(['holds', false]);
    expect(of([0.8, 0.82, 0.81, 0.8])).toEqual(['cannot tell', true]);
    // Had the searches seen it, it would decide.
    expect(of([0.8, 0.82, 0.81, 0.8], [0.9, 0.9, 0.9, 0.9])).toEqual(['does not hold', false]);
  });

  it('is an upper bound where the best attack ran out of budget, and unmeasured where the unlocked model is no better than the floor', () => {
    const censored = attackersAdvantage(
      [unlocked, scratch, row('locked', 'fine-tune', 'cost', [90, undefined, 95, 99])],
      'cost',
    );
    expect(censored?.isUpperBound).toBe(true);
    expect(censored && isMeasured(censored)).toBe(true);
    for (const costs of [
      [59, 61, 60, 62],
      [70, 72, 71, 69],
      [20, 100, 90, 30],
    ]) {
      const rows = [
        row('unlocked', 'fine-tune', 'cost', costs),
        scratch,
        row('locked', 'fine-tune', 'cost', [60, 61, 62, 63]),
      ];
      const advantage = attackersAdvantage(rows, 'cost');
      expect(advantage && isMeasured(advantage), String(costs)).toBe(false);
    }
    expect(attackersAdvantage([unlocked, scratch], 'cost')).toBeUndefined();
  });

  it('takes on the unlocked model an attack that works there, whatever the search saw of others', () => {
    const judged = (attack: string, values: readonly number[], searched: readonly number[]): AttackRow => {
      const found = row('unlocked', attack, 'score', values, searched);
      return { ...found, result: { ...found.result, constant: 0.51 } };
    };
    const unsteady = judged('top-layers', [0.49, 0.72, 0.51], [0.78]);
    const steady = judged('fine-tune', [0.72, 0.75, 0.7], [0.77]);
    const others = [
      row('locked', 'fine-tune', 'score', [0.53, 0.55, 0.51]),
      row('random weights', 'fine-tune', 'score', [0.55, 0.52, 0.51]),
    ];
    expect(attackersAdvantage([...others, unsteady, steady], 'score')?.unlocked).toBe(steady);
    expect(attackersAdvantage([...others, unsteady], 'score')?.unlocked).toBe(unsteady);
  });
});

it('charges what was done before trials of one seed once, and what was done with other options of it again', () => {
  const before = { steps: 8, evaluations: 8, tried: 0, spent: { steps: 8, samples: 80, flops: 800 } };
  const trial = (seed: number, share: number): Trial => ({
    ...{ learningRate: 1, seed, evaluations: 0, curve: [], metrics: {}, score: 0, end: 'budget', before },
    ...{ point: { 'distil.share': share }, spent: { steps: 10, samples: 100, flops: 1000 } },
  });
  const search = [trial(1, 0.5), trial(1, 0.5), trial(1, 0.25), trial(2, 0.5)];
  expect(spentOn({ search, learningRate: 1, trials: [trial(1, 0.5)] })).toEqual({
    ...{ steps: 3 * 10 + 2 * 2, samples: 3 * 100 + 2 * 20, flops: 3 * 1000 + 2 * 200 },
  });
});

describe('a reported trial that failed', () => {
  /** The row, with the trials at some places ended by an error. */
  const failing = (given: AttackRow, ...places: readonly number[]): AttackRow => {
    const trials = given.result.trials.map((trial, place): Trial => {
      if (!places.includes(place)) return trial;
      return { ...trial, score: Number.NaN, cost: undefined, end: 'failed', failure: 'no memory' };
    });
    return { ...given, result: { ...given.result, trials } };
  };
  const unlocked = row('unlocked', 'fine-tune', 'score', [0.9, 0.91, 0.92, 0.93]);
  const scratch = row('random weights', 'fine-tune', 'score', [0.5, 0.52, 0.51, 0.5]);
  const locked = row('locked', 'fine-tune', 'score', [0.8, 0.82, 0.81, 0.83]);

  it('is left out with its seed, on whichever side it is, and makes no lock look stronger', () => {
    const whole = attackersAdvantage([unlocked, scratch, locked], 'score')?.value;
    const of = (...rows: AttackRow[]) => attackersAdvantage(rows, 'score')?.value;
    const without = (given: AttackRow) => ({
      ...given,
      result: { ...given.result, trials: given.result.trials.filter((_, place) => place !== 1) },
    });
    const expected = of(without(unlocked), without(scratch), without(locked));
    expect(expected?.n).toBe(3);
    for (const side of [0, 1, 2]) {
      const rows = [unlocked, scratch, locked].map((given, index) => (index === side ? failing(given, 1) : given));
      expect(of(...rows)).toEqual(expected);
    }
    // What counted as a gain of 0 halved the advantage of one failure in four.
    expect(Math.abs((expected?.ratio ?? 0) - (whole?.ratio ?? 1))).toBeLessThan(0.02);
    const censored = failing(row('locked', 'fine-tune', 'cost', [20, 22, 24, 26]), 0, 3);
    expect(costs(censored)).toEqual([{ steps: 22 }, { steps: 24 }]);
    expect(scores(failing(locked, 0))).toEqual([0.82, 0.81, 0.83]);
  });

  it('of a search decides nothing, and where all failed there is no number', () => {
    const broken = failing(row('locked', 'clip', 'score', [0.9, 0.9, 0.9, 0.9]), 0, 1, 2, 3);
    expect(attackersAdvantage([unlocked, scratch, locked, broken], 'score')?.locked.kind).toBe('fine-tune');
    expect(attackersAdvantage([unlocked, scratch, broken], 'score')).toBeUndefined();
    const search = failing(row('locked', 'clip', 'score', [0.85, 0.86, 0.84, 0.85]), 0).result.trials;
    const clip = row('locked', 'clip', 'score', [0.85, 0.86, 0.84, 0.85]);
    const failedInSearch = { ...clip, result: { ...clip.result, search } };
    expect(attackersAdvantage([unlocked, scratch, locked, failedInSearch], 'score')?.locked.kind).toBe('clip');
    // No seed that all three measured: nothing can be said, and nothing is.
    const apart = attackersAdvantage([failing(unlocked, 0, 1), scratch, failing(locked, 2, 3)], 'score');
    expect(apart?.value).toMatchObject({ n: 0, ratio: Number.NaN });
    expect(apart && isMeasured(apart)).toBe(false);
  });
});

describe('verdicts', () => {
  const judged = (low: number | undefined, high: number | undefined) =>
    verdictOf({ value: { n: 3, ratio: 0, confidence: 0.95, low, high } } as Advantage);

  it('hold where at most a quarter of the advantage is left, by the whole interval', () => {
    expect([judged(-2, 0.25), judged(0.05, 0.2), judged(-3, -1)]).toEqual(['holds', 'holds', 'holds']);
    expect([judged(0.26, 0.5), judged(0.9, 1.2)]).toEqual(['does not hold', 'does not hold']);
    expect([judged(-0.4, 1.5), judged(0.1, 0.3), judged(0.25, 0.26)]).toEqual(Array(3).fill('cannot tell'));
    expect(judged(undefined, undefined)).toBe('nothing measured');
  });

  it('of several measures are the worst that was measured', () => {
    const of = (...bounds: [number?, number?][]) =>
      overallVerdict(
        bounds.map(([low, high]) => ({ value: { n: 3, ratio: 0, confidence: 0.95, low, high } }) as Advantage),
      );
    expect(of([-1, 0], [0.5, 0.6])).toBe('does not hold');
    expect(of([-1, 0], [-1, 1])).toBe('cannot tell');
    expect(of([-1, 0], [undefined, undefined])).toBe('holds');
    expect(of([undefined, undefined])).toBe('nothing measured');
    expect(of()).toBe('nothing measured');
  });
});

describe('lockVerdict', () => {
  const unlocked = row('unlocked', 'fine-tune', 'cost', [20, 22, 18, 21]);
  const scratch = row('random weights', 'fine-tune', 'cost', [60, 58, 62, 61]);
  const scored = [
    row('unlocked', 'fine-tune', 'score', [0.9, 0.91]),
    row('random weights', 'fine-tune', 'score', [0.5, 0.52]),
    row('locked', 'fine-tune', 'score', [0.5, 0.53]),
  ];
  const advantagesOf = (rows: AttackRow[]) =>
    (['cost', 'score'] as const).flatMap((measure) => attackersAdvantage(rows, measure) ?? []);

  it('names the verdict, what decides it, what is left, and the cheapest attack with what it takes', () => {
    const rows = [
      unlocked,
      scratch,
      row('locked', 'fine-tune', 'cost', [70, 75, undefined, 80]),
      row('locked', 'clip', 'cost', [22, 24, 20, 23]),
      ...scored,
    ];
    const found = lockVerdict(advantagesOf(rows));
    expect(found).toMatchObject({ verdict: 'does not hold', measure: 'cost' });
    expect(found?.advantage.cost?.ratio).toBeCloseTo((60.25 - 22.25) / (60.25 - 20.25), 6);
    expect(Object.keys(found?.advantage ?? {})).toEqual(['cost', 'score']);
    expect(found?.cheapest).toMatchObject({ attack: 'clip', optimizer: 'adamw', adaptive: true });
    expect(found?.cheapest?.cost).toEqual({ steps: 22.5 });
    expect(found?.cheapest?.slowdown).toMatchObject({ n: 4 });
    expect(found?.cheapest?.slowdown?.median).toBeCloseTo(1.1, 1);
    expect(found?.cheapest?.flops).toBeUndefined();
  });

  it('names the worst case by each measure, and that of attacks which keep the authorized task', () => {
    const keeping = (given: AttackRow, after: number): AttackRow => ({
      ...given,
      result: {
        ...given.result,
        trials: given.result.trials.map((each) => ({ ...each, utility: { before: 0.9, after } })),
      },
    });
    const rows = [
      keeping(row('unlocked', 'fine-tune', 'score', [0.9, 0.91]), 0.88),
      row('random weights', 'fine-tune', 'score', [0.5, 0.52]),
      keeping(row('locked', 'fine-tune', 'score', [0.6, 0.62]), 0.86),
      keeping(row('locked', 'clip', 'score', [0.8, 0.82]), 0.4),
    ];
    const verdict = lockVerdict(advantagesOf(rows), { bounded: boundedAdvantages(rows, 0.05) });
    expect(verdict?.worst?.score).toMatchObject({
      attack: 'clip',
      score: 0.81,
      floor: { attack: 'fine-tune', score: 0.51 },
      utility: { before: 0.9, after: 0.4 },
    });
    expect(verdict?.worst).not.toHaveProperty('cost');
    expect(verdict?.bounded).toMatchObject({ drop: 0.05, ruining: ['clip, adamw'] });
    expect(verdict?.bounded?.worst.score).toMatchObject({ attack: 'fine-tune', score: 0.61 });
    expect(verdict?.bounded?.worst.score?.advantage.ratio).toBeCloseTo((0.61 - 0.51) / (0.905 - 0.51), 6);
    // Where none keeps it, nothing is said of one; where nobody measured it, nothing at all.
    expect(boundedAdvantages(rows, 0.01)).toMatchObject({
      advantages: [],
      ruining: ['fine-tune, adamw', 'clip, adamw'],
    });
    expect(boundedAdvantages(scored, 0.05)).toBeUndefined();
  });

  it('says beside it what the sham lock leaves, whose outputs are no attack on it', () => {
    const at = (start: string, countsAs: AttackRow['countsAs'], steps: number[]) => ({
      ...row('locked', 'fine-tune', 'cost', steps),
      start,
      countsAs,
    });
    const rows = [
      ...[unlocked, scratch, row('locked', 'fine-tune', 'cost', [90, 91, 89, 90])],
      at('sham-locked', 'control', [60, 61, 62, 63]),
      { ...at('sham-locked', 'nothing', [1, 1, 1, 1]), kind: 'frozen' },
    ];
    const sham = attackersAdvantage(rows, 'cost', { of: 'control' });
    expect(sham?.locked).toMatchObject({ start: 'sham-locked', kind: 'fine-tune' });
    const found = lockVerdict(advantagesOf(rows), { sham: sham ? [sham] : [] });
    expect(found?.sham?.cost).toEqual(sham?.value);
    expect(found?.sham?.cost?.ratio).toBeGreaterThan(found?.advantage.cost?.ratio ?? Number.NaN);
    expect(attackersAdvantage([unlocked, scratch], 'cost', { of: 'control' })).toBeUndefined();
    expect(lockVerdict(advantagesOf(rows))).not.toHaveProperty('sham');
  });

  it('says what ran out of budget, what measures nothing, and nothing of no advantage', () => {
    const out = lockVerdict(
      advantagesOf([unlocked, scratch, row('locked', 'fine-tune', 'cost', [undefined, undefined, undefined, 99])]),
    );
    expect(out).toMatchObject({
      verdict: 'holds',
      cheapest: { adaptive: false, cost: { steps: 100, censored: true } },
    });
    const useless = row('unlocked', 'fine-tune', 'cost', [59, 61, 60, 62]);
    const nothing = lockVerdict(advantagesOf([useless, scratch, row('locked', 'clip', 'cost', [60, 61, 62, 63])]));
    expect(nothing?.verdict).toBe('nothing measured');
    expect(nothing).not.toHaveProperty('measure');
    expect(lockVerdict([])).toBeUndefined();
    expect(lockVerdict(advantagesOf(scored))).not.toHaveProperty('cheapest');
  });
});
