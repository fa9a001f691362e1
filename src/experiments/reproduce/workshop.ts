import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { type AttackRow, type AttackTargets, attackersAdvantage } from '../../attacks/index.js';
import { type DataParts, type DataSpec, dataSpec } from '../../data/index.js';
import { readJsonFile, writeFileAtomic } from '../../formats/index.js';
import { type SpecDefOptions, specDefOptions, specdef } from '../../locks/index.js';
import { loadModel, type Model, type ModelCard, saveModel } from '../../models/index.js';
import { cardLock, cardMetrics, cardOfData } from '../card-of-data.js';
import { attackJob } from '../jobs/attack.js';
import type { AttackPlan } from '../jobs/attack-options.js';
import { type LockJobResult, lockJob } from '../jobs/lock.js';
import { type JobContext, type TrainOptions, trainJob, trainSteps } from '../jobs/train.js';
import type { ReproductionContext, ResultAttack } from './reproduction.js';

/** A model that an experiment made, on disk. */
export interface MadeModel<Info = unknown> {
  /** Its model directory. */
  readonly path: string;
  /** The model. */
  readonly model: Model;
  /** What is known of how it was made. */
  readonly info: Info;
}

/** Examples that a model is trained or locked on, and those that stop it. */
export type TaskData = Pick<DataParts, 'train' | 'validation'>;

/**
 * Makes the models of an experiment in its run folder, each once, and attacks them. What was finished before an
 * interruption is read back.
 */
export class Workshop {
  /** Seconds of each part, those of earlier, interrupted runs included where the part was finished. */
  readonly seconds: Record<string, number> = {};
  /** What the attacks left out because it could do nothing, one sentence each. */
  readonly notes = new Set<string>();
  #stepOffset = 0;

  /** @param context - The run. */
  constructor(readonly context: ReproductionContext) {}

  /** Which examples of a data set in the run's folder; the split is by the run's seed. */
  spec(name: string, options: z.input<typeof dataSpec>): DataSpec {
    const { data, seed } = this.context;
    return dataSpec.parse({ name, path: join(data, name), splitSeed: seed, ...options });
  }

  /** Trains a copy of a model; the seed of its batches is the run's. */
  train(name: string, start: () => Promise<Model>, data: TaskData, options: TrainOptions): Promise<MadeModel> {
    const { progress, seed } = this.context;
    const steps = trainSteps(options, data.train);
    return this.#make(name, steps, async (job) => {
      const model = await start();
      progress.begin(name, steps);
      const info = await trainJob({ model, ...data, seed }, options, job);
      const metrics = cardMetrics(model, data.validation.name, info.evaluation);
      return { model, info, card: { ...cardOfData(data.train), metrics } };
    });
  }

  /** A copy of a model that others trained. */
  adopt(name: string, path: string, config: Readonly<Record<string, unknown>>): Promise<MadeModel> {
    return this.#make(name, 0, async () => ({ model: await loadModel(path, { config }), info: { path } }));
  }

  /** Locks a copy of a model with SpecDef. */
  lock(name: string, from: MadeModel, data: TaskData, options: SpecDefOptions): Promise<MadeModel<LockJobResult>> {
    const { progress, seed } = this.context;
    const steps = specdef.steps(options, data.train.size);
    return this.#make(name, steps, async (job) => {
      const model = await loadModel(from.path);
      progress.begin(name, steps);
      const info = await lockJob({ model, ...data, seed }, specdef, options, job);
      const metrics = info.after && cardMetrics(model, data.validation.name, info.after, info.before);
      return { model, info, card: { ...cardOfData(data.train), metrics, lock: cardLock(specdef.name, options, info) } };
    });
  }

  /** Attacks with one plan. */
  async attack(targets: AttackTargets, plan: AttackPlan): Promise<readonly AttackRow[]> {
    const { folder, workers, engine, signal, progress } = this.context;
    const { rows, notes } = await this.#timed(`attack ${plan.label ?? ''}`.trim(), () =>
      attackJob(targets, plan, { folder, workers, engine, signal, progress }),
    );
    for (const note of notes) this.notes.add(note);
    return rows;
  }

  async #make<Info>(
    name: string,
    steps: number,
    make: (job: JobContext) => Promise<{ model: Model; info: Info; card?: ModelCard }>,
  ): Promise<MadeModel<Info>> {
    const { folder, engine, signal, progress } = this.context;
    const path = folder.file(name);
    const noted = folder.file(`${name}.json`);
    const offset = this.#stepOffset;
    this.#stepOffset += steps;
    await this.#timed(name, async () => {
      // config.json is written last, so a folder that has it is whole.
      if (await stat(join(path, 'config.json')).catch(() => undefined)) return;
      const job = { folder, phase: name, stepOffset: offset, engine, signal };
      const { model, info, card } = await make({ ...job, onStep: (step, text) => progress.advance(step, text) });
      progress.end();
      await writeFileAtomic(noted, `${JSON.stringify(info, null, 2)}\n`);
      await saveModel(path, model, { force: true, card });
    });
    return { path, model: await loadModel(path), info: (await readJsonFile(noted)) as Info };
  }

  /** Does a part and notes how long it took, unless an earlier run has noted that. */
  async #timed<T>(part: string, work: () => Promise<T>): Promise<T> {
    const noted = this.context.folder.file(`seconds-${part.replaceAll(' ', '-')}.json`);
    const before = (await stat(noted).catch(() => undefined)) && ((await readJsonFile(noted)) as number);
    const started = performance.now();
    const done = await work();
    this.seconds[part] = before ?? (performance.now() - started) / 1000;
    if (before === undefined) await writeFileAtomic(noted, `${this.seconds[part]}\n`);
    return done;
  }
}

/** The last scores of some trials, one a seed: what a run ends with, as the paper reports it, and not the best on the way. */
export function lastScores(rows: readonly AttackRow[], start: string, optimizer?: string): number[] {
  return rows
    .filter((row) => row.start === start && row.plain)
    .filter((row) => optimizer === undefined || row.optimizer === optimizer)
    .flatMap(({ result }) => result.trials.map(({ curve }) => curve[curve.length - 1].score));
}

/** SpecDef as the paper prints it, without a leading stage and without a utility budget. */
export function printedSpecDef(options: Partial<SpecDefOptions>): SpecDefOptions {
  const printed = specDefOptions.parse({
    lead: { share: 0 },
    topK: 1,
    alpha: 0.5,
    retain: { task: 1, kl: 0 },
    utilityFloor: 0,
    maxKl: null,
    evaluateEvery: 100_000,
  });
  return { ...printed, ...options };
}

/** The rows of one unauthorized task with what they say of the attacker's advantage. */
export function assessed(
  facts: Pick<ResultAttack, 'task' | 'metric' | 'target' | 'guessing'>,
  rows: readonly AttackRow[],
) {
  return { ...facts, rows, cost: attackersAdvantage(rows, 'cost'), score: attackersAdvantage(rows, 'score') };
}
