import { rm, stat } from 'node:fs/promises';
import {
  type AttackTask,
  type Candidate,
  isMeasuredTrial,
  isTrialOf,
  onlyCandidate,
  type SearchResult,
  type Trial,
  trainedParts,
} from '../../attacks/index.js';
import { type RunFolder, toJson } from '../../evidence/index.js';
import { readJsonFile, writeFileAtomic } from '../../formats/index.js';

/** A trial or a whole search as it lies on disk: beside what was found, which is the same each time, how long it took. */
type Timed<T, Seconds> = T & { readonly seconds: Seconds };

/** What came of a search. */
export interface SearchFound {
  readonly result: SearchResult;
  /** Seconds of each trial, those of the search first. */
  readonly seconds: readonly number[];
}

/** What is known after a part of a search: its result or error once all parts are over, else what can be done now. */
export interface AfterPart {
  readonly found?: SearchFound;
  readonly error?: Error;
  readonly parts?: readonly SearchPart[];
}

/** A part of a search that one process does. */
export interface SearchPart {
  /** What the process is asked to do. */
  readonly task: AttackTask;
  /** Its trials that are on disk. */
  finished(): readonly Trial[];
  /** Writes a trial; returns when it is on disk. */
  onTrial(trial: Trial, index: number, seconds: number): Promise<void>;
  /** Takes its result. */
  onResult(result: SearchResult): Promise<AfterPart>;
  /** Takes what it failed with. */
  onFailure(error: Error): Promise<AfterPart>;
}

/**
 * One search of an attack, in parts that processes can do side by side: the trials of the search, each of which depends on those before
 * it, then a part for each seed that is reported. Every trial is on disk before it is counted, so that an interrupted run goes on at
 * the trial. What is found does not depend on how many processes there are.
 */
export class SplitSearch {
  readonly #whole: string;
  readonly #partial: string;
  /** Trials on disk: those of the search, in their order, then those of the seeds, as they ended. */
  #trials: readonly Timed<Trial, number>[] = [];
  #written = Promise.resolve();

  /** @param key - Names its files beside its own name (see `searchKeys`). */
  constructor(
    readonly task: AttackTask,
    key: string,
    folder: Pick<RunFolder, 'checkpointPath'>,
  ) {
    this.#whole = folder.checkpointPath(`attack-${task.id}-${key}.json`);
    this.#partial = folder.checkpointPath(`attack-${task.id}-${key}.trials.json`);
  }

  /** How many processes it can keep busy. */
  get width(): number {
    return this.#isSplit ? this.task.budget.seeds.length : 1;
  }

  /** How many of its trials an interrupted run has done. */
  get done(): number {
    return this.#trials.length;
  }

  /** Reads what is on disk; gives what was found where it was finished. */
  async open(): Promise<SearchFound | undefined> {
    const found = (await readFound(this.#whole)) as Timed<SearchResult, readonly number[]> | undefined;
    if (!found) {
      this.#trials = ((await readFound(this.#partial)) ?? []) as Timed<Trial, number>[];
      return undefined;
    }
    const { seconds, ...result } = found;
    return { result, seconds };
  }

  /** The parts that there are at first. */
  begin(): readonly SearchPart[] {
    const { budget } = this.task;
    if (!this.#isSplit) return [this.#part(this.task, (result) => this.#finish(result, result.search.length))];
    const only = onlyCandidate(budget);
    if (only) return this.#ofSeeds({ search: [], ...only, trials: [] });
    const search = { ...this.task, budget: { ...budget, seeds: [] } };
    return [this.#part(search, async (result) => ({ parts: this.#ofSeeds(result) }))];
  }

  /** Of one seed, or of what fits a classifier, there is nothing to do side by side. */
  get #isSplit(): boolean {
    const { trained, budget } = this.task;
    return budget.seeds.length > 1 && trainedParts.get(trained?.name ?? 'all').trains;
  }

  /** What is searched, with the seeds where it is not split. */
  #part(task: AttackTask, then: (result: SearchResult) => Promise<AfterPart>): SearchPart {
    return {
      task,
      finished: () => this.#trials.map(plain),
      onTrial: (trial, index, seconds) => this.#write([...this.#trials.slice(0, index), { ...trial, seconds }]),
      onResult: then,
      onFailure: (error) => this.#fail(error),
    };
  }

  /** A part for each seed, of what a search chose. */
  #ofSeeds(searched: SearchResult): SearchPart[] {
    const { budget } = this.task;
    const { learningRate, point, search } = searched;
    const at: Candidate = { learningRate, ...(point && { point }) };
    const found = new Map<number, SearchResult>();
    const failed = new Map<number, Error>();
    const ofSeed = (seed: number) => this.#trials.slice(search.length).find((trial) => isTrialOf(trial, at, seed));
    const end = async (): Promise<AfterPart> => {
      if (found.size + failed.size < budget.seeds.length) return {};
      const trials = budget.seeds.map((seed) => found.get(seed)?.trials[0] ?? ofSeed(seed));
      const [error] = failed.values();
      // One that ended without a trial was no property of it; where none was measured, the search failed.
      const known = trials.flatMap((trial) => (trial ? [plain(trial)] : []));
      if (error && (known.length < trials.length || ![...search, ...known].some(isMeasuredTrial))) {
        return this.#fail(error);
      }
      const constant = [searched, ...found.values()].find((one) => one.constant !== undefined)?.constant;
      const result = { search, ...at, trials: known, ...(constant !== undefined && { constant }) };
      return this.#finish(result, search.length, budget.seeds.map(ofSeed));
    };
    return budget.seeds.map((seed) => ({
      task: { ...this.task, budget: { ...budget, at, seeds: [seed] } },
      finished: () => [ofSeed(seed)].flatMap((trial) => (trial ? [plain(trial)] : [])),
      onTrial: (trial, _, seconds) => {
        const again = ofSeed(seed);
        return this.#write([...this.#trials.filter((known) => known !== again), { ...trial, seconds }]);
      },
      onResult: (result) => {
        found.set(seed, result);
        return end();
      },
      onFailure: (error) => {
        failed.set(seed, error);
        return end();
      },
    }));
  }

  /** Parts that end together write one after the other. */
  #write(trials: readonly Timed<Trial, number>[]): Promise<void> {
    this.#trials = trials;
    this.#written = this.#written.then(() => writeFileAtomic(this.#partial, toJson(trials)));
    return this.#written;
  }

  async #finish(
    result: SearchResult,
    searchTrials: number,
    reported: readonly (Timed<Trial, number> | undefined)[] = this.#trials.slice(searchTrials),
  ): Promise<AfterPart> {
    const timed = [...this.#trials.slice(0, searchTrials), ...reported];
    // None of a seed that ended without a trial.
    const seconds = timed.map((trial) => trial?.seconds ?? Number.NaN);
    await writeFileAtomic(this.#whole, toJson({ ...result, seconds }));
    await rm(this.#partial, { force: true });
    return { found: { result, seconds } };
  }

  /** What was measured stays on disk: the search is tried again when the run is. */
  async #fail(error: Error): Promise<AfterPart> {
    if (!this.#trials.some(isMeasuredTrial)) await rm(this.#partial, { force: true });
    return { error };
  }
}

function plain({ seconds: _, ...trial }: Trial & { readonly seconds?: number }): Trial {
  return trial;
}

/** What a file holds, where there is one. Numbers that JSON lacks are strings in it. */
async function readFound(path: string): Promise<unknown> {
  return (await stat(path).catch(() => undefined)) && withNumbers(await readJsonFile(path));
}

const notFinite = new Map([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((x) => [String(x), x]));

function withNumbers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withNumbers);
  if (typeof value === 'string') return notFinite.get(value) ?? value;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withNumbers(inner)]));
}
