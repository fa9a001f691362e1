import { readFile, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type AttackTargets, modelDigest } from '../../attacks/index.js';
import { type DataParts, type DataSpec, type Dataset, loadData } from '../../data/index.js';
import { configHash, modelState, saveOutput, writeOutput } from '../../evidence/index.js';
import { readJsonFile, writeFileAtomic } from '../../formats/index.js';
import { type LockMethod, lockMethods, secretOfSeed } from '../../locks/index.js';
import {
  cloneWeights,
  loadModel,
  type Model,
  type ModelCard,
  type ModelOnDisk,
  type StateDict,
  saveChanged,
  saveModel,
  writeModelCard,
} from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import type { Evaluation } from '../../tasks/index.js';
import { utilityPasses } from '../../training/index.js';
import { cardLock, cardMetrics, cardOfData, cardOfSource, cardUtility } from '../card-of-data.js';
import { type AttackJobResult, attackJob } from '../jobs/attack.js';
import type { AttackPlan } from '../jobs/attack-plan.js';
import { type LockJobResult, lockJob, lockOnDiskJob } from '../jobs/lock.js';
import { type JobContext, type TrainOptions, type TrainResult, trainJob, trainSteps } from '../jobs/train.js';
import { evaluateModel, predict } from '../measure.js';
import { notedProgress, type PhaseProgress, shownPass } from '../progress.js';
import { raiseWarning, type UtilityChange, utilityChange, utilityWarnings } from '../utility.js';
import { weightsMoved } from '../weights-moved.js';
import { openModel, type RunContext, type RunSpec } from './spec.js';

/** A model that a run made, on disk. */
export interface MadeModel<Info = unknown> {
  /** Its model directory. */
  readonly path: string;
  /** The model as it was written. */
  readonly model: Model;
  /** What is known of how it was made. */
  readonly info: Info;
}

/** What training found. */
export interface TrainedInfo extends TrainResult {
  /** What the task measures on the test examples, where there were some. */
  readonly test?: Evaluation;
}

/** What a lock found. */
export interface LockedInfo extends LockJobResult {
  /** Utility on the authorized test examples before and after, of the weights as they were written; none without such examples. */
  readonly test?: UtilityChange;
  /** What the owner must know before publishing it. */
  readonly warnings: readonly string[];
}

/** Examples that a model is trained or locked on, those that stop it, and those that it is judged on. */
export type TaskData = Pick<DataParts, 'train' | 'validation'> & {
  readonly test?: DataParts['test'];
  /** Options that load them again, for the model's card. */
  readonly spec?: DataSpec;
};

/** A part of a run that makes a model. */
export interface Part {
  /** Its name: of its model's folder, checkpoint and metrics. */
  readonly name: string;
  /** What the progress calls it; default its name. */
  readonly phase?: string;
  /** Seed of its shuffles and draws; default the run's. */
  readonly seed?: number;
  /** Model directory to write; default a folder of the run with the part's name. */
  readonly output?: { readonly path: string; readonly force: boolean };
}

/** All that decides what a part makes, as far as it can be told before: plain data. */
type PartContent = Readonly<Record<string, unknown>>;

/** Names and numbers of examples, whose contents are those of the run's configuration. */
function examplesIn(sets: Readonly<Record<string, Dataset | readonly Dataset[] | undefined>>): string[] {
  return Object.entries(sets).flatMap(([role, some]) =>
    [some ?? []].flat().map(({ name, size }) => `${role}: ${size} of ${name}`),
  );
}

/**
 * Trains, locks and attacks: the one conductor of commands, demo and reproductions. Each part is done once; what was finished
 * before an interruption is read back, and what was begun goes on from its checkpoint.
 */
export class Runner {
  /** Seconds of each part, those of earlier, interrupted runs included where the part was finished. */
  readonly seconds: Record<string, number> = {};
  /** What attacks left out because it could do nothing, one sentence each. */
  readonly notes = new Set<string>();
  readonly #progress: PhaseProgress;
  readonly #data = new Map<string, Promise<DataParts & { spec: DataSpec }>>();
  /** What the model was worth whose locked copy was judged last. */
  #unlocked?: { readonly model: Model; readonly dataset: Dataset; readonly utility: UtilityChange['before'] };
  #stepOffset = 0;

  /**
   * @param spec - What the run is computed with and on.
   * @param context - Where it is kept and shown.
   */
  constructor(
    readonly spec: RunSpec,
    readonly context: RunContext,
  ) {
    this.#progress = notedProgress(context.progress, context.folder);
  }

  /** The examples of the authorized or the unauthorized task; undefined where the run has none. */
  async data(role: 'authorized' | 'unauthorized'): Promise<(DataParts & { spec: DataSpec }) | undefined> {
    const spec = this.spec.data?.[role];
    if (!spec) return undefined;
    const known = this.#data.get(role) ?? loadData(spec).then((parts) => ({ ...parts, spec }));
    this.#data.set(role, known);
    return known;
  }

  /** The model that the run begins with, new or from its directory. */
  start(): Promise<Model> {
    return openModel(this.spec.model, this.spec.seed);
  }

  /**
   * Trains a model, default the run's own: `begin` gives other weights of it to begin with, which a run that is only planned does
   * not ask for; `finish` changes its weights, in place, before they are written.
   */
  train(
    part: Part,
    {
      from = () => this.start(),
      begin,
      finish,
      data,
      options,
    }: {
      from?: () => Promise<Model>;
      begin?: (model: Model) => Promise<StateDict>;
      finish?: (model: Model) => void;
      data: TaskData;
      options: TrainOptions;
    },
  ): Promise<MadeModel<TrainedInfo>> {
    const steps = trainSteps(options, data.train);
    const { seed = this.spec.seed } = part;
    const of = { training: options, seed, data: examplesIn({ train: data.train, validation: data.validation }) };
    return this.#make<TrainResult, TrainedInfo>(part, steps, {
      of,
      make: async (job) => {
        const given = await from();
        const model = begin ? { ...given, weights: await begin(given) } : given;
        const info = await trainJob({ model, ...data, seed }, options, job);
        finish?.(model);
        return { model, info, card: cardOfData(data.train, data.spec) };
      },
      judge: async (model, info, card) => {
        const test = data.test && (await this.evaluate(model, data.test));
        const metrics = cardMetrics(model, (data.test ?? data.validation).name, test ?? info.evaluation);
        return { info: { ...info, ...(test && { test }) }, card: { ...card, metrics } };
      },
    });
  }

  /** A copy of a model that others trained. */
  adopt(part: Part, path: string, config?: Readonly<Record<string, unknown>>): Promise<MadeModel> {
    return this.#make<{ path: string }>(part, 0, {
      of: { model: basename(path), config },
      make: async () => ({ model: await loadModel(path, { config }), info: { path } }),
    });
  }

  /** Locks a copy of a model; default the run's own. A method may do without data. */
  async lock<Options>(
    part: Part,
    {
      from,
      data,
      adversary,
      method,
      options,
    }: {
      from?: Model;
      data?: TaskData;
      adversary?: TaskData['train'] | readonly TaskData['train'][];
      method: LockMethod<Options> | string;
      options: Options;
    },
  ): Promise<MadeModel<LockedInfo>> {
    const chosen = typeof method === 'string' ? (lockMethods.get(method) as LockMethod<Options>) : method;
    const { secret: given } = this.spec;
    const { seed = this.spec.seed } = part;
    const secret = given === 'seed' ? secretOfSeed(seed) : given;
    let original: Model;
    const raised = (model: Model, { spectra, steps }: LockJobResult) => {
      if (steps === 0 || !chosen.reveals?.(options).raised) return undefined;
      const locked = new Set(chosen.locks(model.weights, options, model));
      return raiseWarning(spectra.filter(({ name }) => locked.has(name)));
    };
    const examples = { train: data?.train, validation: data?.validation, adversary };
    const of = { lock: chosen.name, options, seed, from: from && modelDigest(from), data: examplesIn(examples) };
    const made = await this.#make<LockJobResult, LockedInfo>(part, chosen.steps(options, data?.train.size ?? 0), {
      of,
      make: async (job) => {
        original = from ?? (await this.start());
        const model = { ...original, weights: cloneWeights(original.weights) };
        const { model: locked, info } = await lockJob({ model, ...examples, seed, secret }, chosen, options, job);
        const facts = data ? cardOfData(data.train, data.spec) : await cardOfSource(original);
        const metrics =
          data && info.after ? { metrics: cardMetrics(locked, data.validation.name, info.after, info.before) } : {};
        return { model: locked, info, card: { ...facts, ...metrics, lock: cardLock(chosen.name, options, info) } };
      },
      // Not the weights in memory: what is said of a model must be measured on the file that is published.
      judge: async (published, found, card) => {
        const info = { ...found, moved: weightsMoved(original, published.weights) };
        const weak = [raised(published, info) ?? []].flat();
        if (!data?.test) {
          const warnings = data ? weak : [notMeasured, ...weak];
          return { info: { ...info, warnings }, card };
        }
        const test = await this.utility(original, published, data.test, part.phase ?? part.name);
        const metrics = cardUtility(published, data.test.name, test);
        const warnings = [...utilityWarnings(info, test), ...weak];
        return { info: { ...info, test, warnings }, card: { ...card, metrics } };
      },
    });
    if (given === 'seed' && chosen.draws?.(options)) this.notes.add(drawnBySeed(chosen.name));
    const warning = raised(made.model, made.info);
    if (warning !== undefined) this.notes.add(`${part.name}: ${warning}`);
    return made;
  }

  /** Locks a model on the disk, which is never loaded, by a method that has a plan. */
  async lockOnDisk<Options>(
    part: Part & Required<Pick<Part, 'output'>>,
    {
      from,
      method,
      options,
    }: { from: ModelOnDisk & { readonly source: string }; method: LockMethod<Options>; options: Options },
  ): Promise<{ readonly path: string; readonly info: LockedInfo }> {
    const { plan, draws, name } = method;
    if (!plan) throw new InputError(`${name}: expected a lock method that needs neither data nor the whole model`);
    const { folder, signal } = this.context;
    const { seed = this.spec.seed } = part;
    const { secret: given } = this.spec;
    const { path, force } = part.output;
    // What is shown of it is how many weights are done.
    // Its contents are those of the run's configuration: a large model is not read once more.
    const of = { lock: name, options, seed, from: basename(from.source) };
    const info = await this.#once<LockedInfo>(part, { steps: from.weights.size, of }, async (job, end) => {
      const facts = await cardOfSource(from);
      const found = await lockOnDiskJob(
        { model: from, secret: given === 'seed' ? secretOfSeed(seed) : given },
        {
          ...{ method: { plan, draws }, options },
          write: async (changes, watch) => {
            const write = () => saveChanged(path, from, changes, { force: true, card: facts, watch, signal });
            await writeOutput(folder.path, path, { force, write });
            return path;
          },
        },
        job,
      );
      end(`${from.weights.size} weights`);
      await writeModelCard(path, from, { ...facts, lock: cardLock(name, options, found) });
      return { ...found, warnings: [notMeasured, ...found.warnings] };
    });
    return { path, info };
  }

  /** Attacks with one plan. */
  async attack(targets: AttackTargets, plan: AttackPlan): Promise<AttackJobResult> {
    const { engine, workers = 0 } = this.spec;
    const { folder, signal } = this.context;
    const found = await this.#timed(plan.title ?? `attack ${plan.label ?? ''}`.trim(), () =>
      attackJob(targets, plan, { folder, workers, engine, signal, progress: this.#progress }),
    );
    for (const note of found.notes) this.notes.add(note);
    return found;
  }

  /** What a model's task measures on a data set. */
  evaluate(model: Model, dataset: Dataset): Promise<Evaluation> {
    return evaluateModel(model, dataset, this.#options);
  }

  /**
   * Utility of a model and of a locked copy of it. What the model itself is worth is measured once for all copies in a row.
   *
   * @param name - What progress calls the copy.
   */
  async utility(model: Model, locked: Model, dataset: Dataset, name: string): Promise<UtilityChange> {
    const { model: of, dataset: on, utility } = this.#unlocked ?? {};
    const before = of === model && on === dataset ? utility : undefined;
    const total = (before ? 1 : 2) * utilityPasses * dataset.size;
    const progress = this.#progress;
    progress.begin(`${name}: utility`, total);
    let done = 0;
    const onExamples = (count: number) => {
      done += count;
      progress.advanceBy(count, `${done} of ${total} examples`);
    };
    const change = await utilityChange(model, locked, dataset, { ...this.#options, before, onExamples });
    progress.end(`${total} examples`);
    this.#unlocked = { model, dataset, utility: change.before };
    return change;
  }

  /** Outputs `[size, ...]` of a model on a data set. */
  predict(model: Model, dataset: Dataset): Promise<Float32Array> {
    return predict(model, dataset, this.#options);
  }

  /** What a model is run with. */
  get #options() {
    return { engine: this.spec.engine, signal: this.context.signal };
  }

  async #make<Made, Info extends Made = Made>(
    part: Part,
    steps: number,
    {
      of,
      make,
      judge,
    }: {
      of: PartContent;
      make: (job: JobContext) => Promise<{ model: Model; info: Made; card?: ModelCard }>;
      judge?: (written: Model, info: Made, card: ModelCard) => Promise<{ info: Info; card: ModelCard }>;
    },
  ): Promise<MadeModel<Info>> {
    const { folder } = this.context;
    const { output } = part;
    const path = this.#pathOf(part);
    const info = await this.#once<Made | Info>(part, { steps, of }, async (job, end) => {
      const made = await make(job);
      end();
      const { model, card } = made;
      if (output) await saveOutput(folder.path, path, model, { force: output.force, card });
      else await saveModel(path, model, { force: true, card });
      const judged = judge && (await judge(await loadModel(path), made.info, card ?? {}));
      if (judged) await writeModelCard(path, model, judged.card);
      return judged?.info ?? made.info;
    });
    return { path, model: await loadModel(path), info: info as Info };
  }

  #pathOf({ name, output }: Part): string {
    return output?.path ?? this.context.folder.file(name);
  }

  /**
   * Does a part unless it is done, and gives what was noted of it. What another part of this name left, of a run that an earlier version
   * began, is not taken for it: it is made anew.
   *
   * @param work - Writes the model; may call `end` when its steps are over, before that, and say what was done.
   */
  async #once<Info>(
    part: Part,
    { steps, of }: { steps: number; of: PartContent },
    work: (job: JobContext, end: (what?: string) => void) => Promise<Info>,
  ): Promise<Info> {
    const { name, phase = name, output } = part;
    const { folder, signal } = this.context;
    const { engine } = this.spec;
    const noted = folder.file(`${name}.json`);
    const stepOffset = this.#stepOffset;
    this.#stepOffset += steps;
    const key = `${configHash('part', of)}\n`;
    const keyFile = folder.checkpointPath(`${name}.key`);
    await this.#timed(name, async () => {
      if ((await readFile(keyFile, 'utf8').catch(() => undefined)) !== key) {
        for (const left of [noted, folder.checkpointPath(`${phase}.safetensors`)]) await rm(left, { force: true });
        await writeFileAtomic(keyFile, key);
      }
      if (await isMade(folder.path, this.#pathOf(part), noted, output !== undefined)) return;
      // A model that is only taken over has no steps to show.
      let isShown = steps > 0;
      if (isShown) this.#progress.begin(phase, steps);
      const onStep = (step: number, text: string, tokens?: number) => this.#progress.advance(step, text, tokens);
      const onPass = (what: string, total: number) =>
        shownPass(this.#progress, {
          ...{ label: `${phase}: ${what}`, total },
          after: () => {
            if (isShown) this.#progress.begin(phase, steps);
          },
        });
      const end = (what?: string) => {
        if (isShown) this.#progress.end(what);
        isShown = false;
      };
      const found = await work({ folder, phase, stepOffset, engine, signal, onStep, onPass }, end);
      end();
      await writeFileAtomic(noted, `${JSON.stringify(found, null, 2)}\n`);
    });
    return (await readJsonFile(noted)) as Info;
  }

  /** Does a part and notes how long it took, with what runs took that were interrupted (a killed one is not counted). */
  async #timed<T>(part: string, work: () => Promise<T>): Promise<T> {
    const name = `seconds-${part.replaceAll(/[ ,]+/g, '-')}`;
    const [noted, soFar] = [`${name}.json`, `${name}-so-far.json`].map((file) => this.context.folder.file(file));
    const seconds = async (file: string) => ((await exists(file)) ? ((await readJsonFile(file)) as number) : undefined);
    const whole = await seconds(noted);
    const earlier = (await seconds(soFar)) ?? 0;
    const started = performance.now();
    const taken = () => earlier + (performance.now() - started) / 1000;
    let done: T;
    try {
      done = await work();
    } catch (error) {
      if (whole === undefined) await writeFileAtomic(soFar, `${taken()}\n`);
      throw error;
    }
    this.seconds[part] = whole ?? taken();
    if (whole === undefined) await writeFileAtomic(noted, `${this.seconds[part]}\n`);
    return done;
  }
}

/** What is said of a lock that can be repeated. */
const drawnBySeed = (name: string) =>
  `What ${name} draws into the weights follows from the seed here, so that the run can be repeated; no attack is told so, as for a release it is a secret.`;

/** What is said of a lock without data. */
const notMeasured = 'The utility of the locked model was not measured: no data were given.';

/** Whether a part was finished by an earlier run: its findings are written last, and its model is still there. */
async function isMade(run: string, path: string, noted: string, isOutput: boolean): Promise<boolean> {
  if (!(await exists(noted))) return false;
  return isOutput ? (await modelState(run, path)) === 'whole' : exists(join(path, 'config.json'));
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
