import { join } from 'node:path';
import { bytesOfProcess, plannedShare } from '../../attacks/index.js';
import { type EngineOptions, programMemory } from '../../engine/index.js';
import { openModel } from '../../models/index.js';
import { type ArtifactStore, filesOf } from '../../queue/index.js';
import { InputError } from '../../registry/index.js';
import { dataWithPaths, withPaths } from '../jobs/task-paths.js';
import { Children } from './children.js';
import { Findings } from './found.js';
import { type LockJob, readJob, type SearchJob, type SweepJob } from './job.js';
import { MemoryGate } from './memory-gate.js';
import { foundPaths } from './paths.js';

/** Where a worker works. */
export interface Workplace {
  /** What it shares with other machines. */
  readonly store: ArtifactStore;
  /** Folder of this machine for what is only needed until a job is done: checkpoints of locks, weights that healed. */
  readonly runs: string;
  /** Jobs that it does side by side at most; they share what compiled programs may hold. */
  readonly slots: number;
  /** Hears, once, that memory does not hold so many of some model. */
  onFewer?(count: number): void;
}

/** Does jobs of sweeps, from wherever they come. */
export class JobDoer {
  readonly #findings: Findings;
  readonly #children = new Children();
  readonly #gate: MemoryGate;

  constructor(private readonly place: Workplace) {
    this.#findings = new Findings(place.store);
    this.#gate = new MemoryGate(plannedShare * process.availableMemory(), place.onFewer);
  }

  /**
   * Does a job, unless what it finds is there already. What was begun goes on: a search at its next trial, a lock of this machine
   * at its checkpoint.
   *
   * @param data - As it came out of the queue.
   * @throws InputError when it is no job of ours, or cannot be done.
   */
  async run(data: unknown, signal: AbortSignal): Promise<void> {
    const { digest, job } = readJob(data);
    if (await this.#findings.read(digest)) return;
    const leave = await this.#gate.enter(await this.#bytesOf(job), signal);
    try {
      if (job.kind === 'search') await this.#search(digest, job, signal);
      else await this.#lock(digest, job, signal);
    } finally {
      leave();
    }
  }

  /** Ends the processes that wait for more. */
  end(): void {
    this.#children.end();
  }

  /** What a job takes at least, by the weights of its model. */
  async #bytesOf(job: SweepJob): Promise<number> {
    const paths = foundPaths(this.place.store);
    const { start } = job.kind === 'search' ? job.task : { start: { kind: 'model', ...job.model } as const };
    const path = await paths.model(start.kind === 'model' ? start.path : start.like);
    const { weights } = await openModel(path, { config: start.config });
    const sizes = [...weights.values()].map(({ shape }) => shape.reduce((product, length) => product * length, 1));
    return bytesOfProcess(4 * sizes.reduce((sum, size) => sum + size, 0));
  }

  /** Device and threads of a job, and its share of what compiled programs may hold. */
  #engineOf({ engine }: SweepJob): EngineOptions {
    return { ...engine, memory: programMemory({}) / this.place.slots };
  }

  async #search(digest: string, job: SearchJob, signal: AbortSignal): Promise<void> {
    const before = await this.#findings.searchTrials(digest);
    const found = await this.#children.run(
      {
        kind: 'search',
        task: await withPaths(job.task, foundPaths(this.place.store)),
        engine: this.#engineOf(job),
        prepared: join(this.place.runs, 'sweep-prepared'),
        finished: before.finished,
      },
      {
        signal,
        onTrial: ({ trial, index, seconds }) => before.keep(index, { ...trial, seconds }),
      },
    );
    if (found.kind !== 'search') throw new InputError(`job ${digest}: expected a search, found a ${found.kind}`);
    const { search, trials } = found.result;
    const seconds = Array.from(
      { length: search.length + trials.length },
      (_, index) => before.seconds[index] ?? Number.NaN,
    );
    await this.#findings.keep(digest, { kind: 'search', result: found.result, seconds });
  }

  async #lock(digest: string, whole: LockJob, signal: AbortSignal): Promise<void> {
    const { model, data, adversary, ...job } = whole;
    const { store, runs } = this.place;
    const paths = foundPaths(store);
    const found = await this.#children.run(
      {
        kind: 'lock',
        job: { ...job, engine: this.#engineOf(whole) },
        model: { ...model, path: await paths.model(model.path) },
        ...(data && { data: await dataWithPaths(data, paths) }),
        ...(adversary && { adversary: await Promise.all(adversary.map((each) => dataWithPaths(each, paths))) }),
        runs,
        digest,
      },
      { signal, onTrial: async () => undefined },
    );
    if (found.kind !== 'lock') throw new InputError(`job ${digest}: expected a lock, found a ${found.kind}`);
    const kept = await store.keepTree(await filesOf(found.path));
    await this.#findings.keep(digest, { kind: 'lock', model: kept, info: found.info });
  }
}
