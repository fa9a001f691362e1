import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { describeRun } from './describe-run.js';

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
