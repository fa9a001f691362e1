import { describe, expect, it } from 'vitest';
import { allocatedBytes } from './support/allocations.js';
import { computed, fuzzFile, fuzzParser, fuzzReader, parseOnly, SLOWEST } from './support/safetensors-fuzz.js';
import { largeHostileFiles } from './support/safetensors-mutations.js';

const SEED = 2;
const FILES = 100_000;
const BATCH = 2_000;

describe('damaged safetensors files', () => {
  it('are refused with one line, or read in full: 100,000 of them, in bounded memory and time', async () => {
    let accepted = 0;
    let largest = 0;
    let slowest = 0;
    const kinds = new Set<string>();
    for (let first = 0; first < FILES; first += BATCH) {
      const files = Array.from({ length: BATCH }, (_, i) => fuzzFile(SEED, first + i));
      const result = fuzzParser(files);
      accepted += result.accepted;
      slowest = Math.max(slowest, result.slowest);
      for (const kind of result.kinds) kinds.add(kind);
      largest = Math.max(largest, allocatedBytes(() => parseOnly(files)) / result.bytes);
      await fuzzReader(files.slice(0, 100));
    }
    console.log(
      `${FILES} files: ${accepted} accepted, ${kinds.size} kinds of messages, slowest ${(1000 * slowest).toFixed(1)} ms, ` +
        `allocated ${largest.toFixed(1)} times the input in the worst batch`,
    );
    expect(accepted).toBeGreaterThan(FILES / 50);
    expect(kinds.size).toBeGreaterThan(30);
    expect(largest).toBeLessThan(80);
  });
});

describe('hostile headers of 99 MB', () => {
  it.each(largeHostileFiles(99_000_000))('cost bounded memory and time: %s', (_, bytes) => {
    const start = computed();
    const allocated = allocatedBytes(() => parseOnly([bytes]));
    // The cap on keys holds where a multiple of the input would be gigabytes.
    expect(allocated).toBeLessThan(2 ** 30);
    expect(computed() - start).toBeLessThan(SLOWEST);
  });
});
