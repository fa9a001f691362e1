import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { withJsonKeys } from './config-text.js';

describe('keys put into the text of a JSON object', () => {
  it('leaves all else as it is written', () => {
    const text = '{\n  "eps": 1.0,\n  "list": ["a,}", {"x": "\\"]"}],\n  "n" : 2 ,\n  "last": {"n": 3}\n}\n';
    expect(withJsonKeys(text, { n: [5], new: 1 })).toBe(
      '{\n  "eps": 1.0,\n  "list": ["a,}", {"x": "\\"]"}],\n  "n" : [\n    5\n  ] ,\n  "last": {"n": 3},\n  "new": 1\n}\n',
    );
    expect(withJsonKeys('{}', { a: 1 })).toBe('{\n  "a": 1\n}\n');
  });

  it('is what assigning the keys gives, for any objects', () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true });
    fc.assert(
      fc.property(object, object, fc.constantFrom(undefined, 1, 2), (before, keys, indent) => {
        expect(JSON.parse(withJsonKeys(JSON.stringify(before, null, indent), keys))).toEqual(
          JSON.parse(JSON.stringify({ ...before, ...keys })),
        );
      }),
    );
  });
});
