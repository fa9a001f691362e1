// Seconds from a command to the line that its first step writes: loading, encoding texts, first evaluation and compiling included.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { languageModels } from './language-models.mjs';

const examples = 256;
const words = 64;

/** A table of texts of random words of the models' tokenizers, of two classes. */
function writeTexts(path, vocabulary) {
  let state = 1;
  const word = () => {
    state = (state * 48_271) % 2_147_483_647;
    return `w${10 + (state % (vocabulary - 10))}`;
  };
  const rows = Array.from(
    { length: examples },
    (_, row) => `${Array.from({ length: words }, word).join(' ')}\t${row % 2}`,
  );
  writeFileSync(path, `text\tlabel\n${rows.join('\n')}\n`);
}

// Two steps: after the last one the model is evaluated before its line is written.
const commands = {
  train: (model, output) => ['train', output, '--from', model, '--steps', '2', '--batch-size', '8'],
  lock: (model, output) => ['lock', model, output, '--specdef.steps', '2', '--specdef.batch-size', '8'],
};

/** Runs a command for one step; its seconds until that was done. */
export function firstStep(command, name, modelPath, threads) {
  const folder = mkdtempSync(join(tmpdir(), 'weightlock-first-step-'));
  const { task, config } = languageModels[name];
  writeTexts(join(folder, 'texts.tsv'), config.vocab_size);
  const labels = task === 'classification' ? ['--data.label', 'label'] : [];
  const main = join(import.meta.dirname, '../dist/cli/main.js');
  const flags = [
    '--task',
    task,
    '--data.path',
    'texts.tsv',
    '--data.text',
    'text',
    ...labels,
    '--threads',
    String(threads),
  ];
  const started = Date.now();
  const run = spawnSync(process.execPath, [main, ...commands[command](modelPath, 'out'), ...flags, '--quiet'], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (run.status !== 0) throw new Error(`weightlock ${command} ${name}: ${run.stderr}${run.stdout}`);
  const [found] = readdirSync(join(folder, 'runs'));
  const [line] = readFileSync(join(folder, 'runs', found, 'metrics.jsonl'), 'utf8').split('\n');
  rmSync(folder, { recursive: true });
  return (Date.parse(JSON.parse(line).time) - started) / 1000;
}
