import fc from 'fast-check';
import { expect, it } from 'vitest';
import { matchesAny } from './index.js';

it('a pattern matches a whole name, with any characters for each *', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), maxLength: 8 });
  fc.assert(
    fc.property(text, fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 }), (pattern, name) => {
      const expression = new RegExp(`^${pattern.replaceAll('.', '[.]').replaceAll('*', '.*')}$`);
      expect(matchesAny([pattern])(name)).toBe(expression.test(name));
    }),
  );
  expect(matchesAny([])('a')).toBe(false);
  expect(matchesAny(['b', 'fc*.weight'])('fc1.weight')).toBe(true);
});

it('a pattern that would keep a regular expression busy for years takes no time', () => {
  expect(matchesAny([`${'*a'.repeat(40)}b`])('a'.repeat(200))).toBe(false);
});
