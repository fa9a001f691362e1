import { describe, expect, it, vi } from 'vitest';
import { didYouMean } from './suggest.js';

const keys = ['epochs', 'batchSize', 'optimizer.learningRate', 'optimizer.name', 'topK', 'alpha'];

describe('didYouMean', () => {
  it.each([
    ['epoch', 'epochs'],
    ['epcohs', 'epochs'],
    ['batch-size', 'batchSize'],
    ['batch_size', 'batchSize'],
    ['learningRate', 'optimizer.learningRate'],
    ['optimizer.learning-rate', 'optimizer.learningRate'],
    ['optimiser.name', 'optimizer.name'],
    ['topk', 'topK'],
    ['alhpa', 'alpha'],
  ])('%s -> %s', (typed, meant) => {
    expect(didYouMean(typed, keys)).toBe(`; did you mean ${meant}?`);
  });

  it.each(['', 'x', 'dataset', 'checkpointInterval'])('nothing near %s', (typed) => {
    expect(didYouMean(typed, keys)).toBe('');
  });

  it('is quick on a hostile name', () => {
    // The distance costs the product of both lengths: what is compared is cut short.
    const lowered = vi.spyOn(String.prototype, 'toLowerCase');
    const found = didYouMean('a'.repeat(1e6), Array(100).fill('b'.repeat(1e5)));
    const longest = Math.max(...lowered.mock.contexts.map((name) => String(name).length));
    lowered.mockRestore();
    expect(found).toBe('');
    expect(longest).toBe(64);
  });
});
