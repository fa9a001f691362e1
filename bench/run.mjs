// npm run bench [-- --only cnn --blocks 9 --threads 2]: our steps against PyTorch's, in alternating blocks.
// With --profile [--steps 50]: where the time of ours goes.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { arch, cpus, loadavg, platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { firstStep } from './first-step.mjs';
import { languageModels } from './language-models.mjs';
import { printProfile } from './profile.mjs';
import { Side } from './side.mjs';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    blocks: { type: 'string', default: '9' },
    threads: { type: 'string', default: '2' },
    profile: { type: 'boolean', default: false },
    steps: { type: 'string', default: '50' },
  },
});
const python = process.env.WEIGHTLOCK_PYTHON ?? 'python3';

/**
 * Benchmarks of one language model: batches of 8 texts of 64 tokens, AdamW. Steps with full SVDs take up to a minute: they are
 * done once, after two that warm up.
 */
function languageBenchmarks(name) {
  const lock = { name: `${name} lock step with KL`, ours: `lock:${name}`, memory: 1 };
  return [
    {
      name: `${name} step`,
      ours: `train:${name}`,
      torch: `train:${name}`,
      target: name === 'minilm' ? 1.1 : 0.8,
      memory: 1,
    },
    { ...lock, name: `${lock.name}, against the same method`, torch: `subspace:${name}`, target: 1 },
    { ...lock, name: `${lock.name}, against literal Algorithm 1`, torch: `literal:${name}`, target: 3, blocks: 1 },
    {
      name: `${name} inspected whole, 8 values, against full SVDs`,
      ours: `inspect:${name}`,
      torch: `svd:${name}`,
      ...{ target: 10, blocks: 1, memory: 1 },
    },
    {
      name: `${name} inspected whole, 8 values, against all singular values`,
      ours: `inspect:${name}`,
      torch: `svdvals:${name}`,
      ...{ blocks: 1, memory: 1 },
    },
    ...(languageModels[name].task === 'causal-lm'
      ? [
          {
            name: `${name} generates 32 tokens after 64`,
            ours: `generate:${name}`,
            torch: `generate:${name}`,
            ...{ target: 0.8, memory: 1 },
          },
        ]
      : []),
    { name: `${name} step, blocks computed twice`, ours: `recompute:${name}`, torch: `train:${name}`, memory: 1 },
    { name: `${name} train, from command to first step`, command: 'train', model: name, seconds: 15 },
    { name: `${name} lock, from command to first step`, command: 'lock', model: name, seconds: 15 },
  ];
}

/** Target: PyTorch's time for a step over ours, at least. */
const benchmarks = [
  { name: 'CNN step, batch 64, AdamW', ours: 'train:cnn', torch: 'train:cnn', target: 1 },
  { name: 'transformer step, AdamW', ours: 'transformer:adamw', torch: 'transformer:adamw', target: 0.8 },
  { name: 'transformer step, SGD', ours: 'transformer:sgd', torch: 'transformer:sgd', target: 0.8 },
  {
    name: 'CNN lock step, against literal Algorithm 1',
    ours: 'lock:cnn',
    torch: 'literal:cnn',
    target: 5,
    memory: 1.3,
  },
  { name: 'CNN lock step, against the same method', ours: 'lock:cnn', torch: 'subspace:cnn', target: 1, memory: 1.3 },
  ...['resnet18', 'resnet18-cifar'].flatMap((net) => [
    {
      name: `${net} step, batch 32, 32×32, SGD`,
      ours: `train:${net}`,
      torch: `train:${net}`,
      target: 0.7,
      memory: 1.3,
    },
    {
      name: `${net} lock step, against literal Algorithm 1`,
      ours: `lock:${net}`,
      torch: `literal:${net}`,
      target: 10,
      memory: 1.3,
    },
    {
      name: `${net} lock step, against the same method`,
      ours: `lock:${net}`,
      torch: `subspace:${net}`,
      target: 0.8,
      memory: 1.3,
    },
  ]),
  ...Object.keys(languageModels).flatMap(languageBenchmarks),
].filter(({ name, ours, torch }) => !options.only || [name, ours, torch].some((text) => text?.includes(options.only)));

/** Directories of the language models that are measured, for both sides. */
const models = mkdtempSync(join(tmpdir(), 'weightlock-bench-'));
process.env.WEIGHTLOCK_BENCH_MODELS = models;
process.on('exit', () => rmSync(models, { recursive: true, force: true }));
for (const name of Object.keys(languageModels)) {
  const isMeasured = ({ ours, model }) => model === name || ours?.endsWith(`:${name}`);
  if (!benchmarks.some(isMeasured)) continue;
  const script = `${import.meta.dirname}/language-models.mjs`;
  const { status } = spawnSync(process.execPath, [script, models, name], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`the model ${name} could not be written; the message is above`);
}

if (options.profile) {
  for (const ours of new Set(benchmarks.flatMap(({ ours }) => (ours && !ours.startsWith('inspect') ? ours : [])))) {
    await printProfile(ours, Number(options.threads), Number(options.steps));
  }
  process.exit(0);
}

const has = (packages) => spawnSync(python, ['-c', `import ${packages}`]).status === 0;
const hasTorch = has('torch');
const isLanguage = ({ ours }) => Object.keys(languageModels).some((name) => ours?.endsWith(`:${name}`));
const hasTransformers = hasTorch && benchmarks.some(isLanguage) && has('transformers, safetensors');
if (!hasTorch) {
  console.log(`PyTorch is not there (${python}; set WEIGHTLOCK_PYTHON): only weightlock's own times are measured.`);
}

if (hasTorch && !hasTransformers && benchmarks.some(isLanguage)) {
  console.log('transformers or safetensors are not there: of language models only our own times are measured.');
}

// Two threads beside other work wait for one another: PyTorch's step then takes up to a hundred times as long.
const load = loadavg()[0];
if (load > 0.5) console.log(`Load average ${load.toFixed(1)}: other processes run, the ratios may mean little.`);

/** How many steps take about a third of a second, after a warm-up; one where a step takes seconds. */
async function blockLength(side) {
  // The first may start a subspace iteration: it says nothing of the others.
  await side.run(1);
  const second = await side.run(1);
  if (second > 2) return 1;
  await side.run(1);
  const seconds = await side.run(3);
  return Math.max(1, Math.round(0.3 / (seconds / 3)));
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function measure({ ours, torch, blocks: most = Number.POSITIVE_INFINITY, ...benchmark }) {
  const blocks = Math.min(Number(options.blocks), most);
  const here = import.meta.dirname;
  const sides = [new Side(process.execPath, [`${here}/worker.mjs`, options.threads, ours])];
  if (isLanguage({ ours }) ? hasTransformers : hasTorch)
    sides.push(new Side(python, [`${here}/torch_side.py`, options.threads, torch]));
  const lengths = [];
  const times = sides.map(() => []);
  for (const side of sides) {
    await side.ready();
    lengths.push(await blockLength(side));
  }
  for (let block = 0; block < blocks; block++) {
    for (const [index, side] of sides.entries()) {
      times[index].push((await side.run(lengths[index])) / lengths[index]);
    }
  }
  const memory = [];
  for (const side of sides) memory.push(await side.end());
  const ratios = times[1] ? times[0].map((time, block) => times[1][block] / time) : [];
  return {
    ...benchmark,
    milliseconds: times.map((list) => 1000 * median(list)),
    ratio: { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) },
    peakMiB: memory.map((bytes) => bytes / 2 ** 20),
    memoryRatio: memory[0] / memory[1],
  };
}

const results = [];
for (const benchmark of benchmarks) {
  if (benchmark.command) {
    const { name, command, model, seconds: target } = benchmark;
    const seconds = firstStep(command, model, join(models, model), options.threads);
    results.push({ name, seconds, target });
    console.log(`${name}: ${seconds.toFixed(1)} s, target at most ${target}: ${seconds <= target ? 'met' : 'MISSED'}`);
    continue;
  }
  const result = await measure(benchmark);
  results.push(result);
  const [ours, theirs] = result.milliseconds;
  console.log(`${result.name}: ${ours.toFixed(2)} ms, peak ${result.peakMiB[0].toFixed(0)} MiB`);
  if (theirs === undefined) continue;
  const { median: mid, min, max } = result.ratio;
  const { target } = result;
  const verdict = target === undefined ? '' : `, target ${target}: ${mid >= target ? 'met' : 'MISSED'}`;
  console.log(
    `  PyTorch ${theirs.toFixed(2)} ms, peak ${result.peakMiB[1].toFixed(0)} MiB; PyTorch / weightlock: ` +
      `time ${mid.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})${verdict}` +
      (result.memory ? `; memory ${result.memoryRatio.toFixed(2)} of PyTorch's, target at most ${result.memory}` : ''),
  );
}

const machine = {
  load,

  cpu: cpus()[0].model,
  cores: cpus().length,
  platform: platform(),
  arch: arch(),
  node: process.version,
};
const folder = `${import.meta.dirname}/results`;
mkdirSync(folder, { recursive: true });
const file = `${folder}/${new Date().toISOString().replaceAll(/[:.]/g, '-')}.json`;
writeFileSync(file, `${JSON.stringify({ machine, threads: Number(options.threads), results }, null, 2)}\n`);
