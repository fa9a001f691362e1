import { z } from 'zod';
import { powerOfTwo, symmetryOptions } from './options.js';

/** Options of `spectral-closed`. */
export const spectralOptions = z.strictObject({
  factor: powerOfTwo(4096).default(16).describe('by how much the singular values rise, a power of two'),
  topK: z
    .int()
    .min(1)
    .max(64)
    .default(4)
    .describe('how many of the largest rise, where a matrix may stand behind; all of them elsewhere'),
  ...symmetryOptions,
});

/** Parsed options of `spectral-closed`. */
export type SpectralOptions = z.output<typeof spectralOptions>;
