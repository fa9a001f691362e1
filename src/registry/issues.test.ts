import { expect, it } from 'vitest';
import { z } from 'zod';
import { inWords } from './issues.js';

const kind = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('a') }),
  z.strictObject({ kind: z.literal('b') }),
]);

it.each<[z.ZodType, unknown, string]>([
  [z.string(), undefined, 'expected text, got nothing'],
  [z.string(), 3, 'expected text, got 3'],
  [z.number(), Number.NaN, 'expected a number, got .nan'],
  [z.int(), 1.5, 'expected a whole number, got 1.5'],
  [z.boolean(), 'yes', 'expected true or false, got "yes"'],
  [z.array(z.string()), 'a', 'expected a list, got "a"'],
  [z.array(z.string()).min(1), [], 'expected a list of at least 1 item, got []'],
  [z.array(z.string()).length(2), ['a'], 'expected a list of 2 items, got ["a"]'],
  [z.tuple([z.number(), z.number()]), [1], 'expected a list of at least 2 items, got [1]'],
  [z.string().max(3), 'four', 'expected text of at most 3 characters, got "four"'],
  [z.number().min(1), 0, 'expected a number at least 1, got 0'],
  [z.number().gt(0), 0, 'expected a number above 0, got 0'],
  [z.number().lt(1), 1, 'expected a number below 1, got 1'],
  [z.number().multipleOf(4), 3, 'expected a multiple of 4, got 3'],
  [z.string().regex(/^a/), 'b', 'expected text matching /^a/, got "b"'],
  [z.enum(['a', 'b']), 'c', 'expected one of a, b, got "c"'],
  [z.literal(false), true, 'expected false, got true'],
  [z.union([z.number(), z.literal('auto')]), null, 'expected a number or auto, got null'],
  [z.union([z.strictObject({ a: z.number() }), z.null()]), 'x', 'expected an object or null, got "x"'],
  [z.union([z.strictObject({ a: z.number() }), z.null()]), { a: 'x' }, 'a: expected a number, got "x"'],
  [kind, { kind: 'c' }, 'expected one of a, b, got "c"'],
  [
    z.strictObject({ low: z.number(), high: z.number() }),
    { low: 1, high: 2, hihg: 3 },
    'unknown key "hihg", expected only low, high; did you mean high?',
  ],
  [z.strictObject({}), { a: 1 }, 'unknown key "a", expected no options'],
  [z.string().refine(() => false, 'expected another name'), 'x', 'expected another name'],
])('%# says what was expected and what came', (schema, value, message) => {
  expect(schema.safeParse(value, { error: inWords }).error?.issues[0]?.message).toContain(message);
});

it('says the place within the alternative that fits best', () => {
  const found = z.union([z.strictObject({ a: z.number() }), z.strictObject({ b: z.number(), c: z.number() })]);
  expect(found.safeParse({ a: 'x' }, { error: inWords }).error?.issues[0]?.message).toBe(
    'a: expected a number, got "x"',
  );
});

it('keeps codes of a hostile value out of the message, and its length', () => {
  const [issue] = z.number().safeParse(`\u001b[2J${'x'.repeat(500)}`, { error: inWords }).error?.issues ?? [];
  expect(issue?.message.length).toBeLessThan(120);
  expect(issue?.message).not.toContain('\u001b');
});
