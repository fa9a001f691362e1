import { describe, expect, it } from 'vitest';
import { fuzzImages } from './support/image-fuzz.js';
import { textFormats } from './support/text-fuzz.js';

describe('damaged text files are refused with one line, or read in full', () => {
  it.each(Object.entries(textFormats))('%s: 300 of them', async (_, format) => {
    const { accepted, refused, kinds } = await fuzzImages(format, 4, 300);
    expect(accepted + refused).toBe(300);
    // A generator whose files all die of the same cause would test nothing.
    expect(accepted).toBeGreaterThan(10);
    expect(kinds.size).toBeGreaterThan(3);
  });
});
