import { expect, it } from 'vitest';
import {
  type AttackRow,
  attackersAdvantage,
  attacks,
  factsOf,
  missingTrials,
  starts,
  type Trial,
} from '../attacks/index.js';
import { summarizeAttack } from './attack-report.js';
import {
  advantageSentence,
  cheapestAttackSentence,
  costSentence,
  outdoneSentence,
  overlookedSentence,
  verdictSentence,
} from './attack-sentences.js';
import { attackTable } from './attack-table.js';

it('says what was trained where it was not all weights, so that no two attacks look alike', () => {
  const curve = [{ step: 0, score: 0.5 }];
  const trial = { learningRate: 0.01, seed: 1, curve, metrics: {}, score: 0.5, evaluations: 4, end: 'budget' as const };
  const row = (kind: string): AttackRow => {
    const attack = attacks.get(kind);
    return {
      ...factsOf(attack, starts.get('locked')),
      composition: { transforms: [], trained: { name: attack.trained.name }, optimizer: { name: 'adamw' } },
      optimizer: 'adamw',
      measure: 'score',
      budget: 4,
      result: { search: [], learningRate: 0.01, trials: [trial] },
    };
  };
  const { rows } = attackTable(['fine-tune', 'lora', 'dora', 'norms-biases'].map(row), {
    target: 0.95,
    metric: 'accuracy',
  });
  expect(rows.map(({ attack }) => attack)).toEqual([
    'AdamW',
    'LoRA, AdamW',
    'DoRA, AdamW',
    'fine-tuning of norms and biases, AdamW',
  ]);
});

it('says of how many seeds a number is where some runs failed, and why; of none there is no number', () => {
  const trial = (seed: number, score: number) => {
    const failed = Number.isNaN(score) ? { end: 'failed' as const, failure: 'no memory' } : { end: 'budget' as const };
    return { learningRate: 0.01, seed, curve: [], metrics: {}, score, evaluations: 4, ...failed };
  };
  const row = (scored: readonly number[], kind: string): AttackRow => {
    const trials = scored.map((score, index) => trial(index, score));
    const missing = missingTrials(trials);
    return {
      ...factsOf(attacks.get(kind), starts.get('locked')),
      composition: { transforms: [], trained: { name: 'all' }, optimizer: { name: 'adamw' } },
      ...{ optimizer: 'adamw', measure: 'score' as const, budget: 4, search: `score-${kind}` },
      result: { search: [], learningRate: 0.01, trials },
      ...(missing && { missing }),
    };
  };
  const clip = row([Number.NaN], 'clip');
  const impossible = { ...row([Number.NaN], 'reset'), missing: { failed: 1, of: 1, reason: '', impossible: true } };
  const { rows, notes } = attackTable([row([0.5, Number.NaN, 0.7], 'fine-tune'), clip, impossible], {
    target: 0.95,
    metric: 'accuracy',
  });
  expect(rows.map(({ score }) => score)).toEqual([
    '60.0 % (50.0 to 70.0), 2 of 3 seeds',
    'failed',
    'does not work here',
  ]);
  expect(rows.map(({ scoreRate }) => scoreRate)).toEqual(['1e−2', '1e−2', '–']);
  expect(notes?.slice(-2)).toEqual([
    'Missing: 1 of 3 reported runs of score-fine-tune failed (no memory); its numbers are of the others.',
    'Missing: 1 of 1 reported run of score-clip failed (no memory); its numbers are of the others.',
  ]);
});

it('says what weights are worth that were attacked alone', () => {
  const row = (start: string, scored: readonly number[]): AttackRow => {
    const trials = scored.map((score, seed) => {
      return { learningRate: 0.01, seed, curve: [], metrics: {}, score, evaluations: 4, end: 'budget' as const };
    });
    return {
      ...factsOf(attacks.get('fine-tune'), starts.get(start)),
      composition: { transforms: [], trained: { name: 'all' }, optimizer: { name: 'adamw' } },
      ...{ optimizer: 'adamw', measure: 'score' as const, budget: 4 },
      result: { search: [], learningRate: 0.01, trials },
    };
  };
  const said = (...floors: AttackRow[]) => {
    const rows = [row('locked', [0.7, 0.82, 0.76]), ...floors];
    const { sentences } = summarizeAttack({ rows, metric: 'accuracy', notes: [] }, { target: 0.9, perClass: 5 });
    expect(sentences[1]).toMatch(/^No unlocked model was attacked beside it: /);
    return sentences[0];
  };
  const scratch = row('random weights', [0.5, 0.6, 0.55]);
  expect(said(scratch)).toBe(
    'To an attacker the released weights are worth 21.0 points (95 % interval 18.5 to 23.5, n = 3 seeds): the best attack is AdamW at learning rate 1e−2: 76.0 %; the floor is training from scratch: 55.0 %.',
  );
  expect(said(scratch, row('another model', [0.75, 0.75, 0.75]))).toBe(
    'Nothing shows that the released weights are worth anything to an attacker: the best attack is AdamW at learning rate 1e−2: 76.0 %; the floor is fine-tuning (another model): 75.0 %, over 3 seeds.',
  );
});

it('says of a distilled student that it is the floor, and of nobody that he knows of the lock for it', () => {
  const row = (kind: string, start: string, scored: readonly number[]): AttackRow => {
    const attack = attacks.get(kind);
    const trials = scored.map((score, seed) => {
      return { learningRate: 0.01, seed, curve: [], metrics: {}, score, evaluations: 4, end: 'budget' as const };
    });
    return {
      ...factsOf(attack, starts.get(start)),
      composition: {
        transforms: attack.transforms.map(({ name }) => ({ name, options: {} })),
        ...{ trained: { name: attack.trained.name }, optimizer: { name: 'adamw' } },
      },
      ...{ optimizer: 'adamw', measure: 'score' as const, budget: 4 },
      result: { search: [], learningRate: 0.01, trials },
    };
  };
  const rows = [
    row('fine-tune', 'unlocked', [0.9, 0.91, 0.92]),
    row('fine-tune', 'locked', [0.7, 0.71, 0.72]),
    row('distil', 'locked', [0.6, 0.6, 0.6]),
    row('fine-tune', 'random weights', [0.5, 0.5, 0.5]),
  ];
  const advantage = attackersAdvantage(rows, 'score');
  expect(advantage && advantageSentence(advantage)).toMatch(
    /the floor is distilling what the released model gives into fresh weights, then fine-tuning \(60\.0 %\)\.$/,
  );
  const table = attackTable(rows, { target: 0.95, metric: 'accuracy' });
  expect(table.rows.map(({ start }) => start)).toContain('locked, distilled');
  const notes = table.notes?.join(' ') ?? '';
  expect(notes).toContain('A part of the floor: distil trains fresh weights to give what the released model gives');
  expect(notes).not.toContain('knows that there is a lock');
  expect(attackTable([...rows, row('clip', 'locked', [0.8])], { target: 0.95, metric: 'accuracy' }).notes?.[1]).toMatch(
    /First: clip cuts .*Who does that knows that there is a lock.*A part of the floor: distil /,
  );
  const others = [...rows, row('word-vectors', 'locked', [0.8]), row('pretrain', 'locked', [0.8])];
  const said = attackTable(others, { target: 0.95, metric: 'accuracy' }).notes?.join(' ') ?? '';
  expect(said).toMatch(
    /Whoever knows of no lock can do this too: pretrain trains .*, word-vectors takes .*; for word-vectors he has the word vectors of a public model\./,
  );
  expect(said).not.toContain('knows that there is a lock');
});

/** A search that saw one score, and reported others. */
function scoredRow(start: string, kind: string, scored: readonly number[], searched: number): AttackRow {
  const trial = (score: number, seed: number): Trial => ({
    ...{ learningRate: 0.001, seed, curve: [], metrics: {}, score, evaluations: 4, end: 'budget' },
  });
  const attack = attacks.get(kind);
  return {
    ...factsOf(attack, starts.get(start)),
    composition: { transforms: [], trained: { name: attack.trained.name }, optimizer: { name: 'adamw' } },
    ...{ optimizer: 'adamw', measure: 'score' as const, budget: 4 },
    result: { search: [trial(searched, 9)], learningRate: 0.001, trials: scored.map(trial) },
  };
}

it('shows an attack that the searches did not choose, and says that chance is on its side', () => {
  const rows = (clipped: readonly number[]) => [
    scoredRow('unlocked', 'fine-tune', [0.9, 0.91, 0.92], 0.9),
    scoredRow('random weights', 'fine-tune', [0.5, 0.51, 0.52], 0.5),
    scoredRow('locked', 'fine-tune', [0.52, 0.52, 0.53], 0.8),
    scoredRow('locked', 'clip', clipped, 0.7),
  ];
  const of = (clipped: readonly number[]) => {
    const advantage = attackersAdvantage(rows(clipped), 'score');
    return advantage && [verdictSentence([advantage]), overlookedSentence(advantage)];
  };
  expect(of([0.8, 0.81, 0.82])).toEqual([
    expect.stringMatching(
      /^These runs cannot tell .* in score \(one draw of the lock\), and more to an attack that the searches did not choose; /,
    ),
    'With the reported seeds another attack gains more on average than the one that the searches chose: clipping the raised singular values, ' +
      'then AdamW at learning rate 1e−3, 81.0 %, which leaves 0.75 (0.75 to 0.75). It is picked by these very numbers, so chance is on its side.',
  ]);
  expect(of([0.5, 0.5, 0.5])).toEqual([
    expect.stringMatching(/^The lock holds against all .* \(one draw of the lock\)\.$/),
    undefined,
  ]);
});

it('shows what it would have been compared with by the reported seeds', () => {
  const locked = scoredRow('locked', 'fine-tune', [0.55, 0.56, 0.57], 0.6);
  const chosen = [
    scoredRow('unlocked', 'fine-tune', [0.7, 0.71, 0.72], 0.9),
    scoredRow('random weights', 'fine-tune', [0.5, 0.51, 0.52], 0.5),
  ];
  const others = [
    scoredRow('unlocked', 'clip', [0.79, 0.8, 0.81], 0.8),
    scoredRow('random weights', 'clip', [0.59, 0.6, 0.61], 0.4),
    scoredRow('unlocked', 'rescale', [0.6, 0.6, 0.6], 0.7),
  ];
  const of = (more: readonly AttackRow[]) => {
    const rows = [locked, ...chosen, ...more];
    const advantage = attackersAdvantage(rows, 'score');
    return advantage && outdoneSentence(rows, advantage);
  };
  expect(of(others)).toBe(
    'With the reported seeds more is gained on average than by what the searches chose to compare with: on the unlocked model ' +
      'clipping the raised singular values, then AdamW at learning rate 1e−3, 80.0 %; of the floor clipping the raised ' +
      'singular values, then fine-tuning, 60.0 %.',
  );
  expect(of(others.slice(2))).toBeUndefined();
});

it('says of the best attack all that its search chose', () => {
  const found = (start: string, score: number): AttackRow => ({
    ...factsOf(attacks.get('fine-tune'), starts.get(start)),
    composition: { transforms: [], trained: { name: 'all' }, optimizer: { name: 'adamw' } },
    ...{ optimizer: 'adamw', measure: 'score', budget: 4 },
    result: {
      search: [],
      learningRate: 0.01,
      point: { batchSize: 16, 'ema.decay': 0.99 },
      trials: [1, 2].map((seed) => ({
        ...{
          learningRate: 0.01,
          seed,
          curve: [],
          metrics: {},
          score: score + seed / 100,
          evaluations: 4,
          end: 'budget',
        },
      })),
    },
  });
  const rows = [found('unlocked', 0.9), found('locked', 0.8), found('random weights', 0.5)];
  const advantage = attackersAdvantage(rows, 'score');
  expect(advantage && cheapestAttackSentence(advantage)).toMatch(
    /is AdamW at learning rate 1e−2, batchSize 16 and ema\.decay 0\.99: 81\.5 %/,
  );
});

it('names the attacks whose median run misses the target on the unlocked model, which a mean of those that reached it would hide', () => {
  const row = (start: string, kind: string, reached: readonly (number | undefined)[]): AttackRow => ({
    ...factsOf(attacks.get(kind), starts.get(start)),
    composition: { transforms: [], trained: { name: attacks.get(kind).trained.name }, optimizer: { name: 'adamw' } },
    ...{ optimizer: 'adamw', measure: 'cost' as const, budget: 40 },
    result: {
      search: [],
      learningRate: 0.01,
      trials: reached.map((cost, seed) => ({
        ...{
          learningRate: 0.01,
          seed,
          cost,
          curve: [],
          metrics: {},
          score: 0.5,
          evaluations: 4,
          end: 'budget' as const,
        },
      })),
    },
  });
  const rows = [
    row('unlocked', 'fine-tune', [20, 24, undefined]),
    row('unlocked', 'lora', [undefined, undefined, undefined]),
    row('unlocked', 'ema', [20, undefined, undefined]),
    ...['fine-tune', 'lora', 'ema'].map((kind) => row('locked', kind, [undefined, undefined, undefined])),
  ];
  const { notes = [] } = attackTable(rows, { target: 0.95, metric: 'accuracy' });
  expect(notes.filter((note) => note.includes('measure nothing'))).toEqual([
    'The median run does not reach 95 % on the unlocked model: lora with AdamW, ema with AdamW. In steps they do not work here, and measure nothing of the lock.',
  ]);
});

it('names the attacks whose score on the unlocked model is not above that of always the same answer', () => {
  const row = (start: string, kind: string, scored: readonly number[], constant?: number): AttackRow => ({
    ...factsOf(attacks.get(kind), starts.get(start)),
    composition: { transforms: [], trained: { name: attacks.get(kind).trained.name }, optimizer: { name: 'adamw' } },
    ...{ optimizer: 'adamw', measure: 'score' as const, budget: 40 },
    result: {
      search: [],
      learningRate: 0.01,
      ...(constant !== undefined && { constant }),
      trials: scored.map((score, seed) => ({
        ...{ learningRate: 0.01, seed, curve: [], metrics: {}, score, evaluations: 4, end: 'budget' as const },
      })),
    },
  });
  const rows = [
    row('unlocked', 'fine-tune', [0.9, 0.92, 0.91], 0.2),
    row('unlocked', 'lora', [0.21, 0.19, 0.24], 0.2),
    row('unlocked', 'white-box', [0.2], 0.2),
    // Without an answer each there is no guessing.
    row('unlocked', 'ema', [0.1, 0.1, 0.1]),
    row('locked', 'lora', [0.2, 0.2, 0.2], 0.2),
  ];
  const options = { target: 0.95, metric: 'accuracy' };
  const { notes = [] } = attackTable(rows, options);
  expect(notes.filter((note) => note.includes('measure nothing'))).toEqual([
    'On the unlocked model not above always the same answer (20.0 %), by the 95 % interval over the seeds: lora with AdamW, white-box. In score they do not work by these runs, and measure nothing of the lock.',
  ]);
  expect(attackTable(rows.slice(0, 1), options).notes?.some((note) => note.includes('measure nothing'))).toBe(false);
});

it('says what the cheapest attack computed to the target and, where times were kept, how long it took', () => {
  const row = (start: string, cost: number): AttackRow => {
    const attack = attacks.get('fine-tune');
    const spent = { steps: cost, samples: cost, flops: cost * 1e9 };
    const trial = { learningRate: 0.01, curve: [], metrics: {}, score: 0.9, evaluations: cost, end: 'target' as const };
    const trials = [1, 2, 3].map((seed) => ({ ...trial, seed, cost, costFlops: cost * 1e9, spent }));
    return {
      ...factsOf(attack, starts.get(start)),
      composition: { transforms: [], trained: { name: 'all' }, optimizer: { name: 'adamw' } },
      ...{ optimizer: 'adamw', measure: 'cost' as const, budget: 100, search: `cost-${start}` },
      result: { search: [], learningRate: 0.01, trials },
    };
  };
  const found = attackersAdvantage([row('unlocked', 20), row('locked', 40), row('random weights', 80)], 'cost');
  if (!found) throw new Error('expected an advantage');
  const without = costSentence(found) ?? '';
  expect(without).toContain('It computes 40.00 GFLOP to the target (median, without its search), and takes 2.0×');
  const times = { 'cost-locked': [3, 1.5, 2], 'cost-unlocked': [9, 9, 9] };
  expect(costSentence(found, times)).toBe(without.replace('the target', 'the target in 2.0 s here'));
});
