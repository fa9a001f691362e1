import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Advantage, AttackRow } from '../src/attacks/index.js';
import { checkAttack } from '../src/cli/attack-checks.js';
import { modelData } from '../src/cli/card-data.js';
import { attackOptions } from '../src/experiments/index.js';
import { runCommand } from './support/run-command.js';
import { textReader, writeSmallTexts } from './support/small-texts.js';

let root: string;
const weightlock = async (...args: string[]) => {
  const found = await runCommand(root, args);
  expect(found.status, found.stderr).toBe(0);
  return found.stdout;
};
const unauthorized = ['--data.classes', '3,4,5'];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-alternative-'));
  await weightlock('train', 'model', '--data.classes', '0,1,2', '--architecture', 'mlp', '--steps', '2', '--quiet');
  // It does what the attacker wants, on larger images.
  const other = ['--architecture', 'mlp', '--data.size', '12', '--steps', '120', '--quiet'];
  await weightlock('train', 'other', ...unauthorized, ...other);
});
afterAll(() => rm(root, { recursive: true }));

const checked = async (data: object, alternative = 'other', locked = 'model') => {
  const paths = { locked: join(root, locked), alternative: join(root, alternative) };
  const given = { data: modelData.parse(data), options: attackOptions.parse({}), knowsLock: true };
  return checkAttack({ ...paths, ...given }, () => {});
};

describe('another public model', () => {
  it('is attacked in its own form, and belongs to the floor', async () => {
    const said = await weightlock(
      ...['attack', 'model', '--unlocked', 'model', '--alternative', 'other', ...unauthorized],
      ...['--attacks', 'fine-tune,frozen', '--optimizers', 'adamw', '--cost-steps', '0', '--score-steps', '4'],
      ...['--per-class', '3', '--search-seeds', '11', '--seeds', '1,2', '--workers', '0', '--json'],
    );
    const { rows, score, sentences } = JSON.parse(said) as {
      rows: AttackRow[];
      score: Advantage;
      sentences: string[];
    };
    const own = rows.filter(({ start }) => start === 'another model');
    expect(own.map(({ kind, countsAs }) => [kind, countsAs])).toEqual([
      ['fine-tune', 'floor'],
      ['frozen', 'floor'],
    ]);
    expect(score.floor.start).toBe('another model');
    for (const trial of score.floor.result.trials) expect(trial.score).toBeGreaterThan(0.85);
    expect(sentences.join('\n')).toMatch(/the floor, (fine-tuning|frozen use) \(another model\)/);
    expect(sentences.join('\n')).toContain('another public model, which an attacker could take instead: mlp of ');
  });

  it('has the examples in its form, and a head of its own where it has fewer classes', async () => {
    const { targets, inputs } = await checked({ classes: [3, 4, 5], limit: 60 });
    expect(targets.alternative?.reads.data).toMatchObject({ classes: [3, 4, 5], limit: 60, size: 12 });
    expect(targets.alternative?.head).toBeUndefined();
    expect(inputs['alternative data task']).toContain('"size":12');
    await weightlock('train', 'narrow', '--data.classes', '0,1', '--steps', '2', '--quiet');
    const narrow = await checked({ classes: [3, 4, 5] }, 'narrow');
    expect(narrow.targets.alternative?.head).toEqual({ kind: 'classifier', labels: ['3', '4', '5'] });
    // What is given holds for all models.
    await expect(checked({ classes: [3, 4, 5], size: 28 })).rejects.toThrow('alternative: ');
  });

  it('reads texts with its own tokenizer', async () => {
    await writeSmallTexts(root);
    const data = ['--data.path', 'own.jsonl', '--data.tokenizer', textReader];
    const form = ['--architecture', 'bert', '--model-config', 'config.json', '--steps', '2', '--quiet'];
    await weightlock('train', 'texts', ...form, ...data);
    await cp(join(root, 'texts'), join(root, 'public'), { recursive: true });
    const given = { path: join(root, 'other.jsonl'), tokenizer: textReader };
    const { targets } = await checked(given, 'public', 'texts');
    expect(targets.alternative?.reads.data).toEqual(
      expect.objectContaining({ path: given.path, tokenizer: join(root, 'public') }),
    );
    await expect(checked(given, 'other', 'texts')).rejects.toThrow(
      'other: expected data of images, as the model takes',
    );
  });
});
