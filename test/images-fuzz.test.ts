import { describe, expect, it } from 'vitest';
import { fuzzImages, imageFormats } from './support/image-fuzz.js';

describe('damaged image files are refused with one line, or read in full', () => {
  it.each(Object.entries(imageFormats))('%s: 750 of them', async (_, format) => {
    const { accepted, refused, kinds } = await fuzzImages(format, 2, 750);
    expect(accepted + refused).toBe(750);
    // A generator whose files all die of the same cause would test nothing.
    expect(accepted).toBeGreaterThan(10);
    expect(kinds.size).toBeGreaterThan(3);
  });
});
