import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCommand } from './support/run-command.js';
import { textReader, writeSmallTexts } from './support/small-texts.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-dlr-'));
  await writeSmallTexts(root);
});
afterAll(() => rm(root, { recursive: true }));

const data = (file: string) => ['--data.path', file, '--data.tokenizer', textReader];
async function json(...args: string[]) {
  const { status, stdout, stderr } = await runCommand(root, [...args, '--json', '--threads', '1']);
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout);
}

interface Row {
  readonly start: string;
  readonly kind: string;
  readonly result: { trials: { score: number; utility?: { before: number; after: number } }[] };
}

it('makes a model of another architecture that is read like any other, and attacked as it is and with plain layers', async () => {
  const made = ['train', 'model', '--architecture', 'bert', '--model-config', 'config.json'];
  await json(...made, ...data('own.jsonl'), '--steps', '120', '--learning-rate', '3e-3');
  const lock = ['lock', 'model', 'locked', '--method', 'dlr', ...data('own.jsonl'), '--dlr.depth', '3'];
  const free = ['--dlr.max-drop', '0.05', '--dlr.max-kl', 'null', '--dlr.learning-rate', '1e-2'];
  const locked = await json(...lock, ...free, '--dlr.steps', '300', '--dlr.evaluate-every', '100');
  expect(locked.steps).toBeGreaterThan(0);
  expect(locked.moved).toMatchObject({ changed: 8, most: { distance: 1 } });
  expect(Object.keys(locked.story.errors)).toEqual(['bert.encoder.layer.0', 'bert.encoder.layer.1']);
  expect(JSON.parse(await readFile(join(root, 'locked/config.json'), 'utf8'))).toMatchObject({
    ...{ model_type: 'bert-dlr', architectures: ['BertForSequenceClassification'] },
    feed_forward: { depth: 3, rank: locked.story.rank },
  });
  expect(await readdir(join(root, 'locked'))).toContain('tokenizer.json');

  const [before, after] = [
    await json('evaluate', 'model', ...data('own.jsonl')),
    await json('evaluate', 'locked', ...data('own.jsonl')),
  ];
  expect(after.metrics.accuracy).toBeGreaterThan(before.metrics.accuracy - 0.1);
  const compared = await json('evaluate', 'locked', ...data('own.jsonl'), '--original', 'model');
  expect(compared.metrics.agreement).toBeGreaterThan(0.8);

  const attack = ['attack', 'locked', '--unlocked', 'model', ...data('other.jsonl'), '--authorized.path', 'own.jsonl'];
  const budget = ['--optimizers', 'adamw', '--cost-steps', '0', '--score-steps', '40', '--per-class', '40'];
  const seeds = ['--search-seeds', '11', '--seeds', '1', '--workers', '0'];
  const { rows, notes } = await json(...attack, ...budget, ...seeds, '--attacks', 'fine-tune,plain-mlp');
  const scores = (rows as Row[]).filter(({ kind }) => kind === 'fine-tune' || kind === 'plain-mlp');
  expect(scores.map(({ start, kind }) => `${start} ${kind}`)).toEqual([
    'unlocked fine-tune',
    'locked fine-tune',
    'locked plain-mlp',
    'random weights fine-tune',
  ]);
  // In this budget the small task is learned from each start (by most seeds from deep layers, too): all of them are trained.
  const [unlocked, , plain] = scores.map(({ result }) => result.trials[0]);
  expect(unlocked.score).toBeGreaterThan(0.85);
  expect(plain.score).toBeGreaterThan(0.85);
  // What is left of the authorized task is told of a model that was written otherwise, too.
  expect(plain.utility?.before).toBeGreaterThan(0.9);
  expect(plain.utility?.after).toBeGreaterThan(0.3);
  expect(notes.join(' ')).toContain(
    'Not tried on unlocked: attacks with plain-mlp, which finds no deep feed-forward layers.',
  );
});
