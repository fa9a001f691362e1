import { z } from 'zod';
import type { SearchResult, Trial } from '../../attacks/index.js';
import { toJson } from '../../evidence/index.js';
import type { ArtifactStore } from '../../queue/index.js';
import { InputError, inWords } from '../../registry/index.js';
import { searchForm, trialForm } from '../result-forms/attacked.js';
import { lockedForm } from '../result-forms/locked.js';
import type { LockedInfo } from '../run/index.js';

const seconds = z.union([z.number(), z.enum(['NaN'])]).transform(Number);
const timedTrial = z.strictObject({ ...trialForm.shape, seconds });
const foundSearch = z.strictObject({ kind: z.literal('search'), result: searchForm, seconds: z.array(seconds) });
const foundLock = z.strictObject({
  kind: z.literal('lock'),
  model: z.string().regex(/^[0-9a-f]{64}$/),
  info: lockedForm,
});
const foundJob = z.discriminatedUnion('kind', [foundSearch, foundLock]);

/** What a job found, as it lies in the store. */
export type FoundJob =
  | { readonly kind: 'search'; readonly result: SearchResult; readonly seconds: readonly number[] }
  | {
      readonly kind: 'lock';
      /** Digest of the locked model's files. */
      readonly model: string;
      readonly info: LockedInfo;
    };

/** A trial with the seconds that it took. */
export type TimedTrial = Trial & { readonly seconds: number };

/** What jobs found, in a store under their digests: written once, whoever else does the same job. */
export class Findings {
  constructor(readonly store: ArtifactStore) {}

  /**
   * What a job found; undefined where it is yet to be done.
   *
   * @throws InputError when there is something else in its place.
   */
  async read(digest: string): Promise<FoundJob | undefined> {
    const text = await this.store.read(resultKey(digest));
    return text === undefined ? undefined : parsed(foundJob, text, `${this.store.name}: ${resultKey(digest)}`);
  }

  /** Keeps what a job found; what another kept before stays. */
  async keep(digest: string, found: FoundJob): Promise<void> {
    await this.store.keep(resultKey(digest), toJson(found));
  }

  /** The trials of a search that are done, in their order. */
  async trials(digest: string): Promise<TimedTrial[]> {
    const found: TimedTrial[] = [];
    for (;;) {
      const key = trialKey(digest, found.length);
      const text = await this.store.read(key);
      if (text === undefined) return found;
      found.push(parsed(timedTrial, text, `${this.store.name}: ${key}`));
    }
  }

  /** The trials of a search that are done, for who goes on with it. */
  async searchTrials(digest: string): Promise<SearchTrials> {
    return new SearchTrials(this, digest, await this.trials(digest));
  }

  /** Forgets all of a job, so that it is done anew. */
  async forget(digest: string): Promise<void> {
    await this.store.forget(resultKey(digest));
    await this.forgetTrials(digest, 0, (await this.trials(digest)).length);
  }

  /** Forgets trials of a search, from a place to before another. */
  async forgetTrials(digest: string, from: number, to: number): Promise<void> {
    // The last first: what is left after a kill is still the beginning of a search.
    for (let index = to - 1; index >= from; index--) await this.store.forget(trialKey(digest, index));
  }
}

/** The trials of one search in a store, as one worker goes on with them. */
export class SearchTrials {
  /** Those that were done before, in their order. */
  readonly finished: readonly Trial[];
  /** Seconds of each trial so far, by its place. */
  readonly seconds: number[];
  /** How many lie in the store as far as this worker knows. */
  #length: number;

  constructor(
    private readonly findings: Findings,
    private readonly digest: string,
    before: readonly TimedTrial[],
  ) {
    this.finished = before.map(({ seconds: _, ...trial }) => trial);
    this.seconds = before.map(({ seconds }) => seconds);
    this.#length = before.length;
  }

  /**
   * Keeps a trial as soon as it has ended; what another worker kept in its place meanwhile stays. Where one lay there before this
   * worker began, its search did not go on with that: it is forgotten, and what followed it.
   */
  async keep(index: number, trial: TimedTrial): Promise<void> {
    await this.findings.forgetTrials(this.digest, index, this.#length);
    await this.findings.store.keep(trialKey(this.digest, index), toJson(trial));
    this.#length = index + 1;
    this.seconds.splice(index, this.seconds.length, trial.seconds);
  }
}

function resultKey(digest: string): string {
  return `results/${digest}.json`;
}

/** By the search's digest and the trial's place: a search is determined by what its trials find, and so is its n-th trial. */
function trialKey(digest: string, index: number): string {
  return `trials/${digest}/${String(index).padStart(4, '0')}.json`;
}

function parsed<T>(form: z.ZodType<T>, text: string, source: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InputError(`${source}: expected JSON`);
  }
  const { success, data, error } = form.safeParse(value, { error: inWords });
  if (success) return data;
  const [{ path, message }] = error.issues;
  throw new InputError(`${source}: ${path.join('.')}: ${message}`);
}
