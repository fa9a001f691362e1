import { describe, expect, it } from 'vitest';
import { nextToken, requireSampling, type Sampling } from './sampling.js';

const logits = Float32Array.from([0.2, 0.5, 0.05, 0.25], Math.log);

/** How often each token is drawn. */
function shares(sampling: Sampling, draws = 20_000): number[] {
  const counts = [0, 0, 0, 0];
  for (let index = 0; index < draws; index++) counts[nextToken(logits, sampling, index)]++;
  return counts.map((count) => count / draws);
}

describe('the next token', () => {
  it('is the likeliest without a temperature, the first of equal ones', () => {
    expect(nextToken(logits, {}, 0)).toBe(1);
    expect(nextToken(Float32Array.of(1, 3, 3, 2), { temperature: 0, topK: 2 }, 7)).toBe(1);
  });

  // Four deviations of 20,000 draws of a half are 0.014.
  it.each<[string, Sampling, number[]]>([
    ['as likely as it is', { temperature: 1 }, [0.2, 0.5, 0.05, 0.25]],
    ['with powers of its probability', { temperature: 0.5 }, [0.04, 0.25, 0.0025, 0.0625].map((p) => p / 0.355)],
    ['among the likeliest', { temperature: 1, topK: 2 }, [0, 2 / 3, 0, 1 / 3]],
    ['among all, where there are not so many', { temperature: 1, topK: 9 }, [0.2, 0.5, 0.05, 0.25]],
    ['among those that have the mass together', { temperature: 1, topP: 0.7 }, [0, 2 / 3, 0, 1 / 3]],
    ['among them with the one that crosses it', { temperature: 1, topP: 0.76 }, [4 / 19, 10 / 19, 0, 5 / 19]],
    ['the likeliest at least', { temperature: 1, topP: 0.01 }, [0, 1, 0, 0]],
    ['by temperature, then count, then mass of what is left', { temperature: 1, topK: 3, topP: 0.52 }, [0, 1, 0, 0]],
  ])('is drawn %s', (_, sampling, expected) => {
    for (const [token, share] of shares(sampling).entries()) {
      expect(Math.abs(share - expected[token]), `${token}`).toBeLessThan(0.015);
    }
  });

  it('is the same for a seed, and others for another', () => {
    const draw = (seed: number) => Array.from({ length: 30 }, (_, i) => nextToken(logits, { temperature: 1, seed }, i));
    expect(draw(3)).toEqual(draw(3));
    expect(draw(3)).not.toEqual(draw(4));
  });

  it('is not drawn by what cannot be', () => {
    expect(() => requireSampling({ temperature: -1 })).toThrow('temperature: expected a number from 0, found -1');
    expect(() => requireSampling({ topK: 0 })).toThrow('topK: expected a whole number from 1, found 0');
    expect(() => requireSampling({ topP: 0 })).toThrow('topP: expected a number above 0 and up to 1, found 0');
    expect(() => requireSampling({ temperature: 1, topK: 40, topP: 0.9 })).not.toThrow();
  });
});
