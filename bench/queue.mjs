// node bench/queue.mjs [--trials 2000] [--slots 8] [--blocks 5]: trials of nothing a second, queue and artifacts included. The queue
// is the embedded one, and with WEIGHTLOCK_QUEUE=postgres://... a PostgreSQL as well.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { arch, cpus, loadavg, platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FolderStore, JobQueue, parseQueueAddress, work } from '../dist/queue/index.js';

const { values: options } = parseArgs({
  options: {
    trials: { type: 'string', default: '2000' },
    slots: { type: 'string', default: '8' },
    blocks: { type: 'string', default: '5' },
  },
});
const [trials, slots, blocks] = [options.trials, options.slots, options.blocks].map(Number);
const target = 200;
const places = [{ name: 'embedded' }];
if (process.env.WEIGHTLOCK_QUEUE) {
  places.push({ name: 'PostgreSQL', address: parseQueueAddress(process.env.WEIGHTLOCK_QUEUE, 'WEIGHTLOCK_QUEUE') });
}

/** Puts trials in and does them; how many a second, from the first one put in to the last one that the queue calls done. */
async function rate(queue, store, block, keeps) {
  const jobs = Array.from({ length: trials }, (_, index) => {
    const text = JSON.stringify({ block, keeps, index, filler: 'x'.repeat(1500) });
    return { digest: createHash('sha256').update(text).digest('hex'), text };
  });
  const over = new AbortController();
  let ended = 0;
  const started = performance.now();
  await queue.add(jobs);
  await work(queue, {
    slots,
    signal: over.signal,
    idleMs: 20,
    run: async ({ digest }) => {
      if (keeps) await store.keep(`results/${digest}.json`, '{}');
    },
    onEnd: () => {
      if (++ended === trials) over.abort();
    },
  });
  const seconds = (performance.now() - started) / 1000;
  const states = await queue.states(jobs.map(({ digest }) => digest));
  const done = [...states.values()].filter(({ state }) => state === 'done').length;
  if (done !== trials) throw new Error(`expected ${trials} trials done, found ${done}`);
  return trials / seconds;
}

const load = loadavg();
const results = [];
for (const { name, address } of places) {
  const folder = mkdtempSync(join(tmpdir(), 'weightlock-queue-'));
  const store = await FolderStore.open(folder);
  const queue = await JobQueue.open({ address, name: `bench-${store.id}` });
  for (const keeps of [false, true]) {
    const rates = [];
    for (let block = 0; block < blocks; block++) rates.push(await rate(queue, store, block, keeps));
    rates.sort((a, b) => a - b);
    const median = rates[Math.floor(blocks / 2)];
    const what = `${name}, trials of nothing${keeps ? ', each kept in a folder' : ''}`;
    results.push({ name: what, slots, trials, rates, median, target });
    const range = `${rates[0].toFixed(0)} to ${rates[blocks - 1].toFixed(0)}`;
    console.log(
      `${what}: ${median.toFixed(0)} a second (${range}), target ${target}: ${median >= target ? 'met' : 'MISSED'}`,
    );
  }
  await queue.close();
  rmSync(folder, { recursive: true });
}
const machine = {
  ...{ load, cpu: cpus()[0].model, cores: cpus().length, platform: platform(), arch: arch(), node: process.version },
};
const folder = `${import.meta.dirname}/results`;
mkdirSync(folder, { recursive: true });
const file = `${folder}/queue-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.json`;
writeFileSync(file, `${JSON.stringify({ machine, results }, null, 2)}\n`);
process.exit();
