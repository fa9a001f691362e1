import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCommand } from './support/run-command.js';
import { textReader, writeSmallTexts } from './support/small-texts.js';

let root: string;
const data = (file: string) => ['--data.path', file, '--data.tokenizer', textReader];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-word-vectors-'));
  await writeSmallTexts(root);
  const made = ['train', 'model', '--architecture', 'bert', '--model-config', 'config.json', '--steps', '2'];
  const { status, stderr } = await runCommand(root, [...made, ...data('own.jsonl'), '--quiet']);
  expect(status, stderr).toBe(0);
  await cp(join(root, 'model'), join(root, 'public'), { recursive: true });
});
afterAll(() => rm(root, { recursive: true }));

const attack = (...more: string[]) =>
  runCommand(root, [
    ...['attack', 'model', ...data('other.jsonl'), '--optimizers', 'adamw', '--cost-steps', '0', '--score-steps', '8'],
    ...['--per-class', '20', '--search-seeds', '11', '--seeds', '1', '--workers', '0', '--threads', '1', ...more],
  ]);
const retain = ['--retain.path', 'own.jsonl', '--retain.tokenizer', textReader];

it('tunes and reads what it made of the released weights and of random ones, and says what the attacker has', async () => {
  const names = ['--attacks', 'word-vectors,word-vectors-white-box', '--word-vectors.vectors', 'public', '--json'];
  const { status, stdout, stderr } = await attack(...names, ...retain);
  expect(status, stderr).toBe(0);
  const { rows, notes } = JSON.parse(stdout);
  type Row = { start: string; kind: string; knows: string[]; result: { trials: { end: string }[] } };
  const own = (rows as Row[]).filter(({ kind }) => kind.startsWith('word-vectors'));
  expect(own.map(({ start, kind }) => `${start} ${kind}`)).toEqual([
    'locked word-vectors',
    'locked word-vectors-white-box',
    'random weights word-vectors',
    'random weights word-vectors-white-box',
  ]);
  for (const { knows, result } of own) {
    expect(knows).toContain('the word vectors of a public model');
    expect(result.trials[0].end).toBe('budget');
  }
  expect(notes.join(' ')).toContain('word-vectors put the vectors themselves into the table');
});

it('refuses what it cannot do without', async () => {
  const refused = async (...more: string[]) => {
    const { status, stderr } = await attack('--attacks', 'word-vectors', ...more, '--quiet');
    expect(status).toBe(2);
    expect(stderr).toMatch(/^error: [^\n]+\n$/);
    return stderr;
  };
  expect(await refused('--word-vectors.vectors', 'public')).toContain(
    'word-vectors: expected examples like those of the authorized task, whose words are trusted, found none',
  );
  expect(await refused(...retain)).toContain('vectors');
  expect(await refused(...retain, '--word-vectors.vectors', 'nowhere')).toContain('nowhere');
});
