import { describe, expect, it } from 'vitest';
import { type AttackRow, attacks, compositionOf, factsOf, starts, type Trial } from '../../attacks/index.js';
import { dataSpec } from '../../data/index.js';
import type { Evaluation } from '../../tasks/index.js';
import type { UtilityChange } from '../utility.js';
import {
  beatsControl,
  keepsProbabilities,
  keepsUtility,
  overDraws,
  preventsAtAllRates,
  preventsAtAnyRate,
  preventsAtBest,
  preventsAtSetting,
} from './claims.js';
import { assessed, cellOf, endings, judgedExamples, printedSpecDef } from './common.js';
import { largestTrainingRate } from './fig4.js';
import { reproductions } from './index.js';
import { singleSetting, sweep } from './sweep.js';
import { holdsAgainst } from './table2.js';
import { keepsOthers, relearningClaim } from './table3.js';

function trial(seed: number, score: number, learningRate = 0.1): Trial {
  const curve = [
    { step: 0, score: 0.1 },
    { step: 4, score: Math.max(score, 0.3) },
    { step: 8, score },
  ];
  return { learningRate, seed, curve, metrics: {}, score, evaluations: 8, end: 'budget' };
}

function row(start: string, scores: readonly number[], optimizer = 'adamw'): AttackRow {
  const trials = scores.map((score, seed) => trial(seed, score));
  const result = { search: [], learningRate: 0.1, trials };
  const composition = compositionOf({
    start: { kind: 'model', path: 'm' },
    optimizer: { name: optimizer },
    data: dataSpec.parse({}),
    steps: 8,
    batchSize: 1,
    budget: { decades: [0], searchSeeds: [], seeds: [] },
  });
  const facts = factsOf(attacks.get('fine-tune'), starts.get(start));
  return { ...facts, composition, measure: 'score', optimizer, budget: 8, result };
}

/** Runs that ended so, none of which diverged. */
function ended(...scores: number[]) {
  return { scores, diverged: 0 };
}

const facts = { task: 'kmnist', metric: 'accuracy', target: 0.5, guessing: 0.1 };

describe('claims', () => {
  /** Utility before and after that differs in what is given. */
  const change = (before: Evaluation['metrics'], after: Evaluation['metrics']): UtilityChange => {
    const common = { accuracy: 0.99, loss: 0.05, ece: 0.01, agreement: 1, kl: 0, leastLogit: -5, largestLogit: 5 };
    const all = (given: Evaluation['metrics']) => {
      const utility = { n: 1000, metrics: { ...common, notFinite: 0, ...given } };
      return { float32: utility, float16: utility, bfloat16: utility };
    };
    return { task: 'classification', guessing: 0.1, before: all(before), after: all(after) };
  };

  it('accuracy may fall by one point by the whole interval, and no more; that of a model that guesses says nothing', () => {
    const claim = (before: number, after: number, agreement = 1 - Math.abs(before - after), n = 1000) => {
      const { before: unlocked, after: locked, ...rest } = change({ accuracy: before }, { accuracy: after, agreement });
      const of = (utility: typeof locked): typeof locked => ({ ...utility, float32: { ...utility.float32, n } });
      return keepsUtility('MNIST', 's', { ...rest, before: of(unlocked), after: of(locked) });
    };
    expect(claim(0.99, 0.989)).toMatchObject({
      verdict: 'holds',
      finding: '99.0 % before, 98.9 % after, 0.1 (−0.2 to 0.4) points lost, n = 1000',
    });
    expect(claim(0.99, 0.96)).toMatchObject({
      verdict: 'fails',
      finding: '99.0 % before, 96.0 % after, 3.0 (1.9 to 4.1) points lost, n = 1000',
    });
    expect(claim(0.98, 0.99).verdict).toBe('holds');
    // As many answers changed as make 95.8 % of 400 of 94.8 by chance.
    expect(claim(0.958, 0.948, 0.975, 400)).toMatchObject({
      verdict: 'unmeasured',
      finding: expect.stringMatching(
        /^too few examples to tell: 95\.8 % before, 94\.8 % after, 1\.0 \(−0\.6 to 2\.6\)/,
      ),
    });
    expect(claim(0.99, 0.989, 0.9).verdict).toBe('unmeasured');
    for (const guessed of [0, 0.1, 0.14]) expect(claim(guessed, guessed).verdict).toBe('unmeasured');
  });

  it('probabilities may move by the default budget, and no output may be lost', () => {
    const claim = (after: Evaluation['metrics']) => keepsProbabilities('MNIST', change({}, after));
    expect(claim({ kl: 0.05 }).verdict).toBe('holds');
    expect(claim({ kl: 0.051 }).verdict).toBe('fails');
    expect(claim({ kl: null, loss: null, ece: null, leastLogit: null, largestLogit: null, notFinite: 1 }).verdict).toBe(
      'fails',
    );
    expect(claim({ kl: 0.01, notFinite: 0.001 }).verdict).toBe('fails');
    expect(keepsProbabilities('MNIST', change({ accuracy: 0.1 }, { kl: 0 })).verdict).toBe('unmeasured');
  });

  it('one setting says nothing where the unlocked model does not learn', () => {
    const about = { task: 'kmnist', setting: 'AdamW', source: 's', guessing: 0.1 };
    const unlocked = ended(0.8, 0.78, 0.79);
    expect(preventsAtSetting(about, unlocked, ended(0.1, 0.12, 0.11)).verdict).toBe('holds');
    expect(preventsAtSetting(about, unlocked, ended(0.4, 0.42, 0.41))).toMatchObject({
      verdict: 'fails',
      finding:
        '44.9 % (39.9 to 50.3) of the gain is left: unlocked 79.0 %, locked 41.0 %, guessing 10.0 %; n = 3 seeds',
    });
    // One seed of two learned, or both a little: not beyond the interval, or not enough.
    for (const unlocked of [
      [0.1, 0.3],
      [0.13, 0.14],
    ]) {
      expect(preventsAtSetting(about, ended(...unlocked), ended(0.1, 0.1))).toMatchObject({
        verdict: 'unmeasured',
        finding: expect.stringContaining('the unlocked model cannot be told from guessing'),
      });
    }
  });

  it('of fewer than three draws no claim has a verdict, whatever was measured', () => {
    const claims = (['holds', 'fails', 'unmeasured'] as const).map((verdict) => ({
      ...{ text: 't', source: 's', verdict },
      finding: `found ${verdict}`,
    }));
    expect(overDraws(3, claims)).toEqual(claims);
    expect(overDraws(1, claims).map(({ verdict, finding }) => [verdict, finding])).toEqual(
      claims.map(({ finding }) => ['unmeasured', `one draw of the lock says nothing of another: ${finding}`]),
    );
    expect(overDraws(2, claims)[0]).toMatchObject({
      verdict: 'unmeasured',
      finding: '2 draws of the lock say nothing of another: found holds',
    });
  });

  it('at the best rate, the lock fails where the advantage is above 0 beyond chance, and holds at or below the floor', () => {
    const claim = (locked: readonly number[], unlocked: readonly number[] = [0.9, 0.91, 0.89]) =>
      preventsAtBest(
        assessed(facts, [row('unlocked', unlocked), row('locked', locked), row('random weights', [0.5, 0.51, 0.49])]),
        's',
      );
    expect(claim([0.8, 0.81, 0.79]).verdict).toBe('fails');
    expect(claim([0.4, 0.41, 0.39]).verdict).toBe('holds');
    expect(claim([0.52, 0.45, 0.56])).toMatchObject({
      verdict: 'unmeasured',
      finding: expect.stringContaining('too few seeds'),
    });
    expect(claim([0.5, 0.5, 0.5], [0.5, 0.52, 0.48])).toMatchObject({
      verdict: 'unmeasured',
      finding: expect.stringContaining('cannot be told from the floor'),
    });
    expect(preventsAtBest(assessed(facts, []), 's').verdict).toBe('unmeasured');
  });

  it('a lock takes more than its control only by whole intervals, and without a control nothing is claimed', () => {
    const rows = (locked: readonly number[]) => [
      row('unlocked', [0.9, 0.91, 0.89]),
      row('locked', locked),
      row('random weights', [0.5, 0.51, 0.49]),
    ];
    const claim = (locked: readonly number[], sham: readonly number[]) =>
      beatsControl(assessed(facts, [...rows(locked), row('sham-locked', sham)]));
    expect(claim([0.55, 0.56, 0.54], [0.85, 0.86, 0.84])).toMatchObject([{ verdict: 'holds' }]);
    expect(claim([0.85, 0.86, 0.84], [0.55, 0.56, 0.54])).toMatchObject([{ verdict: 'fails' }]);
    expect(claim([0.7, 0.75, 0.65], [0.71, 0.76, 0.66])).toMatchObject([
      { verdict: 'unmeasured', finding: expect.stringMatching(/^not to be told apart: the lock leaves 0\.50 \(/) },
    ]);
    expect(beatsControl(assessed(facts, rows([0.55, 0.56, 0.54])))).toEqual([]);
    // By the search one optimizer is the better, by what is reported the other.
    const searched = (found: AttackRow, score: number) => ({
      ...found,
      result: { ...found.result, search: [trial(9, score)] },
    });
    const both = [
      searched(row('locked', [0.55, 0.56, 0.54]), 0.8),
      searched(row('locked', [0.9, 0.91, 0.89], 'sgd'), 0.7),
    ];
    const others = [...rows([]).filter(({ start }) => start !== 'locked'), row('sham-locked', [0.85, 0.86, 0.84])];
    expect(beatsControl(assessed(facts, [...both, ...others]))).toMatchObject([
      {
        verdict: 'unmeasured',
        finding: expect.stringMatching(/^an attack that the searches did not choose leaves more/),
      },
    ]);
  });
});

describe('what is left of a gain', () => {
  const about = { task: 'kmnist', setting: 'AdamW', source: 's', guessing: 0.1 };
  const unlocked = ended(0.8, 0.78, 0.79);

  it('is judged by its whole interval, as each run takes another draw of the lock', () => {
    // By their mean 22 % is left, and 4 to 36 % by run.
    const claim = preventsAtSetting(about, unlocked, ended(0.13, 0.28, 0.35));
    expect(claim).toMatchObject({
      verdict: 'unmeasured',
      finding: expect.stringMatching(/^too few runs to tell: 22\.2 % \(−/),
    });
  });

  it.each([
    ['one run', ended(0.8), ended(0.1)],
    ['runs that are no pairs', unlocked, ended(0.1, 0.1)],
  ])('cannot be told from %s', (_, before, after) => {
    expect(preventsAtSetting(about, before, after)).toMatchObject({
      verdict: 'unmeasured',
      finding: expect.stringMatching(/^too few runs to tell: 0\.0 % of the gain is left/),
    });
  });

  it('is judged at the best of all rates, each model at its own', () => {
    const rates = (...all: number[][]) => all.map((ours) => ({ ours }));
    const claim = (locked: number[]) =>
      preventsAtAllRates(
        { task: 'QQP', metric: 'F1', source: 's', guessing: 0.1, pairs: 1000 },
        { unlocked: rates([0.1, 0.1, 0.1], [0.8, 0.78, 0.79]), locked: rates(locked, [0.1, 0.1, 0.1]) },
      );
    expect(claim([0.7, 0.69, 0.71])).toMatchObject({
      verdict: 'fails',
      finding: expect.stringContaining('best of 2 rates, F1: unlocked 79.0 %, locked 70.0 %'),
    });
    expect(claim([0.1, 0.1, 0.1]).verdict).toBe('holds');
    expect(claim([0.1, 0.4, 0.3]).verdict).toBe('unmeasured');
  });
});

describe('holdsAgainst', () => {
  const run = (f1: number, asr: number) => ({ f1, asr });
  const taken = [run(0.94, 1), run(0.93, 1), run(0.94, 1)];
  const claim = (locked: object[], clippedRuns: object[] = locked, unlocked = taken) =>
    holdsAgainst(
      'at any rate',
      's',
      { unlocked: [unlocked], locked: [locked], 'locked, clipped': [clippedRuns] } as never,
      { at: [0], starts: ['locked', 'locked, clipped'] },
    );

  it('counts draws of the lock that take a back door and stay classifiers', () => {
    const shut = [run(0.93, 0.1), run(0.02, 1), run(0.94, 0)];
    expect(claim(shut).verdict).toBe('holds');
    expect(claim(shut.slice(0, 2), undefined, taken.slice(0, 2)).verdict).toBe('unmeasured');
    expect(claim([...taken.slice(0, 2), run(0.93, 0.1)])).toMatchObject({
      verdict: 'fails',
      finding: expect.stringContaining('into the locked one in 2 of 3 runs'),
    });
    expect(claim([taken[0], ...shut.slice(1)]).verdict).toBe('unmeasured');
  });

  it('takes of each draw the best start and rate, and says nothing where the unlocked model takes none', () => {
    const shut = [run(0.93, 0.1), run(0.93, 0.1), run(0.94, 0)];
    expect(claim(shut, taken).verdict).toBe('fails');
    expect(claim(shut, shut, [taken[0], taken[1], run(0.9, 0.1)]).verdict).toBe('unmeasured');
  });
});

describe('preventsAtAnyRate', () => {
  it('fails where one optimizer learns, whatever its search saw', () => {
    const seen = { ...trial(11, 0.4), learningRate: 0.1 };
    const chosen = row('locked', [0.12, 0.13, 0.12]);
    const rows = [
      row('unlocked', [0.8, 0.79, 0.8]),
      { ...chosen, result: { ...chosen.result, search: [seen] } },
      row('locked', [0.4, 0.41, 0.4], 'sgd'),
    ];
    expect(preventsAtAnyRate(assessed(facts, rows), 's').verdict).toBe('fails');
  });

  it('fails where the locked model learns at its best rate, whatever it does at others', () => {
    const around = (score: number) => [score, score + 0.01, score - 0.01];
    const claim = (unlocked: number, locked: number) =>
      preventsAtAnyRate(
        assessed(facts, [
          row('unlocked', around(unlocked)),
          row('locked', around(0.1)),
          row('locked', around(locked), 'sgd'),
        ]),
        's',
      );
    expect(claim(0.8, 0.5)).toMatchObject({
      verdict: 'fails',
      finding: expect.stringContaining('50.0 % (sgd at 0.1)'),
    });
    expect(claim(0.8, 0.12).verdict).toBe('holds');
    expect(claim(0.14, 0.12).verdict).toBe('unmeasured');
    expect(preventsAtAnyRate(assessed(facts, []), 's').verdict).toBe('unmeasured');
  });
});

describe('endings', () => {
  it('are what runs end with, not the best on the way', () => {
    const rows = [row('locked', [0.2, 0.25]), row('unlocked', [0.7, 0.8])];
    expect(endings(rows, 'locked', 0.1)).toEqual(ended(0.2, 0.25));
    expect(endings(rows, 'unlocked', 0.1)).toEqual(ended(0.7, 0.8));
  });

  it('of a run that diverged it is guessing, and not what was measured before', () => {
    const before = row('locked', [0.9, 0.25]);
    const [first, second] = before.result.trials;
    const trials = [{ ...first, end: 'diverged' as const }, second];
    const found = endings([{ ...before, result: { ...before.result, trials } }], 'locked', 0.1);
    expect(found).toEqual({ scores: [0.1, 0.25], diverged: 1 });
    expect(cellOf(found, 0.8)).toEqual({ paper: 0.8, ours: [0.1, 0.25], diverged: 1 });
    const about = { task: 'kmnist', setting: 'AdamW', source: 's', guessing: 0.1 };
    expect(preventsAtSetting(about, ended(0.8, 0.78), found).finding).toContain('locked 17.5 % (1 of 2 diverged)');
  });
});

describe('keepsOthers', () => {
  it('goes by the interval over draws of the lock, and says nothing of one', () => {
    expect(keepsOthers(0.7, [0.699, 0.698, 0.7], 1000).verdict).toBe('holds');
    expect(keepsOthers(0.7, [0.68, 0.681, 0.682], 1000)).toMatchObject({
      verdict: 'fails',
      finding: '70.0 % before the lock, 68.1 % after, 1.9 (1.7 to 2.1) points lost, n = 3 locks',
    });
    expect(keepsOthers(0.7, [0.68, 0.7, 0.69], 1000).verdict).toBe('unmeasured');
    expect(keepsOthers(0.7, [0.7], 1000)).toMatchObject({
      verdict: 'unmeasured',
      finding: 'too few locks to tell: 70.0 % before the lock, 70.0 % after, 0.0 points lost, n = 1 lock',
    });
    expect(keepsOthers(0.12, [0.12, 0.12, 0.12], 1000).verdict).toBe('unmeasured');
  });

  it('says what the controls lost, and what the locks lost more by pairs', () => {
    expect(keepsOthers(0.7, [0.68, 0.681, 0.682], 1000, [0.69, 0.692, 0.691]).finding).toMatch(
      /n = 3 locks; the sham locks lost 0\.9 \(0\.7 to 1\.1\) points, the locks 1\.0 \(0\.8 to 1\.2\) points more by pairs of one seed$/,
    );
  });
});

describe('relearningClaim', () => {
  /** Ten classes, one seed: cars, and each of the others. */
  const model = (cars: number, others: number, f1: number) => ({
    byClass: Array.from({ length: 10 }, (_, label) => [label === 1 ? cars : others]),
    f1: ended(f1, f1 + 0.001, f1 - 0.001),
  });
  // Nearly all images are called cars: of 1,000, 100 are.
  const ruined = model(0.9, 0.02, (2 * 90) / (100 + 90 + 700));

  it('does not take a ruined model for one that relearned cars because it calls most images cars', () => {
    const claim = relearningClaim(model(0.8, 0.68, 0.81), ruined, 2 / 11);
    expect(claim.verdict).toBe('holds');
    expect(claim.finding).toContain('locked 20.2 %');
    expect(claim.finding).toContain(
      'unlocked 80.0 % of the cars and 69.2 % of all, locked 90.0 % of the cars and 10.8 %',
    );
  });

  it('says nothing where the unlearned model is ruined too, and fails where the locked one relearns', () => {
    expect(relearningClaim(ruined, ruined, 2 / 11).verdict).toBe('unmeasured');
    expect(relearningClaim(model(0.8, 0.68, 0.81), model(0.7, 0.6, 0.7), 2 / 11).verdict).toBe('fails');
  });
});

describe('largestTrainingRate', () => {
  const search = [
    trial(1, 0.5, 1e-3),
    trial(1, 0.4, 1e-2),
    trial(1, 0.35, 1e-1),
    trial(1, 0.2, 1),
    { ...trial(1, 0.45, 10), end: 'diverged' as const },
  ];

  it('is the largest whose runs of the whole budget end half of the way from guessing to the best', async () => {
    const rates: number[] = [];
    const run = async (rate: number) => {
      rates.push(rate);
      return rate === 1e-1 ? ended(0.6, 0.1, 0.1) : ended(0.3, 0.3, 0.4);
    };
    expect(await largestTrainingRate({ search, learningRate: 1e-3 }, 0.1, run)).toBe(1e-2);
    // Neither what diverged nor what ended too low is run.
    expect(rates).toEqual([1e-1, 1e-2]);
  });

  it('passes over trials that failed, of which nothing is known', async () => {
    const failed = { ...trial(1, Number.NaN, 10), curve: [], end: 'failed' as const };
    const found = { search: [...search, failed], learningRate: 1e-3 };
    expect(await largestTrainingRate(found, 0.1, async () => ended(0.35))).toBe(1e-1);
    expect(await largestTrainingRate({ search: [failed], learningRate: 1 }, 0.1, async () => ended(1))).toBe(1);
  });

  it("is the search's choice where no rate trains", async () => {
    expect(await largestTrainingRate({ search, learningRate: 1e-3 }, 0.1, async () => ended(0))).toBe(1e-3);
  });
});

describe('printedSpecDef', () => {
  it('is Algorithm 1 as printed: one stage, k 1, no floor', () => {
    const options = printedSpecDef({ epochs: 10 });
    expect(options).toMatchObject({ alpha: 0.5, topK: 1, utilityFloor: 0, epochs: 10, exact: false });
    expect(options.lead.share).toBe(0);
    expect(options.targetSigma).toBeUndefined();
  });
});

describe('the registry', () => {
  it.each(reproductions.entries().map((entry) => [entry.name, entry] as const))(
    '%s describes itself and names what it reads',
    (name, { description, data }) => {
      expect(description.length).toBeGreaterThan(40);
      // Figures 1 and 2 are about random numbers, predictions about those and the digits that the package has.
      expect(data.length === 0).toBe(['fig1', 'fig2', 'prediction'].includes(name));
    },
  );
});

it('sweeps measure what is left of the authorized task on few examples of it, single settings do not', () => {
  const [data, whole] = [dataSpec.parse({}), dataSpec.parse({ classes: [0, 1] })];
  expect([undefined, 1000, 40].map((testLimit) => judgedExamples({ ...whole, testLimit }).testLimit)).toEqual([
    300, 300, 40,
  ]);
  const goal = { label: 'other', data, target: 0.5, authorized: judgedExamples(whole) };
  const budget = { steps: 4, batchSize: 8, searchSeeds: [11], seeds: [1], evaluationSpacing: 2 };
  const judged = ({ budgets: [{ setting }] }: ReturnType<typeof sweep>) => setting.authorized;
  expect(judged(sweep(goal, [{ name: 'sgd', decades: [-1] }], budget))).toEqual({ ...whole, testLimit: 300 });
  expect(judged(singleSetting(goal, { name: 'sgd', learningRate: 0.1 }, budget))).toBeUndefined();
});
