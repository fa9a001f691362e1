import { describe, expect, it } from 'vitest';
import { InputError } from '../registry/index.js';
import { parseConfig, readConfigFile } from './config-file.js';

const known = {
  keys: new Set(['epochs', 'layers', 'note', 'optimizer.name', 'optimizer.learningRate']),
  groups: new Set(['optimizer']),
};
const read = (text: string) => Object.fromEntries(parseConfig(new TextEncoder().encode(text), 'a.yaml', known));

describe('parseConfig', () => {
  it('joins groups by dots, and accepts keys written so', () => {
    expect(read('epochs: 3\noptimizer:\n  name: sgd\n  learningRate: 1e-3\nlayers: [a, b]\n')).toEqual({
      epochs: 3,
      'optimizer.name': 'sgd',
      'optimizer.learningRate': 0.001,
      layers: ['a', 'b'],
    });
    expect(read('optimizer.name: sgd')).toEqual({ 'optimizer.name': 'sgd' });
  });

  it('takes an empty file and comments as no values', () => {
    expect(read('')).toEqual({});
    expect(read('# nothing\n')).toEqual({});
  });

  it('reads YAML 1.2: no is a word', () => {
    expect(read('note: no')).toEqual({ note: 'no' });
  });

  it.each([
    ['epoch: 3', 'a.yaml: unknown key "epoch"; did you mean epochs?'],
    ['optimizer:\n  learning-rate: 1', 'unknown key "optimizer.learning-rate"; did you mean optimizer.learningRate?'],
    ['__proto__: 1', 'unknown key "__proto__"'],
    ['optimizer: sgd', 'a.yaml: optimizer: expected keys with values, got "sgd"'],
    ['optimizer:', 'optimizer: expected keys with values, got nothing'],
    ['- 1\n- 2', 'top level: expected keys with values, got a list'],
    ['just words', 'top level'],
    ['epochs: 1\nepochs: 2', 'a.yaml: expected YAML, Map keys must be unique at line 2, column 1'],
    ['optimizer.name: a\noptimizer: {name: b}', 'key "optimizer.name" is given twice'],
    ['epochs: [1', 'a.yaml: expected YAML, '],
    ['epochs: !!js/function "x"', 'a.yaml: expected YAML, '],
    ['epochs: 1\n---\nepochs: 2', 'a.yaml: expected YAML, '],
    ['epochs: *nothing', 'a.yaml: expected YAML, '],
    ['['.repeat(100_000), 'a.yaml: expected YAML, '],
  ])('refuses %.60s', (text, message) => {
    expect(() => read(text)).toThrow(InputError);
    expect(() => read(text)).toThrow(message);
    expect(() => read(text)).toThrow(/^[^\n]*$/);
  });

  it('refuses a bomb of aliases, which read in full would be gigabytes', () => {
    const rows = ['note: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 10; i++)
      rows.push(
        `k${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    expect(() => read(rows.join('\n'))).toThrow(/a\.yaml: expected YAML, .*alias/i);
  });

  it('refuses bytes that are no UTF-8, and a missing file', async () => {
    expect(() => parseConfig(Uint8Array.of(0x61, 0xff), 'a.yaml', known)).toThrow('a.yaml: expected UTF-8 text');
    await expect(readConfigFile('no/such.yaml', known)).rejects.toThrow('no/such.yaml: expected a file, found nothing');
  });
});
