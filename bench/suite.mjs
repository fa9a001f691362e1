// node bench/suite.mjs [--blocks 3]: trials an hour of the quick suite on the demo's CNN, two processes of one thread each, against the
// same trials in PyTorch with Optuna: as many, as long, measured as often, with the same optimizers and rates.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { arch, cpus, loadavg, platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { attacksOfSuite } from '../dist/attacks/index.js';
import { dataSpec, loadData } from '../dist/data/index.js';

const { values: options } = parseArgs({ options: { blocks: { type: 'string', default: '3' } } });
const blocks = Number(options.blocks);
const target = 1.5;
const python = process.env.WEIGHTLOCK_PYTHON ?? 'python3';
const load = loadavg()[0];
if (load > 0.5) console.log(`Load average ${load.toFixed(1)}: other processes run, the ratios may mean little.`);

const root = mkdtempSync(join(tmpdir(), 'weightlock-suite-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));

/** Runs one of our commands; its result. */
function weightlock(...args) {
  const main = join(import.meta.dirname, '../dist/cli/main.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args, '--json', '--quiet'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`weightlock ${args[0]}: ${stderr}`);
  return JSON.parse(stdout);
}

const authorized = ['--data.classes', '0,1,2,3,4'];
weightlock('train', 'model', ...authorized);
weightlock('lock', 'model', 'locked', ...authorized, '--specdef.steps', '400');

// What the suite brings, and its attacks that train: regressions on hidden layers are the same work of few products on both sides.
const attacks = attacksOfSuite('quick').filter((name) => !['frozen', 'white-box'].includes(name));
const budget = [
  '--optimizers',
  'adamw,adadelta',
  '--adaptive-optimizers',
  '1',
  '--cost-steps',
  '96',
  '--seeds',
  '1,2,3,4,5',
];

/** The suite; its seconds and its rows. Frozen use, which is measured with any attack, is a part of it. */
function ours(block) {
  const started = performance.now();
  const { rows } = weightlock(
    ...[
      'attack',
      'locked',
      '--unlocked',
      'model',
      '--data.classes',
      '5,6,7,8,9',
      '--attacks',
      attacks.join(','),
      ...budget,
    ],
    ...['--threads', '2', '--runs', join(root, `runs-${block}`)],
  );
  return { seconds: (performance.now() - started) / 1000, rows };
}

const { train, test } = await loadData(dataSpec.parse({ name: 'digits', classes: [5, 6, 7, 8, 9] }));
const perClass = 20;

/**
 * What PyTorch's side is to do: the searches, with the steps that each trial really took, given up and beaten ones included, on noise of
 * the sizes of the data. What trains no weights is left out there.
 */
function planOf(rows) {
  const searches = rows
    .filter(({ result }) => result.trials[0].curve.length > 1)
    .map(({ optimizer, options: own = {}, measure, result: { search, trials } }) => ({
      ...{ optimizer, options: own },
      ...(measure === 'cost' ? { batchSize: 64, examples: train.size } : { batchSize: 32, examples: 5 * perClass }),
      trials: [...search, ...trials].map(({ learningRate, seed, curve }) => ({
        ...{ learningRate, seed },
        measured: curve.map(({ step }) => step),
      })),
    }));
  return { tests: test.size, searches };
}

const theirs = (plan) => {
  const started = performance.now();
  const { status } = spawnSync(python, [join(import.meta.dirname, 'torch_suite.py'), plan, '2'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) throw new Error("PyTorch's side failed; its message is above");
  return (performance.now() - started) / 1000;
};
const hasOptuna = spawnSync(python, ['-c', 'import torch, optuna']).status === 0;
if (!hasOptuna)
  console.log(`PyTorch or Optuna is not there (${python}; set WEIGHTLOCK_PYTHON): only our own time is measured.`);

const rates = [];
for (let block = 0; block < blocks; block++) {
  const { seconds, rows } = ours(block);
  const plan = join(root, 'plan.json');
  const { searches, tests } = planOf(rows);
  writeFileSync(plan, JSON.stringify({ searches, tests }));
  const trials = searches.reduce((sum, search) => sum + search.trials.length, 0);
  const other = hasOptuna ? theirs(plan) : undefined;
  rates.push({ trials, seconds, theirs: other });
  const hourly = (taken) => `${((3600 * trials) / taken).toFixed(0)} an hour (${taken.toFixed(0)} s)`;
  const beside = other ? `; PyTorch with Optuna: ${hourly(other)}; ${(other / seconds).toFixed(2)} times as many` : '';
  console.log(`${trials} trials of ${searches.length} searches: ${hourly(seconds)}${beside}`);
}
if (hasOptuna) {
  const ratios = rates.map(({ seconds, theirs: other }) => other / seconds).sort((a, b) => a - b);
  const median = ratios[Math.floor(blocks / 2)];
  console.log(
    `quick suite: ${median.toFixed(2)} times PyTorch's trials an hour (${ratios[0].toFixed(2)} to ${ratios[blocks - 1].toFixed(2)}), target ${target}: ${median >= target ? 'met' : 'MISSED'}`,
  );
}
const machine = {
  ...{ load, cpu: cpus()[0].model, cores: cpus().length, platform: platform(), arch: arch(), node: process.version },
};
const folder = `${import.meta.dirname}/results`;
mkdirSync(folder, { recursive: true });
const file = `${folder}/suite-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.json`;
writeFileSync(file, `${JSON.stringify({ machine, rates }, null, 2)}\n`);
