import { describe, expect, it } from 'vitest';
import { fuzzImages } from './support/image-fuzz.js';
import { textFormats } from './support/text-fuzz.js';

const FILES = 10_000;

describe('damaged text files are refused with one line, or read in full, in bounded memory', () => {
  it.each(Object.entries(textFormats))('%s: 10,000 of them', async (name, format) => {
    await fuzzImages(format, 4, 300);
    const before = process.memoryUsage().rss;
    const { accepted, refused, kinds } = await fuzzImages(format, 5, FILES);
    const grown = (process.memoryUsage().rss - before) / 2 ** 20;
    console.log(
      `${name}: ${accepted} accepted, ${refused} refused, ${kinds.size} kinds of messages, ${grown} MiB more`,
    );
    expect(accepted).toBeGreaterThan(FILES / 50);
    expect(grown).toBeLessThan(400);
  });
});
