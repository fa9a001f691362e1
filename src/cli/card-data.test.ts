import { describe, expect, it } from 'vitest';
import { flagsOfCard } from './card-data.js';

const card = (options: Record<string, unknown>) => ({ data: { title: 'examples', options, trainExamples: 9 } });

describe('the flags that name what a card was written of', () => {
  it('ask for a path where the data set needs one, or is not known by name', () => {
    expect(flagsOfCard(card({ name: 'digits', classes: [0, 2] }), 'retain')).toBe(
      '--retain.name digits --retain.classes 0,2',
    );
    expect(flagsOfCard(card({ name: 'mnist', classes: [] }), 'retain')).toBe('--retain.name mnist --retain.path PATH');
    expect(flagsOfCard(card({ classes: [] }), 'authorized')).toBe('--authorized.path PATH');
  });

  it('are none of a card that does not say, and hold nothing of a stranger that is no such value', () => {
    expect(flagsOfCard({}, 'retain')).toBeUndefined();
    const hostile = card({ name: 'digits; rm -rf .', classes: ['$(id)'] });
    expect(flagsOfCard(hostile, 'retain')).toBe('--retain.path PATH');
  });
});
