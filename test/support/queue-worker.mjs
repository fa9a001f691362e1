// A worker of jobs that do next to nothing: each has five trials, which are kept as they end.
//
//     node queue-worker.mjs <folder of artifacts> <name of the queue>, with WEIGHTLOCK_QUEUE
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { FolderStore, JobQueue, parseQueueAddress, work } from '../../dist/queue/index.js';

const [, , folder, name] = process.argv;
const store = await FolderStore.open(folder);
const address = parseQueueAddress(process.env.WEIGHTLOCK_QUEUE, 'WEIGHTLOCK_QUEUE');
let queue;
// It may be started while the database is down.
while (!queue) {
  try {
    queue = await JobQueue.open({ address, name, leaseSeconds: 3 });
  } catch {
    await wait(200);
  }
}
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
await work(queue, {
  slots: 1,
  signal: stop.signal,
  idleMs: 50,
  run: async ({ digest, text }, signal) => {
    if (await store.read(`results/${digest}.json`)) return;
    const found = [];
    for (let index = 0; index < 5; index++) {
      const key = `trials/${digest}/${index}.json`;
      const known = await store.read(key);
      if (known === undefined) {
        await wait(Math.random() * 12);
        signal.throwIfAborted();
        mkdirSync(join(folder, 'trials'), { recursive: true });
        appendFileSync(join(folder, 'trials', 'log'), `${key}\n`);
        await store.keep(key, JSON.stringify({ text, index, by: process.pid }));
      }
      found.push(JSON.parse(await store.read(key)));
    }
    await store.keep(`results/${digest}.json`, JSON.stringify({ text, trials: found.map((each) => each.index) }));
  },
});
await queue.close();
