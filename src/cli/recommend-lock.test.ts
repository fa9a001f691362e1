import { describe, expect, it } from 'vitest';
import type { FrontierPoint, LockCandidate } from '../experiments/index.js';
import { flagsOf, proposalTable, sentencesOf } from './recommend-lock.js';

it('writes the options of a lock as flags, those of groups and lists too', () => {
  const options = { maxKl: null, energy: 0.9, attacks: { steps: 16, learningRates: [1e-4, 1e-3] } };
  const point = { model: 'small CNN', method: 'tar', options, lost: [], kl: [], attack: '', seconds: 1 };
  expect(flagsOf({ point })).toEqual([
    ...['--method', 'tar', '--tar.energy', '0.9', '--tar.attacks.steps', '16'],
    ...['--tar.attacks.learning-rates', '0.0001,0.001', '--tar.max-kl', '0.05'],
  ]);
});

it('bounds KL by what was measured, rounded up, and by no less than the method does itself', () => {
  const boundOf = (kl: readonly number[], maxKl?: number | null) => {
    const options = maxKl === undefined ? {} : { maxKl };
    const point = { model: 'small CNN', method: 'erase', options, lost: [], kl, attack: '', seconds: 1 };
    return flagsOf({ point }).slice(2);
  };
  expect(boundOf([0.22, 0.2478], null)).toEqual(['--erase.max-kl', '0.25']);
  expect(boundOf([1.21], null)).toEqual(['--erase.max-kl', '1.3']);
  expect(boundOf([0.3], null)).toEqual(['--erase.max-kl', '0.3']);
  expect(boundOf([0.016], null)).toEqual(['--erase.max-kl', '0.05']);
  expect(boundOf([0.016], 0.02)).toEqual(['--erase.max-kl', '0.02']);
  expect(boundOf([0.016])).toEqual([]);
});

it('shows the largest KL beside the utility, and why a lock that ruins probabilities is not proposed', () => {
  const point = { model: 'small CNN', method: 'specdef', lost: [0.007], kl: [0.3, 2.981], attack: '', seconds: 1 };
  const candidates = [{ point, strength: 'takes a part', against: 'kl' } as const];
  const text = proposalTable({ likest: 'small CNN', differs: [], candidates });
  expect(text).toContain('KL, nats');
  expect(text).toMatch(/0\.7 .*2\.981 .*ruins probabilities/);
});

describe('what is said of a proposal', () => {
  const point = (over: Partial<FrontierPoint> = {}): FrontierPoint => ({
    ...{ model: 'MiniLM', method: 'erase', class: 'removal', lost: [0.03], kl: [0.19], attack: 'reset', seconds: 1 },
    ...{ score: { ratio: -0.14, low: -0.49, high: 0.35 }, ...over },
  });
  const said = (over?: Partial<FrontierPoint>) => {
    const best = { point: point(over), strength: 'takes a part' } as const;
    return sentencesOf({ likest: 'MiniLM', differs: [], candidates: [best], best }).join('\n');
  };

  it('has the warning on public parents, and on words where rare ones become codes', () => {
    expect(said()).toContain('Is a parent of your weights public? Then no lock helps');
    expect(said()).not.toContain('closed');
    expect(said({ options: { unseen: 'keep' } })).not.toContain('closed');
    const codes = said({ options: { unseen: 'random', unseenBelow: 20 } });
    expect(codes).toContain('Words that your training examples have fewer than 20 times become random codes');
    expect(codes).toContain('only where inputs are known to be closed');
    expect(said({ options: { unseen: 'random' } })).toContain('Words that your training examples lack become');
  });

  it('names why none is proposed, also where a control is missing or a symmetry is undone', () => {
    const candidates = (['no control', 'symmetry'] as const).map((against) => ({
      ...{ point: point(), strength: 'takes a part', against },
    })) satisfies LockCandidate[];
    expect(sentencesOf({ likest: 'MiniLM', differs: [], candidates })[0]).toBe(
      'No lock is proposed: on MiniLM, the model likest to yours that was measured, each lock was measured without its own control, or is undone by whoever knows of it.',
    );
    const text = proposalTable({
      likest: 'MiniLM',
      differs: [],
      candidates: [{ point: point(), strength: 'takes a part' }],
    });
    expect(text.replaceAll(/\s+/g, ' ')).toContain('leaves less');
  });
});
