import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { optionsOf, optionsUnder, parseOptions, withChoices } from './index.js';

const entries = [
  {
    name: 'sgd',
    options: z
      .strictObject({ momentum: z.number().default(0), nesterov: z.boolean().default(false) })
      .refine(({ nesterov, momentum }) => !nesterov || momentum > 0, {
        message: 'expected momentum',
        path: ['nesterov'],
      }),
  },
  { name: 'adam', options: z.strictObject({ eps: z.number().default(1e-8) }) },
  { name: 'none', options: z.strictObject({}) },
];
const names = ['sgd', 'adam', 'none'] as const;
const one = withChoices(
  z.strictObject({ optimizer: z.enum(names).default('adam'), ...optionsOf('optimizer', entries) }),
);
const several = withChoices(
  z.strictObject({ optimizers: z.array(z.enum(names)).default(['sgd']), ...optionsOf('optimizers', entries) }),
);

describe('withChoices', () => {
  it('fills in the options of what is chosen, and of nothing else', () => {
    expect(one.parse({})).toEqual({ optimizer: 'adam', adam: { eps: 1e-8 } });
    expect(one.parse({ optimizer: 'none' })).toEqual({ optimizer: 'none', none: {} });
    const given = one.parse({ optimizer: 'sgd', sgd: { momentum: 0.9 } });
    expect(given).toEqual({ optimizer: 'sgd', sgd: { momentum: 0.9, nesterov: false } });
    expect(optionsUnder(given, 'sgd')).toEqual({ momentum: 0.9, nesterov: false });
    expect(optionsUnder(given, 'adam')).toBeUndefined();
    expect(several.parse({ optimizers: ['adam', 'sgd'], adam: { eps: 1 } })).toEqual({
      optimizers: ['adam', 'sgd'],
      adam: { eps: 1 },
      sgd: { momentum: 0, nesterov: false },
    });
  });

  it('changes nothing of what it gave, nor when it is applied twice', () => {
    const given = one.parse({ optimizer: 'sgd', sgd: { momentum: 0.9, nesterov: true } });
    expect(one.parse(given)).toEqual(given);
    expect(withChoices(one).parse(given)).toEqual(given);
    const twice = withChoices(one).safeParse({ optimizer: 'sgd', adam: {} });
    expect(twice.error?.issues[0].path).toEqual(['adam']);
    const plain = z.strictObject({ a: z.number().default(1) });
    expect(withChoices(plain)).toBe(plain);
  });

  it('refuses options of what is not chosen, an unknown option and a rule that is broken', () => {
    const refused = (schema: z.ZodObject, options: unknown) => () => parseOptions(schema, options, 'train');
    expect(refused(one, { sgd: { momentum: 0.9 } })).toThrow(
      'train.sgd: expected options of adam alone, the chosen optimizer',
    );
    expect(refused(several, { optimizers: ['sgd', 'none'], adam: {} })).toThrow(
      'train.adam: expected options of sgd, none alone, the chosen optimizers',
    );
    expect(refused(one, { adam: { momentum: 1 } })).toThrow(/^train\.adam: .*"momentum"/);
    expect(refused(one, { optimizer: 'sgd', sgd: { nesterov: true } })).toThrow(
      'train.sgd.nesterov: expected momentum',
    );
  });

  it('works inside a group', () => {
    const outer = z.strictObject({ train: one.prefault({}) });
    expect(outer.parse({})).toEqual({ train: { optimizer: 'adam', adam: { eps: 1e-8 } } });
    const issue = outer.safeParse({ train: { sgd: {} } }).error?.issues[0];
    expect(issue?.path).toEqual(['train', 'sgd']);
  });
});
