// node bench/device.mjs DEVICE [--only train:cnn] [--blocks 5] [--threads N]: our steps on a device against those on the CPU of the
// same machine, in alternating blocks, and how far the losses of the same steps lie apart.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { languageModels } from './language-models.mjs';
import { Side } from './side.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', default: '' },
    blocks: { type: 'string', default: '5' },
    threads: { type: 'string', default: String(cpus().length) },
  },
});
const [device] = positionals;
if (!device) throw new Error('expected a device, as in `node bench/device.mjs cuda`');
const names = [
  ...['train:cnn', 'train:resnet18', 'train:resnet18-cifar', 'lock:resnet18'],
  ...Object.keys(languageModels).map((name) => `train:${name}`),
  ...['lock:minilm', 'generate:smollm2'],
].filter((name) => name.includes(options.only));

const models = mkdtempSync(join(tmpdir(), 'weightlock-bench-'));
process.env.WEIGHTLOCK_BENCH_MODELS = models;
process.on('exit', () => rmSync(models, { recursive: true, force: true }));
for (const model of Object.keys(languageModels).filter((model) => names.some((name) => name.endsWith(`:${model}`)))) {
  spawnSync(process.execPath, [`${import.meta.dirname}/language-models.mjs`, models, model], { stdio: 'inherit' });
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const worker = `${import.meta.dirname}/worker.mjs`;
const warmUp = 3;
console.log(
  `| | CPU, ${options.threads} threads | ${device} | CPU / ${device} | loss after ${warmUp} steps apart by |`,
);
console.log('| --- | ---: | ---: | --- | ---: |');
for (const name of names) {
  const sides = ['cpu', device].map((each) => new Side(process.execPath, [worker, options.threads, name, each]));
  try {
    for (const side of sides) {
      await side.ready();
      await side.run(warmUp);
    }
    const [ofCpu, ofDevice] = sides.map(({ loss }) => loss);
    const apart = Math.abs(ofDevice - ofCpu) / Math.abs(ofCpu);
    const times = sides.map(() => []);
    for (let block = 0; block < Number(options.blocks); block++) {
      for (const [index, side] of sides.entries()) {
        const count = Math.max(1, Math.round(0.3 / (times[index][0] ?? 0.1)));
        times[index].push((await side.run(count)) / count);
      }
    }
    const [cpu, other] = times.map(median);
    const ratios = times[0].map((time, block) => time / times[1][block]);
    const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
    const milliseconds = [cpu, other].map((time) => `${(1000 * time).toPrecision(3)} ms`).join(' | ');
    console.log(`| ${name} | ${milliseconds} | ${median(ratios).toFixed(2)} (${range}) | ${apart.toExponential(1)} |`);
  } catch (error) {
    console.log(`| ${name} | failed: ${error.message} |`);
  }
  await Promise.all(sides.map((side) => side.end().catch(() => undefined)));
}
