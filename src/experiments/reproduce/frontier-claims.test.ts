import { describe, expect, it } from 'vitest';
import { claimsOf } from './frontier-claims.js';
import type { AdvantageLeft, FrontierPoint } from './reproduction.js';

const left = (low: number, high: number, more: Partial<AdvantageLeft> = {}): AdvantageLeft => ({
  ...{ ratio: (low + high) / 2, low, high },
  ...more,
});

function lock(method: string, score?: AdvantageLeft, over: Partial<FrontierPoint> = {}): FrontierPoint {
  const measured = { lost: [0.005], kl: [0.01], score, cost: score, attack: 'clipped', seconds: 1 };
  return { model: 'CNN', method, class: 'removal', ...measured, ...over };
}

const sham = (method: string, score: AdvantageLeft | undefined, controls?: readonly string[]) =>
  lock(`sham of ${method}`, score, { class: undefined, ...(controls && { controls }) });

describe('the goal', () => {
  const goal = (...points: FrontierPoint[]) => claimsOf('CNN', points)[0];

  it('holds where one lock leaves at most a tenth in score and in cost, by whole intervals', () => {
    expect(goal(lock('a', left(0.5, 0.7)), lock('b', left(-0.2, 0.09)))).toMatchObject({
      verdict: 'holds',
      finding: expect.stringMatching(/^b: .* left in score and .* in cost/),
    });
    expect(goal(lock('b', left(-0.2, 0.09), { cost: left(-0.2, 0.4) })).verdict).toBe('unmeasured');
  });

  it('fails where every lock within a point leaves more by one measure, and names the lowest estimate as such', () => {
    const found = goal(
      lock('a', left(0.2, 0.7)),
      lock('b', left(-0.2, 0.3), { cost: left(0.5, 2) }),
      lock('dear', left(-0.1, 0.01), { lost: [0.05, 0.04] }),
    );
    expect(found.verdict).toBe('fails');
    expect(found.finding).toContain('the lowest estimate of 2 within a point is that of b: 0.05 (−0.20 to 0.30)');
  });

  it('cannot be told where an interval lies on both sides, or nothing is known of a lock', () => {
    const wide = goal(lock('a', left(0.2, 0.7)), lock('wide', left(-0.5, 0.8)));
    expect(wide).toMatchObject({
      verdict: 'unmeasured',
      finding: expect.stringContaining('too few seeds or draws to tell of wide'),
    });
    expect(goal(lock('a', left(0.2, 0.7)), lock('b')).verdict).toBe('unmeasured');
    expect(goal(lock('a', { ratio: 0.3 }))).toMatchObject({
      verdict: 'unmeasured',
      finding: 'the unlocked model cannot be told from the floor',
    });
  });

  it('holds by nothing that is left at least, and fails by nothing that is left at most', () => {
    const [few, most] = [left(0, 0.05), left(0.5, 0.9)];
    expect(goal(lock('a', few, { cost: { ...few, isLowerBound: true } })).verdict).toBe('unmeasured');
    expect(goal(lock('a', few, { cost: { ...few, isUpperBound: true } })).verdict).toBe('holds');
    expect(goal(lock('a', left(-1, 1), { cost: { ...most, isUpperBound: true } })).verdict).toBe('unmeasured');
    expect(goal(lock('a', left(-1, 1), { cost: { ...most, isLowerBound: true } })).verdict).toBe('fails');
  });

  it('holds by no lock that an attack leaves more of which the searches did not choose', () => {
    const seen = (low: number, high: number) => ({ ...left(low, high), reached: { attack: 'clipped', value: 0.7 } });
    const found = goal(lock('a', left(0, 0.05, { overlooked: seen(0.5, 0.7) })));
    expect(found).toMatchObject({
      verdict: 'unmeasured',
      finding: expect.stringContaining(
        '0.03 (0.00 to 0.05), by an attack that no search chose 0.60 (0.50 to 0.70), left',
      ),
    });
    expect(goal(lock('a', left(0, 0.05, { overlooked: seen(0.05, 0.4) }))).verdict).toBe('holds');
  });

  it('is not reached where no lock stays within a point', () => {
    expect(goal(lock('a', left(0, 0.01), { lost: [0.02] }))).toMatchObject({ verdict: 'fails' });
  });

  it('counts no lock of which a draw diverged, and says so', () => {
    const bad = lock('bad', left(0, 0.01), { diverged: 1 });
    const found = goal(bad, lock('a', left(0.2, 0.7)));
    expect(found.verdict).toBe('fails');
    expect(found.finding).toContain('bad is left out, as 1 of 2 draws diverged');
    expect(goal(lock('bad', undefined, { lost: [], diverged: 3 }), sham('a', left(0.5, 1)))).toMatchObject({
      verdict: 'unmeasured',
      finding: expect.stringContaining('3 of 3 draws diverged'),
    });
  });
});

describe('what controls leave', () => {
  const beats = (...points: FrontierPoint[]) => claimsOf('CNN', points)[1];

  it('is compared with the lock whose training the control had', () => {
    const locks = [lock('a', left(0.4, 0.5)), lock('b', left(0.4, 0.5))];
    const weak = sham('a', left(0.6, 0.9), ['a']);
    expect(beats(...locks, weak, sham('b', left(0.7, 0.8), ['b'])).verdict).toBe('holds');
    const found = beats(...locks, weak, sham('b', left(0.1, 0.2), ['b']));
    expect(found.verdict).toBe('fails');
    expect(found.finding).toContain('more: b');
    expect(found.finding).not.toContain('more: a');
    expect(beats(...locks, sham('a', left(0.6, 0.9), ['a', 'b'])).verdict).toBe('holds');
  });

  it('is beaten by no lock that an attack leaves as much of which the searches did not choose', () => {
    const own = sham('a', left(0.6, 0.9), ['a']);
    const seen = (low: number, high: number) => ({ ...left(low, high), reached: { attack: 'clipped', value: 0.7 } });
    expect(beats(lock('a', left(0, 0.1, { overlooked: seen(0.2, 0.7) })), own).verdict).toBe('unmeasured');
    expect(beats(lock('a', left(0, 0.1, { overlooked: seen(0.2, 0.5) })), own).verdict).toBe('holds');
  });

  it('of a method without training is the unlocked model, and of results that do not say specdef’s', () => {
    const own = sham('a', left(0.6, 0.9), ['a']);
    expect(beats(lock('rebalance', left(0.95, 0.99)), own).verdict).toBe('holds');
    expect(beats(lock('rebalance', left(0.9, 1.1)), own).verdict).toBe('unmeasured');
    const older = sham('specdef', left(0.6, 0.9));
    expect(beats(lock('specdef', left(0.95, 0.99)), older).verdict).toBe('fails');
    expect(beats(lock('rebalance', left(0.95, 0.99)), older).verdict).toBe('holds');
  });

  it('is never that of another lock', () => {
    const own = sham('a', left(0.1, 0.2), ['a']);
    expect(beats(lock('erase', left(0.3, 0.6)), own)).toMatchObject({
      verdict: 'unmeasured',
      finding: expect.stringMatching(/its own control was not measured: erase: 0\.45/),
    });
    expect(beats(lock('erase', left(0.3, 0.6)), sham('specdef', left(0.1, 0.2))).verdict).toBe('unmeasured');
  });

  it('is not known where it was not measured, or diverged', () => {
    expect(beats(lock('a', left(0, 0.1)))).toMatchObject({
      verdict: 'unmeasured',
      finding: expect.stringContaining('no control'),
    });
    const diverged = { ...sham('a', undefined, ['a']), lost: [], diverged: 2 };
    expect(beats(lock('a', left(0, 0.1)), diverged).verdict).toBe('unmeasured');
    expect(beats(lock('a', left(0.3, 0.6)), sham('a', left(0.5, 0.9), ['a'])).verdict).toBe('unmeasured');
  });
});
