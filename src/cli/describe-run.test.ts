import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { describeRun, givenWords } from './describe-run.js';

it('gives command lines that a shell reads as they were given', () => {
  const words = ['plain', 'two words', '$(id) `id` $HOME', "it's", 'a "b"', 'back\\slash', 'wow!', ''];
  const line = describeRun('sample', {
    ...{ config: {}, sources: new Map(), flags: [], arguments: { data: words } },
    folder: { path: 'runs/x', resumed: false },
  });
  const given = line.slice('weightlock sample '.length, -': runs/x'.length);
  const read = execFileSync('sh', ['-c', `for word in ${given}; do printf '%s\\n' "$word"; done`], {
    encoding: 'utf8',
  });
  expect(read.split('\n').slice(0, -1)).toEqual(words);
});

it('writes options as the flags that give them', () => {
  const options = { data: { path: 'my texts', classes: [0, 1], limit: undefined }, sham: false, seed: 3, minutes: 5 };
  const keys = ['data.path', 'data.classes', 'data.limit', 'sham', 'seed', 'threads'];
  expect(givenWords(options, keys)).toEqual(['--data.path "my texts"', '--data.classes 0,1', '--no-sham', '--seed 3']);
});
