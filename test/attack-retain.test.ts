import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AttackRow } from '../src/attacks/index.js';
import { runCommand } from './support/run-command.js';

let root: string;
const own = ['--data.classes', '0,1,2'];
const weightlock = (...args: string[]) => runCommand(root, args);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-retain-'));
  const made = await weightlock('train', 'model', '--architecture', 'mlp', ...own, '--steps', '20', '--quiet');
  expect(made.status, made.stderr).toBe(0);
});
afterAll(() => rm(root, { recursive: true }));

const attack = [
  ...['attack', 'model', '--unlocked', 'model', '--data.classes', '3,4,5', '--data.test-limit', '60'],
  ...['--attacks', 'heal', '--optimizers', 'adamw', '--cost-steps', '12', '--score-steps', '0'],
  ...['--seeds', '1', '--search-seeds', '9', '--workers', '0'],
];

/** What an attack that heals did before its trials, and which examples it had for that. */
async function healed(...more: string[]) {
  const { status, stdout, stderr } = await weightlock(...attack, ...more, '--json');
  expect(status, stderr).toBe(0);
  const { rows, notes } = JSON.parse(stdout) as { rows: AttackRow[]; notes: string[] };
  const row = rows.find(({ composition }) => composition.transforms.some(({ name }) => name === 'heal'));
  return { retain: row?.composition.data?.retain, trial: row?.result.trials[0], notes };
}

describe('attack --retain', () => {
  it('heals by examples like those of the authorized task, else by the outputs of the released model', async () => {
    const byTask = await healed('--retain.classes', '0,1,2', '--heal.learning-rates', '0.001');
    expect(byTask.retain).toMatchObject({ classes: [0, 1, 2] });
    // A quarter of 12 steps, two looks at a batch of examples among them.
    expect(byTask.trial).toMatchObject({ before: { steps: 3, evaluations: 2 } });
    expect(byTask.trial?.curve[0].step).toBe(3);
    // What is left of the authorized task is measured on them, unless others are named.
    expect(Object.keys(byTask.trial?.utility ?? {})).toEqual(['before', 'after']);
    const byOutputs = await healed();
    expect(byOutputs.retain).toBeUndefined();
    expect(byOutputs.trial).not.toHaveProperty('utility');
    // Of weights that nothing was done to, which give just that already: so nothing is better, and what was tried is charged.
    expect(byOutputs.trial?.before).toMatchObject({ steps: 3, evaluations: 0, spent: { steps: 1 } });
    expect(byOutputs.trial?.before?.notes).toEqual([
      'heal left the weights alone, as no learning rate made them better',
    ]);
    expect(byOutputs.notes.join(' ')).toContain('heal left the weights alone');
  });

  it('says by the card of the model what to give where nothing is given', async () => {
    const said = async (...more: string[]) =>
      (await weightlock(...attack, ...more, '--dry-run')).stderr.replaceAll(/\s+/g, ' ');
    expect(await said()).toContain("as the model's card names them: --retain.name digits --retain.classes 0,1,2");
    expect(await said('--retain.name', 'digits', '--retain.classes', '0,1,2')).not.toContain('card names');
    expect(await said('--authorized.classes', '0,1,2')).not.toContain('card names');
  });

  it.each([
    [['--retain.classes', '0,11'], 'expected classes from 0 to 9, got 11'],
    [['--retain.classes', '0,1,2,3'], 'expected at most 3 classes for the model, found 4'],
    [['--retain.name', 'digit'], 'digit'],
    [['--retain.path', 'nowhere'], 'nowhere'],
    [['--authorized.classes', '0,1,2,3'], 'expected at most 3 classes for the model, found 4'],
  ])('%s is refused in one line', async (more, message) => {
    const { status, stdout, stderr } = await weightlock(...attack, ...more, '--quiet');
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error: [^\n]+\n$/);
    expect(stderr).toContain(message);
  });
});
