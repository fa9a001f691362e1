import { describe, expect, it } from 'vitest';
import { allocatedBytes } from './support/allocations.js';
import { computed, fuzzFile, fuzzParser, fuzzReader, parseOnly, SLOWEST } from './support/safetensors-fuzz.js';
import { largeHostileFiles } from './support/safetensors-mutations.js';

const SEED = 1;
const files = Array.from({ length: 3000 }, (_, index) => fuzzFile(SEED, index));

describe('damaged safetensors files', () => {
  it('are refused with one line, or read in full: 3,000 of them', () => {
    const { accepted, refused, kinds } = fuzzParser(files);
    expect(accepted + refused).toBe(files.length);
    // A generator whose files all die of the same cause would test nothing.
    expect(accepted).toBeGreaterThan(100);
    expect(kinds.size).toBeGreaterThan(25);
  });

  it('read from disk as they parse in memory', async () => {
    expect(await fuzzReader(files.slice(0, 500))).toBe(500);
  });
});

describe('hostile headers of 2 MiB', () => {
  it.each(largeHostileFiles(2 ** 21))('cost bounded memory and time: %s', (_, bytes) => {
    const start = computed();
    const allocated = allocatedBytes(() => parseOnly([bytes]));
    // All that is ever allocated, garbage included; measured: up to 53 for the shortest metadata keys, 40 for tensors.
    expect(allocated / bytes.length).toBeLessThan(80);
    expect(computed() - start).toBeLessThan(SLOWEST);
  });
});
