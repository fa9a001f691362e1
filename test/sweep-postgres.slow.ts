import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RandomStream } from '../src/linalg/index.js';
import { initializeModel, saveModel } from '../src/models/index.js';
import { FolderStore, JobQueue, parseQueueAddress } from '../src/queue/index.js';
import { Postgres, postgresPrograms } from './support/postgres.js';

const programs = postgresPrograms();
if (!programs) console.warn('skipped: no PostgreSQL in the PATH or in /usr/lib/postgresql');

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'weightlock-sweep-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Processes of one kind, of which some are killed and started again. */
class Processes {
  readonly #running: ChildProcess[] = [];
  killed = 0;

  constructor(
    count: number,
    private readonly start: () => ChildProcess,
  ) {
    for (let index = 0; index < count; index++) this.#running.push(start());
  }

  kill(index: number): void {
    const at = index % this.#running.length;
    if (this.#running[at].exitCode === null) this.killed++;
    this.#running[at].kill('SIGKILL');
    this.#running[at] = this.start();
  }

  /** Asks all to end, and waits for it; how they ended. */
  async stop(): Promise<(number | string | null)[]> {
    return Promise.all(
      this.#running.map(async (child) => {
        const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
        child.kill('SIGTERM');
        await ended;
        return child.exitCode ?? child.signalCode;
      }),
    );
  }
}

const digestOf = (text: string) => createHash('sha256').update(text).digest('hex');

describe.skipIf(!programs)('jobs in PostgreSQL', () => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await Postgres.start(programs as string);
  });
  afterAll(() => postgres.remove());

  it('2,500 trials of 500 jobs over eight workers are each found once, though workers and database are killed', async () => {
    const folder = join(root, 'artifacts');
    await FolderStore.open(folder);
    const address = parseQueueAddress(postgres.url, 'test');
    const name = 'five-hundred';
    const queue = await JobQueue.open({ address, name, leaseSeconds: 3 });
    const jobs = Array.from({ length: 500 }, (_, index) => `job ${index}`).map((text) => ({
      text,
      digest: digestOf(text),
    }));
    await queue.add(jobs);
    // Twice, as of a sweep that was killed and started again.
    await queue.add(jobs);
    const workers = new Processes(8, () =>
      spawn(process.execPath, [resolve('test/support/queue-worker.mjs'), folder, name], {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: { ...process.env, WEIGHTLOCK_QUEUE: postgres.url },
      }),
    );
    const stream = new RandomStream(3, 'who is killed');
    const results = () => (readdirSync(folder).includes('results') ? readdirSync(join(folder, 'results')) : []);
    let [crashes, broken] = [0, 0];
    // Then all is left to come to its end.
    while (results().length < 450) {
      // On a busy machine, too, more is found than is killed: starting a worker takes longer than a job.
      const wanted = results().length + 6;
      while (results().length < wanted) await wait(50);
      await wait(stream.uniform() * 300);
      const what = stream.uniform();
      if (what < 0.15 && crashes < 4) {
        crashes++;
        await postgres.crash();
        await wait(stream.uniform() * 1500);
        await postgres.up();
      } else if (what < 0.25 && broken < 4) {
        broken++;
        await postgres.killBackend();
      } else workers.kill(Math.floor(stream.uniform() * 8));
    }
    const isDone = async () => {
      const states = await queue.states(jobs.map(({ digest }) => digest)).catch(() => undefined);
      return states !== undefined && [...states.values()].every(({ state }) => state === 'done');
    };
    while (!(await isDone())) await wait(500);
    // One that was started a moment ago does not listen yet.
    for (const end of await workers.stop()) expect([0, 'SIGTERM']).toContain(end);
    await queue.close();

    expect(
      [workers.killed, crashes, broken].every((count) => count > 1),
      `${workers.killed} ${crashes} ${broken}`,
    ).toBe(true);
    expect(
      results()
        .filter((file) => !file.startsWith('.'))
        .sort(),
    ).toEqual(jobs.map(({ digest }) => `${digest}.json`).sort());
    for (const { digest, text } of jobs) {
      const found = JSON.parse(readFileSync(join(folder, 'results', `${digest}.json`), 'utf8'));
      expect(found).toEqual({ text, trials: [0, 1, 2, 3, 4] });
      const trials = readdirSync(join(folder, 'trials', digest)).filter((file) => !file.startsWith('.'));
      expect(trials.sort()).toEqual([0, 1, 2, 3, 4].map((index) => `${index}.json`));
      for (const file of trials) {
        expect(JSON.parse(readFileSync(join(folder, 'trials', digest, file), 'utf8'))).toMatchObject({ text });
      }
    }
    // What was computed twice is what a kill, or a database that was away, took from a worker.
    const computed = readFileSync(join(folder, 'trials', 'log'), 'utf8').split('\n').length - 1;
    expect(computed).toBeGreaterThanOrEqual(2500);
    expect(computed - 2500).toBeLessThanOrEqual(workers.killed + 8 * (crashes + broken));
    const counts = await postgres.query(
      `SELECT state, count(*)::int AS n FROM weightlock.job WHERE name = '${name}' GROUP BY state`,
    );
    expect(counts).toEqual([{ state: 'completed', n: 500 }]);
  });

  it('a sweep whose workers, conductor and database are killed finds what one finds that is left alone', async () => {
    const folder = join(root, 'real');
    mkdirSync(folder);
    const main = resolve('dist/cli/main.js');
    const env = { ...process.env, WEIGHTLOCK_QUEUE: postgres.url };
    await saveModel(join(folder, 'unlocked'), initializeModel('mlp', { num_labels: 2, hidden_sizes: [8, 6] }, 1));
    writeFileSync(join(folder, 'plan.yaml'), realPlan);
    const start = (args: readonly string[], environment: NodeJS.ProcessEnv = env) =>
      spawn(process.execPath, [main, ...args], {
        cwd: folder,
        stdio: ['ignore', 'ignore', 'inherit'],
        env: environment,
      });
    const { WEIGHTLOCK_QUEUE: _, ...alone } = env;
    const sweep = ['sweep', 'plan.yaml', '--threads', '1', '--quiet'];
    expect(await once(start([...sweep, '--runs', 'alone', '--workers', '1'], alone), 'exit')).toEqual([0, null]);

    const artifacts = ['--artifacts', 'shared', '--quiet'];
    const store = await FolderStore.open(join(folder, 'shared'));
    // Made before the others open it, so that a lost job is another's after three seconds instead of sixty.
    const queue = await JobQueue.open({
      address: parseQueueAddress(postgres.url, 'test'),
      name: `sweep-${store.id}`,
      leaseSeconds: 3,
    });
    await queue.close();
    let worker = 0;
    const workers = new Processes(3, () =>
      start(['worker', ...artifacts, '--workers', '1', '--runs', `worker-${worker++}`]),
    );
    const conduct = () => start([...sweep, '--runs', 'many', '--workers', '0', ...artifacts]);
    const stream = new RandomStream(5, 'who is killed');
    let conductor = conduct();
    const results = () =>
      existsSync(join(folder, 'shared', 'results')) ? readdirSync(join(folder, 'shared', 'results')) : [];
    for (let kills = 0; kills < 9 && conductor.exitCode === null; kills++) {
      const before = results().length;
      // Something is found between two kills, else nothing ever would be.
      while (results().length === before && conductor.exitCode === null) await wait(50);
      await wait(stream.uniform() * 300);
      if (kills % 3 === 0) workers.kill(Math.floor(stream.uniform() * 3));
      else if (kills % 3 === 1) {
        await postgres.crash();
        await postgres.up();
      } else if (conductor.exitCode === null) {
        conductor.kill('SIGKILL');
        await once(conductor, 'exit');
        conductor = conduct();
      }
    }
    if (conductor.exitCode === null) await once(conductor, 'exit');
    expect(conductor.exitCode).toBe(0);
    for (const end of await workers.stop()) expect([0, 'SIGTERM']).toContain(end);
    const found = (runs: string) => {
      const [run] = readdirSync(join(folder, runs)).filter((name) => name.startsWith('sweep-'));
      const result = JSON.parse(readFileSync(join(folder, runs, run, 'result.json'), 'utf8'));
      // But how long it took, and where the locked model lay while it was attacked.
      for (const cell of result.cells) delete cell.attacked.seconds;
      return JSON.stringify(result);
    };
    expect(found('many')).toBe(found('alone'));
  });
});

/** Two draws of a lock and its sham, and attacks on all; the smallest that is all of it. */
const realPlan = `models:
  - name: mlp
    unlocked: unlocked
    data: { classes: [0, 1] }
locks:
  - name: raised
    method: specdef
    seeds: [1, 2]
    sham: true
    specdef: { steps: 12, maxKl: null, maxDrop: 1 }
attacks:
  - name: few
    data: { classes: [3, 4], testLimit: 60 }
    attacks: [fine-tune, clip]
    optimizers: sgd
    costSteps: 0
    scoreSteps: 8
    perClass: 5
    seeds: [1, 2]
    searchSeeds: 9
`;
