import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { InputError, WeightlockError } from './errors.js';
import { parseOptions, Registry, suggest } from './index.js';

describe('Registry', () => {
  const make = () => new Registry('optimizer', [{ name: 'sgd' }, { name: 'adam' }, { name: 'adadelta' }]);

  it('finds entries and keeps the order of registration', () => {
    const registry = make();
    const late = { name: 'adagrad' };
    registry.register(late);
    expect(registry.get('adagrad')).toBe(late);
    expect(registry.names()).toEqual(['sgd', 'adam', 'adadelta', 'adagrad']);
    expect(registry.entries().map(({ name }) => name)).toEqual(registry.names());
  });

  it('names the known entries and the nearest one when a name is unknown', () => {
    const find = (name: string) => () => make().get(name);
    expect(find('adma')).toThrow(InputError);
    expect(find('adma')).toThrow('optimizer: expected one of sgd, adam, adadelta, found "adma"; did you mean "adam"?');
    expect(find('lion')).toThrow(/found "lion"$/);
    expect(find('__proto__')).toThrow(InputError);
    expect(find('')).toThrow(/found ""$/);
  });

  it('refuses a name twice', () => {
    expect(() => make().register({ name: 'sgd' })).toThrow(WeightlockError);
    expect(() => new Registry('lock', [{ name: 'a' }, { name: 'a' }])).toThrow('lock: expected a new name, "a"');
    const registry = make();
    registry.names().pop();
    registry.entries().pop();
    expect(registry.names()).toHaveLength(3);
  });
});

describe('suggest', () => {
  it.each([
    ['weight_decay', 'weightDecay'],
    ['momentom', 'momentum'],
    ['ADAM', 'adam'],
    ['adamww', 'adamw'],
    ['sdg', 'sgd'],
    ['nesterv', 'nesterov'],
  ])('%s means %s', (typed, meant) => {
    expect(suggest(typed, ['sgd', 'adam', 'adamw', 'momentum', 'weightDecay', 'nesterov'])).toBe(meant);
  });

  it('stays silent when nothing is near', () => {
    expect(suggest('lion', ['sgd', 'adam'])).toBeUndefined();
    expect(suggest('x', ['y', 'z'])).toBeUndefined();
    expect(suggest('', ['', 'a'])).toBeUndefined();
    expect(suggest('adam', [])).toBeUndefined();
  });

  it('takes the nearest, and the first among equals', () => {
    expect(suggest('adamx', ['adaxy', 'adamw', 'adamz'])).toBe('adamw');
    expect(suggest('adam', ['adamw', 'adam'])).toBe('adam');
  });

  it('is quick with a hostile name', () => {
    // Names whose lengths alone say that they are not near are never looked into; the distance would cost their product.
    const lowered = vi.spyOn(String.prototype, 'toLowerCase');
    const found = suggest('a'.repeat(1_000_000), ['adam', 'sgd']);
    const looked = lowered.mock.contexts.map(String);
    lowered.mockRestore();
    expect(found).toBeUndefined();
    expect(looked.filter((name) => ['adam', 'sgd'].includes(name))).toEqual([]);
    expect(looked.length).toBe(1);
  });
});

describe('parseOptions', () => {
  const schema = z.strictObject({ momentum: z.number().default(0), inner: z.strictObject({ a: z.int() }).optional() });

  it('fills in defaults', () => {
    expect(parseOptions(schema, {}, 'sgd')).toEqual({ momentum: 0 });
  });

  it('names each wrong key', () => {
    const parse = (options: unknown) => () => parseOptions(schema, options, 'sgd');
    expect(parse({ momentom: 1 })).toThrow(InputError);
    expect(parse({ momentom: 1 })).toThrow(
      'sgd: unknown key "momentom", expected only momentum, inner; did you mean momentum?',
    );
    expect(parse({ momentum: 'a' })).toThrow(/^sgd\.momentum: expected a number, got "a"$/);
    expect(parse({ inner: { a: 0.5 } })).toThrow(/^sgd\.inner\.a: /);
    expect(parse({ inner: { a: 1, b: 2 } })).toThrow(/^sgd\.inner: .*"b"/);
    expect(parse(null)).toThrow(/^sgd: /);
    expect(() => parseOptions(z.strictObject({}), { a: 1 }, 'identity')).toThrow(
      'identity: unknown key "a", expected no options',
    );
  });
});
