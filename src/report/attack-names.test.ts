import { describe, expect, it } from 'vitest';
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
    ['locked', 'new-kind', 'locked, new-kind'],
    ['locked', '__proto__', 'locked, __proto__'],
  ])('%s by %s', (start, attack, expected) => expect(startLabel({ start, attack })).toBe(expected));
});
