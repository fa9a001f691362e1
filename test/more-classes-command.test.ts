import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AttackRow } from '../src/attacks/index.js';
import { runCommand } from './support/run-command.js';

let root: string;
const weightlock = (...args: string[]) => runCommand(root, args);
const five = ['--data.classes', '3,4,5,6,7', '--data.test-limit', '100'];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-more-classes-'));
  const own = ['--architecture', 'mlp', '--data.classes', '0,1,2', '--steps', '60', '--quiet'];
  const made = await weightlock('train', 'model', ...own);
  expect(made.status, made.stderr).toBe(0);
});
afterAll(() => rm(root, { recursive: true }));

describe('examples of more classes than a model has', () => {
  it('are attacked with a new head, on every start, and the released one keeps the authorized task', async () => {
    const { status, stdout, stderr } = await weightlock(
      ...['attack', 'model', ...five, '--retain.classes', '0,1,2', '--retain.test-limit', '100'],
      ...['--attacks', 'fine-tune,head,distil,frozen', '--optimizers', 'adamw', '--distil.learning-rates', '0.01'],
      ...['--search', 'sobol', '--trials', '2', '--search-rates', '0.009,0.011', '--search-seeds', '9'],
      ...['--seeds', '1', '--cost-steps', '30', '--cost-batch-size', '32', '--score-steps', '30', '--per-class', '0'],
      ...['--target', '0.3', '--workers', '0', '--json'],
    );
    expect(status, stderr).toBe(0);
    const { rows } = JSON.parse(stdout) as { rows: AttackRow[] };
    const trials = new Map(rows.map(({ start, kind, result }) => [`${start}: ${kind}`, result.trials[0]]));
    // Guessing gives a fifth.
    for (const name of ['locked: fine-tune', 'random weights: fine-tune', 'locked: distil', 'locked: frozen']) {
      expect(trials.get(name)?.score, name).toBeGreaterThan(0.4);
    }
    const { before = 0, after } = trials.get('locked: head')?.utility ?? {};
    expect(before).toBeGreaterThan(0.9);
    expect(after).toBe(before);
    // One budget with all examples: one run says both.
    const ofBoth = rows.filter(({ start, kind }) => start === 'locked' && kind === 'fine-tune');
    expect(ofBoth.map(({ measure }) => measure)).toEqual(['cost', 'score']);
    expect(ofBoth[0].result).toEqual(ofBoth[1].result);
    expect(ofBoth[0].result.trials[0].cost).toBeLessThan(30);
    expect(ofBoth[0].result.trials[0].evaluations).toBe(30);
  });

  it('are said to need one, once where two models are the same', async () => {
    const { stderr } = await weightlock('attack', 'model', '--unlocked', 'model', ...five, '--dry-run');
    const said = stderr.replaceAll(/\s+/g, ' ').split('model has 3 classes, not 5: fc3.weight [5, 64], fc3.bias [5]');
    expect(said).toHaveLength(2);
  });

  it('are trained on from its weights, with a new head', async () => {
    const { status, stderr } = await weightlock('train', 'more', '--from', 'model', ...five, '--steps', '60');
    expect(status, stderr).toBe(0);
    expect(stderr.replaceAll(/\s+/g, ' ')).toContain('drawn anew from seed 1, not trained');
    const { stdout } = await weightlock('evaluate', 'more', ...five, '--json');
    expect((JSON.parse(stdout) as { metrics: { accuracy: number } }).metrics.accuracy).toBeGreaterThan(0.6);
  });

  it.each([
    ['lock', 'model', 'locked'],
    ['evaluate', 'model'],
    ['attack', 'model', '--unlocked', 'model', '--data.label-flips'],
  ])('are none of the task that it is released for: %s', async (...command) => {
    const { status, stderr } = await weightlock(...command, ...five);
    expect(status).toBe(2);
    expect(stderr).toContain('expected at most 3 classes for the model, found 5');
  });
});
