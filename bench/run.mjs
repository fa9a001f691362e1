// npm run bench [-- --only cnn --blocks 9 --threads 2 --profile]: our steps against PyTorch's, in alternating blocks.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { arch, cpus, loadavg, platform } from 'node:os';
import { parseArgs } from 'node:util';
import { printProfile } from './profile.mjs';
import { Side } from './side.mjs';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    blocks: { type: 'string', default: '9' },
    threads: { type: 'string', default: '2' },
    profile: { type: 'boolean', default: false },
  },
});
const python = process.env.WEIGHTLOCK_PYTHON ?? 'python3';

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
].filter(({ name, ours, torch }) => !options.only || [name, ours, torch].some((text) => text.includes(options.only)));

if (options.profile) {
  for (const ours of new Set(benchmarks.map((benchmark) => benchmark.ours))) {
    await printProfile(ours, Number(options.threads));
  }
  process.exit(0);
}

const hasTorch = spawnSync(python, ['-c', 'import torch']).status === 0;
if (!hasTorch) {
  console.log(`PyTorch is not there (${python}; set WEIGHTLOCK_PYTHON): only weightlock's own times are measured.`);
}

// Two threads beside other work wait for one another: PyTorch's step then takes up to a hundred times as long.
const load = loadavg()[0];
if (load > 0.5) console.log(`Load average ${load.toFixed(1)}: other processes run, the ratios may mean little.`);

/** Steps that take about a third of a second, after a warm-up. */
async function blockLength(side) {
  await side.run(3);
  const seconds = await side.run(3);
  return Math.max(1, Math.round(0.3 / (seconds / 3)));
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function measure({ ours, torch, ...benchmark }) {
  const here = import.meta.dirname;
  const sides = [new Side(process.execPath, [`${here}/worker.mjs`, options.threads, ours])];
  if (hasTorch) sides.push(new Side(python, [`${here}/torch_side.py`, options.threads, torch]));
  const lengths = [];
  for (const side of sides) {
    await side.ready();
    lengths.push(await blockLength(side));
  }
  const times = sides.map(() => []);
  for (let block = 0; block < Number(options.blocks); block++) {
    for (const [index, side] of sides.entries()) times[index].push((await side.run(lengths[index])) / lengths[index]);
  }
  const memory = [];
  for (const side of sides) memory.push(await side.end());
  const ratios = hasTorch ? times[0].map((time, block) => times[1][block] / time) : [];
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
  const result = await measure(benchmark);
  results.push(result);
  const [ours, theirs] = result.milliseconds;
  console.log(`${result.name}: ${ours.toFixed(2)} ms, peak ${result.peakMiB[0].toFixed(0)} MiB`);
  if (!hasTorch) continue;
  const { median: mid, min, max } = result.ratio;
  const met = mid >= result.target ? 'met' : 'MISSED';
  console.log(
    `  PyTorch ${theirs.toFixed(2)} ms, peak ${result.peakMiB[1].toFixed(0)} MiB; PyTorch / weightlock: ` +
      `time ${mid.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)}), target ${result.target}: ${met}` +
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
