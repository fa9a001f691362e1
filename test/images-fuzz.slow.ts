import { describe, expect, it } from 'vitest';
import { fuzzImages, imageFormats } from './support/image-fuzz.js';

const FILES = 30_000;

describe('damaged image files are refused with one line, or read in full, in bounded memory', () => {
  it.each(Object.entries(imageFormats))('%s: 30,000 of them', async (name, format) => {
    await fuzzImages(format, 2, 1000);
    const before = process.memoryUsage().rss;
    const { accepted, refused, kinds } = await fuzzImages(format, 3, FILES);
    const grown = (process.memoryUsage().rss - before) / 2 ** 20;
    console.log(
      `${name}: ${accepted} accepted, ${refused} refused, ${kinds.size} kinds of messages, ${grown} MiB more`,
    );
    expect(accepted).toBeGreaterThan(FILES / 50);
    expect(grown).toBeLessThan(400);
  });
});
