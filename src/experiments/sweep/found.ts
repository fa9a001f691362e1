import { z } from 'zod';
import type { SearchResult, Trial } from '../../attacks/index.js';
import { toJson } from '../../evidence/index.js';
import type { ArtifactStore } from '../../queue/index.js';
import { InputError, inWords } from '../../registry/index.js';
import { lockedForm, searchForm, trialForm } from '../results.js';
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

  /** Keeps a trial of a search as soon as it has ended. */
  async keepTrial(digest: string, index: number, trial: TimedTrial): Promise<void> {
    await this.store.keep(trialKey(digest, index), toJson(trial));
  }

  /** Forgets all of a job, so that it is done anew. */
  async forget(digest: string): Promise<void> {
    await this.store.forget(resultKey(digest));
    // The last first: what is left after a kill is still the beginning of a search.
    const { length } = await this.trials(digest);
    for (let index = length - 1; index >= 0; index--) await this.store.forget(trialKey(digest, index));
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
