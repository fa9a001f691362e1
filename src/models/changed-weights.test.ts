import { expect, it } from 'vitest';
import { groupsOf } from './changed-weights.js';

const change = (...names: string[]) => ({ names, apply: () => undefined });

it('changes that share a weight are of one group, in their order, and all others of their own', () => {
  const changes = [change('a', 'b'), change('c'), change('d', 'e'), change('b', 'd'), change('c', 'f')];
  const groups = groupsOf(changes);
  expect(new Set(groups.values()).size).toBe(2);
  expect(groups.get('a')).toEqual({ names: ['a', 'b', 'd', 'e'], changes: [changes[0], changes[2], changes[3]] });
  expect(groups.get('e')).toBe(groups.get('a'));
  expect(groups.get('f')).toEqual({ names: ['c', 'f'], changes: [changes[1], changes[4]] });
  expect(groups.get('x')).toBeUndefined();
});
