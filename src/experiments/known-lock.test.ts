import { describe, expect, it } from 'vitest';
import { lockMethods, specdef, stagedLock } from '../locks/index.js';
import { initializeModel, type ModelCard } from '../models/index.js';
import { parseOptions } from '../registry/index.js';
import { attackOptions } from './jobs/attack-options.js';
import { lockOfCard, optionsOfKnown, whatIsKnown } from './known-lock.js';

const model = initializeModel('cnn', { num_labels: 3, channels: [4, 6], hidden_sizes: [12, 10, 8] }, 1);
const attack = (options: object) => parseOptions(attackOptions, options, 'attack');

/** A card as it is read back from its JSON. */
const card = (method: string, options: object): ModelCard => ({
  lock: { method, options: JSON.parse(JSON.stringify(options)), steps: 3, sigma: [] },
});
const known = (method: string, options: object) => {
  const found = lockOfCard(card(method, options), model);
  expect(found.problem).toBeUndefined();
  if (!found.known) throw new Error('expected a known lock');
  return found.known;
};
const full = (options: object) => specdef.options.parse(options);

describe('what a card says of its lock', () => {
  it('gives options to the transforms and parts that undo it', () => {
    const lock = known('specdef', full({ topK: 16, include: ['fc*'] }));
    const { clip, subtract, 'beside-top': beside } = optionsOfKnown(lock, attack({}));
    expect(clip).toEqual({ topK: 16, include: ['fc*'], lead: { topK: 8, include: [] } });
    expect([subtract, beside]).toEqual([
      { topK: 16, include: ['fc*'] },
      { topK: 16, include: ['fc*'] },
    ]);
    expect(whatIsKnown(lock)).toBe(
      'Taken for known: specdef raised 16 singular values of the matrices fc*; options that were given stay.',
    );
  });

  it('leaves options where they were given, also as what they are by default', () => {
    const lock = known('specdef', full({ topK: 16, lead: { share: 0.5, topK: 6 } }));
    const options = attack({ clip: { topK: 9, lead: { topK: 3 } }, preconditioned: { power: 1 } });
    const found = optionsOfKnown(lock, options);
    expect(found.clip).toEqual({ topK: 9, lead: { topK: 3, include: ['*conv*'] } });
    expect(found.preconditioned).toMatchObject({ topK: 16, power: 1 });
    const flags = (key: string) => key === 'clip.topK';
    expect(optionsOfKnown(lock, attack({ clip: { topK: 4 } }), flags).clip).toMatchObject({ topK: 4 });
    expect(optionsOfKnown(lock, attack({ clip: { topK: 4 } })).clip).toMatchObject({ topK: 16 });
  });

  it('tells what share of fresh numbers was mixed in, and no more of spectra', () => {
    const redistil = lockMethods.get('redistil');
    const lock = known('redistil', redistil.options.parse({ a: 0.35, exclude: ['fc3*'] }));
    const found = optionsOfKnown(lock, attack({}));
    expect(Object.keys(found)).toEqual(['unmix']);
    expect(found.unmix).toMatchObject({ a: 0.35, include: ['*'], exclude: ['fc3*'] });
    expect(optionsOfKnown(lock, attack({ unmix: { seeds: [77] } })).unmix).toMatchObject({ a: 0.35, seeds: [77] });
    expect(whatIsKnown(lock)).toBe(
      'Taken for known: redistil mixed 35 % of fresh numbers into the weights; options that were given stay.',
    );
  });

  it('may be of several stages', () => {
    const stages = stagedLock([lockMethods.get('erase'), specdef]);
    const options = parseOptions(stages.options, { erase: {}, specdef: { topK: 3 } }, 'stages');
    expect(whatIsKnown(known(stages.name, options))).toContain(
      'erase,specdef raised 3 singular values of each matrix;',
    );
    expect(whatIsKnown(known('specdef,specdef', { specdef: full({ topK: 2 }) }))).toContain('raised 2 singular values');
  });

  it('is nothing of the control, of locks that raise nothing, and of no lock', () => {
    expect(lockOfCard({}, model)).toEqual({});
    for (const lock of [
      known('specdef', full({ alpha: 1 })),
      known('erase', lockMethods.get('erase').options.parse({})),
    ]) {
      expect([optionsOfKnown(lock, attack({})), whatIsKnown(lock)]).toEqual([{}, undefined]);
    }
  });

  it.each([
    ['another method', 'specdeff', full({}), /expected one of specdef, .*found "specdeff"; did you mean "specdef"\?/],
    ['none', '', {}, /expected one of specdef/],
    ['too many stages', Array(17).fill('specdef').join(','), { specdef: full({}) }, /at most 16 stages, got 17/],
    [
      'an unknown option',
      'specdef',
      { ...full({}), evil: 1 },
      /options of specdef: unknown key "evil", expected only /,
    ],
    ['an impossible value', 'specdef', { ...full({}), topK: 1e9 }, /options of specdef: topK: /],
    ['another form', 'specdef', { ...full({}), include: '*' }, /options of specdef: include: /],
    ['matrices of another model', 'specdef', full({ include: ['encoder.*'] }), /expected a pattern that matches/],
    ['too much', 'specdef', full({ include: Array(20_000).fill('fc*') }), /at most 100000 characters/],
    [
      'many wrong keys',
      'erase',
      Object.fromEntries([...Array(900).keys()].map((n) => [`k${n}`, n])),
      /unknown key "k0"/,
    ],
    ['a stage of which it says nothing', 'erase,specdef', { specdef: 7 }, /options of erase,specdef: erase: /],
  ])('is left aside in one line where it names %s', (_, method, options, expected) => {
    const { known: found, problem = '' } = lockOfCard(card(method, options), model);
    expect(found).toBeUndefined();
    expect(problem).toMatch(/^README\.md: lock: [^\n]+; what it says of the lock is not used$/);
    expect(problem.length).toBeLessThan(400);
    expect(problem).toMatch(expected);
  });
});
