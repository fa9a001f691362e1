import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCommand } from './support/run-command.js';
import { textReader, writeSmallTexts } from './support/small-texts.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-unlabelled-'));
  await writeSmallTexts(root);
  const rows = (await readFile(join(root, 'own.jsonl'), 'utf8')).trim().split('\n');
  // A plain file of texts has no labels to leave aside.
  await writeFile(join(root, 'texts.txt'), `${rows.map((row) => JSON.parse(row).text).join('\n')}\n`);
  const made = ['train', 'model', '--architecture', 'bert', '--model-config', 'config.json', '--steps', '2'];
  const { status, stderr } = await runCommand(root, [...made, ...data('own.jsonl'), '--quiet']);
  expect(status, stderr).toBe(0);
});
afterAll(() => rm(root, { recursive: true }));

const data = (file: string) => ['--data.path', file, '--data.tokenizer', textReader];
const budget = ['--optimizers', 'adamw', '--cost-steps', '0', '--score-steps', '24', '--per-class', '10'];
const attack = (...more: string[]) =>
  runCommand(root, [
    ...['attack', 'model', ...data('other.jsonl'), ...budget, '--search-seeds', '11', '--seeds', '1', '--workers', '0'],
    ...[...more, '--threads', '1'],
  ]);

it('trains on texts without labels first, from released and from random weights, and says which', async () => {
  const asked = ['--attacks', 'pretrain', '--pretrain.share', '0.5', '--json'];
  const run = async (...more: string[]) => {
    const { status, stdout, stderr } = await attack(...asked, ...more);
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout).rows.filter(({ kind }: { kind: string }) => kind === 'pretrain');
  };
  const rows = await run('--unlabelled.path', 'texts.txt');
  expect(rows.map(({ start }: { start: string }) => start)).toEqual(['locked', 'random weights']);
  for (const { composition, adaptive, result } of rows) {
    expect(adaptive).toBe(false);
    expect(composition.data.unlabelled).toMatchObject({ path: expect.stringMatching(/texts.txt$/) });
    const [{ evaluations, spent }] = result.trials;
    expect(evaluations).toBeLessThanOrEqual(24);
    expect(spent.steps).toBeGreaterThan(12);
  }
  // Where none is given the texts of the examples do.
  const [own] = await run();
  expect(own.composition.data.unlabelled).toBeUndefined();
});

it('asks the released model about texts without labels or classes, to distil it', async () => {
  const asked = ['--attacks', 'distil', '--distil.inputs', 'unlabelled', '--unlabelled.path', 'texts.txt', '--json'];
  const { status, stdout, stderr } = await attack(...asked);
  expect(status, stderr).toBe(0);
  const [{ result }] = JSON.parse(stdout).rows.filter(({ kind }: { kind: string }) => kind === 'distil');
  expect(result.trials[0].spent.steps).toBeGreaterThan(12);
});

it('refuses texts that are not there, and options of an attack that is not tried', async () => {
  const refused = async (...more: string[]) => {
    const { status, stderr } = await attack(...more, '--quiet');
    expect(status).toBe(2);
    expect(stderr).toMatch(/^error: [^\n]+\n$/);
    return stderr;
  };
  expect(await refused('--attacks', 'pretrain', '--unlabelled.path', 'none.txt')).toContain('none.txt');
  expect(await refused('--attacks', 'distil', '--unlabelled.name', 'digits')).toContain(
    'expected data of texts, as the model takes, got digits, which has images',
  );
  expect(await refused('--attacks', 'fine-tune', '--pretrain.share', '0.5')).toContain(
    'expected attacks with pretrain',
  );
  expect(await refused('--attacks', 'fine-tune', '--unlabelled.path', 'texts.txt')).toContain(
    'unlabelled: expected an attack that can use examples without labels, found fine-tune',
  );
});
