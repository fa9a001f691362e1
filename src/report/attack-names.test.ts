import { describe, expect, it } from 'vitest';
import { attacks, factsOf, starts } from '../attacks/index.js';
import { startLabel } from './attack-names.js';

describe('startLabel', () => {
  it.each([
    ['locked', 'fine-tune', 'locked'],
    ['random weights', 'fine-tune', 'random weights'],
    ['unlocked', 'frozen', 'unlocked'],
    ['locked', 'clip', 'locked, clipped'],
    ['locked', 'rescale', 'locked, rescaled'],
    ['unlocked', 'reset', 'unlocked, reset'],
    ['locked', 'clip-reset', 'locked, clip + reset'],
    ['locked', 'clip-rescale-reset', 'locked, clip + rescale + reset'],
  ])('%s by %s', (start, attack, expected) => {
    expect(startLabel(factsOf(attacks.get(attack), starts.get(start)))).toBe(expected);
  });
});
