import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { canonicalJson, configHash, firstDifference } from './config-hash.js';

describe('canonicalJson', () => {
  it('writes the example of RFC 8785, section 3.2.2 and 3.2.3', () => {
    const input = JSON.parse(String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`);
    expect(canonicalJson(input)).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  it('does not depend on the order of keys', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).reverse());
        expect(canonicalJson(reversed)).toBe(canonicalJson(value));
      }),
    );
  });

  it('tells neighbouring doubles apart', () => {
    expect(canonicalJson(0.1 + 0.2)).not.toBe(canonicalJson(0.3));
  });

  it.each([
    [{ a: [1, Number.NaN] }, 'a[1]'],
    [{ a: { b: Number.POSITIVE_INFINITY } }, 'a.b'],
    [{ size: 1n }, 'size'],
    [{ when: new Date(0) }, 'when: expected plain JSON data, found a Date'],
    [{ list: [undefined] }, 'list[0]'],
  ])('refuses what has no exact form: %o', (value, words) => {
    expect(() => canonicalJson(value)).toThrow(words);
  });
});

describe('configHash', () => {
  it("equals Python's hashlib over json.dumps(sort_keys=True, separators=(',', ':'))", () => {
    const optimizer = { name: 'adamw', learningRate: 0.001, betas: [0.9, 0.999] };
    expect(configHash('lock', { threads: 2, optimizer, alpha: 0.5, label: 'é' })).toBe('c58620f4a857');
  });

  it('differs between commands and between configurations, and ignores undefined', () => {
    const hashes = [configHash('lock', { a: 1 }), configHash('attack', { a: 1 }), configHash('lock', { a: '1' })];
    expect(new Set(hashes).size).toBe(3);
    expect(configHash('lock', { a: 1, b: undefined })).toBe(hashes[0]);
  });
});

describe('a configuration written as YAML', () => {
  it('reads back to the same canonical JSON', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const plain: unknown = JSON.parse(canonicalJson(value));
        expect(canonicalJson(parse(stringify(plain)))).toBe(canonicalJson(value));
      }),
    );
  });
});

describe('firstDifference', () => {
  it('names the key and both values', () => {
    const left = { a: 1, b: { c: [1, 2] } };
    expect(firstDifference(left, { a: 1, b: { c: [1, 3] } })).toEqual({ key: 'b.c[1]', expected: 2, found: 3 });
    expect(firstDifference(left, { a: 1 })).toEqual({ key: 'b', expected: { c: [1, 2] }, found: undefined });
    expect(firstDifference(left, structuredClone(left))).toBeUndefined();
    expect(firstDifference({}, [])).toMatchObject({ key: '(root)' });
  });
});
