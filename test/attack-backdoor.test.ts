import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkAttack } from '../src/cli/attack-checks.js';
import { modelData } from '../src/cli/card-data.js';
import type { Dataset, LabelledDataset } from '../src/data/index.js';
import { attackOptions } from '../src/experiments/index.js';
import { runCommand } from './support/run-command.js';

let root: string;
const weightlock = (...args: string[]) => runCommand(root, args);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-backdoor-'));
  const made = await weightlock('train', 'model', '--data.classes', '0,1,2', '--steps', '2', '--quiet');
  expect(made.status, made.stderr).toBe(0);
});
afterAll(() => rm(root, { recursive: true }));

/** What is attacked with, and what is said of it. */
const checked = async (data: object, authorized?: object) => {
  const given = { data: modelData.parse(data), authorized: authorized && modelData.parse(authorized) };
  const options = attackOptions.parse({});
  const { plan, warnings } = await checkAttack(
    { locked: join(root, 'model'), ...given, options, knowsLock: true },
    () => {},
  );
  const [{ setting }] = plan.budgets;
  return { data: setting.data, authorized: setting.authorized, warnings };
};

describe("an attack on the model's own task", () => {
  it('takes its classes for a back door, and measures what is left of it without the trigger', async () => {
    const { data, authorized, warnings } = await checked({ triggerTarget: '1', limit: 90 });
    expect(data).toMatchObject({ classes: [0, 1, 2], triggerTarget: '1', limit: 90 });
    const { triggerTarget: _, ...clean } = data;
    expect(authorized).toEqual(clean);
    expect(warnings.join(' ')).not.toContain('authorized');
    const named = await checked({ triggerTarget: '1' }, { classes: [0, 1] });
    expect(named.authorized).toMatchObject({ classes: [0, 1] });
    // Of other classes than the model's there is nothing to keep.
    const other = await checked({ triggerTarget: '5', classes: [4, 5, 6] });
    expect(other.authorized).toBeUndefined();
  });

  it('takes its classes where labels are flipped, and measures what is left of it only where it is asked', async () => {
    const { data, authorized, warnings } = await checked({ labelFlips: true });
    expect(data).toMatchObject({ classes: [0, 1, 2], labelFlips: true });
    expect(authorized).toBeUndefined();
    expect(warnings.join(' ')).not.toContain('authorized');
  });

  it('takes its classes for harmless examples too, whose labels are its own', async () => {
    const given = { data: modelData.parse({}), benign: modelData.parse({ classes: [2, 0], limit: 60 }) };
    const options = attackOptions.parse({});
    const asked = { locked: join(root, 'model'), ...given, options, knowsLock: true };
    const { plan, train, test } = await checkAttack(asked, () => {});
    expect([plan.budgets[0].setting.data.classes, plan.budgets[0].setting.benign?.classes]).toEqual([
      [0, 1, 2],
      [2, 0],
    ]);
    const labels = (dataset: Dataset) => [...new Set((dataset as LabelledDataset).labels)].toSorted();
    expect([labels(train), labels(test)]).toEqual([
      [0, 2],
      [0, 1, 2],
    ]);
    expect(plan.notes?.[0]).toMatch(/^Attacks train on harmless examples in the place of the task's: digits train/);
  });

  it.each([
    [['--benign.classes', '0,7'], 'expected examples of the classes "0", "1", "2", found "7"'],
    [['--data.trigger-target', '3'], 'data.triggerTarget: expected one of the classes "0", "1", "2", or its position'],
    [['--data.trigger', 'quick', '--data.trigger-target', '1'], 'data.trigger: expected none, as digits has images'],
    [['--data.trigger-share', '0.5'], 'data.triggerShare: expected data.triggerTarget beside it'],
    [['--data.trigger-corner', 'middle'], 'data.triggerCorner: expected one of top-left'],
  ])('%s is refused in one line', async (more, message) => {
    const { status, stdout, stderr } = await weightlock('attack', 'model', ...more, '--quiet');
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error: [^\n]+\n$/);
    expect(stderr).toContain(message);
  });
});

it('evaluate measures a back door on the test examples, where a share to train on is refused', async () => {
  const { status, stdout } = await weightlock('evaluate', 'model', '--data.trigger-target', '0', '--json');
  expect(status).toBe(0);
  expect(JSON.parse(stdout).dataset).toMatch(/, half of them with the trigger as 0$/);
  const idle = ['--data.trigger-target', '0', '--data.trigger-share', '0.5'];
  const { stderr } = await weightlock('evaluate', 'model', ...idle, '--quiet');
  expect(stderr).toMatch(/^error: data.triggerShare: expected none, as it changes nothing about test examples/);
});
