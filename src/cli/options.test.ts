import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type OptionsSchema, readOptions } from './option-spec.js';
import { flagsOf, helpOf, resolveOptions } from './options.js';

const schema = z.strictObject({
  epochs: z.int().min(1).max(1000).default(3).describe('Passes over the data.'),
  shuffle: z.boolean().default(true).describe('Shuffle each epoch.'),
  verifyEach: z.boolean().default(false).describe('Verify.'),
  method: z.enum(['specdef', 'noise']).default('specdef').describe('Lock method.'),
  layers: z.array(z.string()).default([]).describe('Names.'),
  rates: z.array(z.number().positive()).default([0.1, 0.01]).describe('Rates.'),
  optimizer: z
    .strictObject({
      name: z.string().default('adamw').describe('Optimizer.'),
      learningRate: z.number().positive().default(1e-3).describe('Step size.'),
    })
    .default({ name: 'sgd', learningRate: 0.5 }),
  retain: z.strictObject({ weight: z.number().min(0).default(1).describe('Weight.') }),
  seed: z.int().optional().describe('Seed.'),
  clip: z
    .union([z.number().positive(), z.literal('auto')])
    .default('auto')
    .describe('Clip.'),
  limit: z.number().nullable().default(null).describe('Limit.'),
});
const set = readOptions(schema);

/** Parses a command line as a command does. */
function resolve(argv: string[], file: Record<string, unknown> = {}) {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  const flags = flagsOf(set);
  for (const { option } of flags) command.addOption(option);
  command.parse(argv, { from: 'user' });
  const given = new Map<string, unknown>();
  for (const { option, spec } of flags) {
    const name = option.attributeName();
    if (command.getOptionValueSource(name) === 'cli') given.set(spec.key, command.getOptionValue(name));
  }
  return resolveOptions(schema, set, { flags: given, file: new Map(Object.entries(file)), fileName: 'a.yaml' });
}

describe('helpOf', () => {
  it('says a default once: an empty list is none, unless its description says what it stands for', () => {
    const list = (description: string, value: string[]) => {
      const { specs } = readOptions(z.strictObject({ list: z.array(z.string()).default(value).describe(description) }));
      return helpOf(specs[0]);
    };
    expect(list('names', [])).toBe('Names. (a list of: text; default: none)');
    expect(list('names; default all', [])).toBe('Names; default all. (a list of: text)');
    expect(list('names; default all', ['a', 'b'])).toBe('Names; default all. (a list of: text; default: a,b)');
  });
});

describe('readOptions', () => {
  it('derives keys, flags and words from the schema', () => {
    const facts = Object.fromEntries(set.specs.map(({ key, flag, expectation }) => [key, `${flag}: ${expectation}`]));
    expect(facts).toEqual({
      epochs: '--epochs: a whole number from 1 to 1000',
      shuffle: '--shuffle: true or false',
      verifyEach: '--verify-each: true or false',
      method: '--method: one of specdef, noise',
      layers: '--layers: a list of: text',
      rates: '--rates: a list of: a number above 0',
      'optimizer.name': '--optimizer.name: text',
      'optimizer.learningRate': '--optimizer.learning-rate: a number above 0',
      'retain.weight': '--retain.weight: a number at least 0',
      seed: '--seed: a whole number',
      clip: '--clip: a number above 0 or auto',
      limit: '--limit: a number or null',
    });
    expect(set.groups).toEqual(['optimizer', 'retain']);
    expect(set.specs.find(({ key }) => key === 'optimizer.learningRate')?.defaultValue).toBe(0.5);
  });

  it.each<[string, OptionsSchema]>([
    ['a loose object', z.object({ a: z.number() })],
    ['a loose group', z.strictObject({ a: z.object({ b: z.number() }) })],
    ['a list of objects', z.strictObject({ a: z.array(z.strictObject({ b: z.number() })) })],
    ['a date', z.strictObject({ a: z.date() })],
    ['two keys with one flag', z.strictObject({ topK: z.number(), 'top-k': z.number() })],
    ['a key that reads as a negation', z.strictObject({ noDecay: z.boolean() })],
  ])('refuses %s when the command is defined', (_, bad) => {
    expect(() => readOptions(bad)).toThrow();
  });
});

describe('resolveOptions', () => {
  it('fills in every default, those written on a group included', () => {
    expect(resolve([]).options).toEqual({
      epochs: 3,
      shuffle: true,
      verifyEach: false,
      method: 'specdef',
      layers: [],
      rates: [0.1, 0.01],
      optimizer: { name: 'sgd', learningRate: 0.5 },
      retain: { weight: 1 },
      clip: 'auto',
      limit: null,
    });
  });

  it('prefers flags to the file and the file to defaults, key by key, and knows where each came from', () => {
    const { options, sources } = resolve(['--optimizer.learning-rate', '1e-4'], {
      'optimizer.learningRate': 0.1,
      'optimizer.name': 'adam',
    });
    expect(options.optimizer).toEqual({ name: 'adam', learningRate: 1e-4 });
    expect([sources.get('optimizer.learningRate'), sources.get('optimizer.name'), sources.get('epochs')]).toEqual([
      'flag',
      'file',
      'default',
    ]);
  });

  it('counts a flag as given even when it repeats the default', () => {
    const { options, sources } = resolve(['--shuffle', '--epochs', '3'], { shuffle: false, epochs: 9 });
    expect([options.shuffle, options.epochs]).toEqual([true, 3]);
    expect([sources.get('shuffle'), sources.get('epochs'), sources.get('verifyEach')]).toEqual([
      'flag',
      'flag',
      'default',
    ]);
  });

  it.each([
    [['--no-shuffle'], { shuffle: false }],
    [['--verify-each'], { verifyEach: true }],
    [['--layers', 'a,b', '--layers', 'c'], { layers: ['a', 'b', 'c'] }],
    [['--layers', ''], { layers: [] }],
    [['--rates=1,2e-3'], { rates: [1, 0.002] }],
    [['--seed', '-7'], { seed: -7 }],
    [['--clip', '2.5'], { clip: 2.5 }],
    [['--clip', 'auto'], { clip: 'auto' }],
    [['--limit', '4'], { limit: 4 }],
    [['--optimizer.name', '7'], { optimizer: { name: '7', learningRate: 0.5 } }],
  ])('%j', (argv, expected) => {
    expect(resolve(argv).options).toMatchObject(expected);
  });

  it.each<[string[], Record<string, unknown>, string]>([
    [['--epochs', '0'], {}, 'epochs: expected a whole number from 1 to 1000, got 0 (flag --epochs)'],
    [['--epochs', '1.5'], {}, 'epochs: expected a whole number from 1 to 1000, got 1.5 (flag --epochs)'],
    [['--epochs', 'ten'], {}, 'epochs: expected a whole number from 1 to 1000, got "ten" (flag --epochs)'],
    [['--epochs', '0x10'], {}, 'got "0x10" (flag --epochs)'],
    [['--epochs', ''], {}, 'got "" (flag --epochs)'],
    [['--rates', '1,x'], {}, 'rates: expected a list of: a number above 0, got "x" (flag --rates)'],
    [['--method', 'specdeff'], {}, 'one of specdef, noise, got "specdeff" (flag --method); did you mean specdef?'],
    [[], { shuffle: 'yes' }, 'shuffle: expected true or false, got "yes" (a.yaml)'],
    [[], { layers: 'a' }, 'layers: expected a list of: text, got "a" (a.yaml)'],
    [[], { 'optimizer.learningRate': -1 }, 'optimizer.learningRate: expected a number above 0, got -1 (a.yaml)'],
    [[], { epochs: '3' }, 'epochs: expected a whole number from 1 to 1000, got "3" (a.yaml)'],
    [['--epochs', '0', '--seed', 'x'], {}, '(and 1 more)'],
    [
      ['--seed', '9007199254740993'],
      {},
      'seed: expected a whole number, of at most 9007199254740991 (larger ones are not exact), got 9007199254740993 (flag --seed)',
    ],
    [[], { seed: 2 ** 53 }, 'of at most 9007199254740991 (larger ones are not exact), got 9007199254740992 (a.yaml)'],
    [['--rates', '1,1e999'], {}, 'rates: expected a list of: a finite number above 0, got 1e999 (flag --rates)'],
    [[], { rates: [1, Number.NaN] }, 'rates: expected a list of: a finite number above 0, got .nan (a.yaml)'],
    [[], { clip: Number.POSITIVE_INFINITY }, 'clip: expected a finite number above 0 or auto, got .inf (a.yaml)'],
    [[], { limit: Number.NEGATIVE_INFINITY }, 'limit: expected a finite number or null, got -.inf (a.yaml)'],
    [[], { epochs: Number.POSITIVE_INFINITY }, 'epochs: expected a whole number from 1 to 1000, got .inf (a.yaml)'],
  ])('%j %j', (argv, file, message) => {
    expect(() => resolve(argv, file)).toThrow(message);
  });

  it('names a missing option and how to give it, and keeps the words of a custom rule', () => {
    const bad = z
      .strictObject({ target: z.string().describe('Target.'), low: z.number().default(1), high: z.number().default(2) })
      .refine(({ low, high }) => low < high, { message: 'low must be below high' })
      .refine(({ low }) => low !== 7, { message: 'must not be 7', path: ['low'] });
    const resolveBad = (flags: [string, unknown][]) =>
      resolveOptions(bad, readOptions(bad), { flags: new Map(flags), file: new Map() });
    expect(() => resolveBad([])).toThrow('target: expected text, got nothing; give --target or the key in --config');
    expect(() =>
      resolveBad([
        ['target', 'x'],
        ['low', '3'],
      ]),
    ).toThrow(/^low must be below high$/);
    expect(() =>
      resolveBad([
        ['target', 'x'],
        ['low', '7'],
        ['high', '8'],
      ]),
    ).toThrow('low: must not be 7, got 7 (flag --low)');
  });
});
