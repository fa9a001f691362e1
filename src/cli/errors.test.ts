import { CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { InputError, InterruptedError, WeightlockError } from '../registry/index.js';
import { describeFailure } from './errors.js';

describe('describeFailure', () => {
  it.each<[unknown, string | undefined, number]>([
    [new InputError('a.bin: expected 8 bytes, found 3'), 'error: a.bin: expected 8 bytes, found 3', 2],
    [new WeightlockError('the signature does not hold'), 'error: the signature does not hold', 1],
    [new InterruptedError('stopped at step 7'), 'stopped at step 7', 130],
    [new CommanderError(0, 'commander.helpDisplayed', '(outputHelp)'), undefined, 0],
    [
      new CommanderError(1, 'commander.unknownOption', "error: unknown option '--x'\n(Did you mean --y?)"),
      "error: unknown option '--x'; did you mean --y?",
      2,
    ],
    [z.strictObject({ a: z.number() }).safeParse({ a: 'x' }).error, 'error: a: expected a number', 2],
    [
      z
        .string()
        .refine(() => false, 'expected a name')
        .safeParse('x').error,
      'error: expected a name',
      2,
    ],
    [
      new TypeError('x is not a function'),
      'error: TypeError: x is not a function (unexpected; --debug shows where)',
      1,
    ],
    ['a thrown text', 'error: a thrown text (unexpected; --debug shows where)', 1],
  ])('%s', (error, message, exitCode) => {
    expect(describeFailure(error)).toEqual({ message, exitCode });
  });

  it('keeps line breaks and terminal codes of a hostile name out', () => {
    const { message } = describeFailure(new InputError('tensor a\n\u001b[2Jb\u0085\u2028c: bad'));
    expect(message).toBe('error: tensor a �[2Jb c: bad');
  });

  it('shows the stack and its cause with --debug only', () => {
    const error = new InputError('outer', { cause: new Error('inner') });
    expect(describeFailure(error).message).not.toContain('errors.test');
    const { message, exitCode } = describeFailure(error, { debug: true });
    expect(message).toMatch(/^error: outer\n[\s\S]*errors\.test[\s\S]*caused by: Error: inner/);
    expect(exitCode).toBe(2);
  });
});
