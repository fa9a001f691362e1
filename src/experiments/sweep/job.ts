import { createHash } from 'node:crypto';
import { z } from 'zod';
import { dataSources, dataSpec } from '../../data/index.js';
import { canonicalJson, weightlockVersion } from '../../evidence/index.js';
import { lockMethods } from '../../locks/index.js';
import { InputError, inWords } from '../../registry/index.js';
import { tasks } from '../../tasks/index.js';

/** Files that a job reads: a folder of the store by its digest, or a file in it. */
const reference = z
  .string()
  .max(1200)
  .regex(/^artifact:[0-9a-f]{64}(\/[^/\\\0]+)?$/, { error: 'expected artifact: and a digest' });

const name = z.string().min(1).max(256);
const options = z.record(z.string(), z.json());
const count = z.int().min(0).max(1e9);
const seeds = z.array(z.int().min(0)).max(10_000);
const labels = z.array(z.string().max(1000)).max(1e6);
const head = z.strictObject({ kind: name, labels });
/** Data sets that lie in files are read from the store, never from where the worker happens to run. */
const data = dataSpec
  .extend({ path: reference.optional(), tokenizer: reference.optional() })
  .refine(({ name: set, path }) => path !== undefined || (set !== undefined && !dataSources.get(set).needsPath), {
    error: 'expected files in the artifacts',
    path: ['path'],
  });
const engine = z.strictObject({
  threads: z.int().min(1).max(1024),
  device: z.enum(['cpu', 'cuda', 'webgpu', 'coreml', 'dml']),
});
const named = z.strictObject({ name, options: options.optional() });
const optimizer = z.looseObject({ name, options: options.optional(), schedule: named.optional() });
const dimension = z.union([
  z.strictObject({ kind: z.literal('log'), low: z.number(), high: z.number() }),
  z.strictObject({ kind: z.literal('choice'), values: z.array(z.union([z.number(), z.string().max(256)])).max(1024) }),
]);
const budget = z.strictObject({
  method: z
    .strictObject({ name: z.enum(['sobol', 'asha']), trials: count, space: z.record(name, dimension) })
    .optional(),
  choices: z.record(name, z.array(z.union([z.number(), z.string().max(256)])).max(1024)).optional(),
  decades: z.array(z.number()).max(1024),
  refine: z.boolean().optional(),
  searchSpacing: z.number().optional(),
  searchSteps: count.optional(),
  alsoSearchSeeds: z.boolean().optional(),
  searchSeeds: seeds.min(1),
  seeds,
});
const start = z.union([
  z.strictObject({
    kind: z.literal('model'),
    path: reference,
    draws: z.array(reference).max(10_000).optional(),
    config: options.optional(),
    head: head.optional(),
  }),
  z.strictObject({
    kind: z.literal('random'),
    like: reference,
    config: options.optional(),
    head: head.optional(),
  }),
]);

/** One search of an attack, with all its trials. */
const searchJob = z.strictObject({
  kind: z.literal('search'),
  weightlock: name,
  engine,
  task: z.strictObject({
    id: name,
    start,
    transforms: z.array(z.strictObject({ name, options })).max(64).optional(),
    trained: named.optional(),
    optimizer,
    data,
    perClass: count.optional(),
    benign: data.optional(),
    retain: data.optional(),
    unlabelled: data.optional(),
    authorized: data.optional(),
    steps: count,
    batchSize: count.min(1),
    metric: name.optional(),
    target: z.number().optional(),
    continueAfterTarget: z.boolean().optional(),
    giveUpBelow: z.number().optional(),
    evaluationSpacing: z.number().optional(),
    evaluateEvery: count.optional(),
    budget,
  }),
});

/** One draw of a lock. */
const lockJob = z.strictObject({
  kind: z.literal('lock'),
  weightlock: name,
  engine,
  model: z.strictObject({ path: reference, config: options.optional() }),
  methods: z.array(z.enum(lockMethods.names() as [string, ...string[]])).min(1),
  options,
  sham: z.boolean(),
  seed: z.int().min(0),
  data: data.optional(),
  adversary: z.array(data).max(1000).optional(),
  task: z.enum(tasks.names() as [string, ...string[]]).optional(),
});

const sweepJob = z.discriminatedUnion('kind', [searchJob, lockJob]);

/** What one job of a sweep is: plain data, all that decides what it finds, files by their digest. */
export type SweepJob = z.output<typeof sweepJob>;
/** A search, see {@link SweepJob}. */
export type SearchJob = z.output<typeof searchJob>;
/** A lock, see {@link SweepJob}. */
export type LockJob = z.output<typeof lockJob>;

/** A job with the text that stands for it, and the digest of that, which names what it finds. */
export interface NamedJob<Job extends SweepJob = SweepJob> {
  readonly digest: string;
  readonly text: string;
  readonly job: Job;
}

/** Writes a job in its one form. */
export function namedJob<Job extends SweepJob>(job: Job): NamedJob<Job> {
  // Read back, so that what is not of the form fails here and not on another machine.
  const text = canonicalJson(parseJob(JSON.parse(canonicalJson(job)), 'job'));
  return { digest: digestOfText(text), text, job };
}

/** What queues carry. */
const carried = z.strictObject({ digest: z.string().regex(/^[0-9a-f]{64}$/), text: z.string().max(2 ** 22) });

/**
 * Reads a job that came out of a queue, which anybody may have filled who has its password.
 *
 * @throws InputError when it is not of the form, not what its digest says, or of another version.
 */
export function readJob(data: unknown): NamedJob {
  const found = carried.safeParse(data);
  if (!found.success) throw new InputError('job: expected a digest and a text, found something else');
  const { digest, text } = found.data;
  if (digestOfText(text) !== digest) throw new InputError(`job: expected the text of ${digest}, found another`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InputError(`job ${digest}: expected JSON`);
  }
  const job = parseJob(value, `job ${digest.slice(0, 12)}`);
  const own = weightlockVersion();
  if (job.weightlock !== own) {
    throw new InputError(`job ${digest.slice(0, 12)}: expected one of weightlock ${own}, found ${job.weightlock}`);
  }
  return { digest, text, job };
}

function parseJob(value: unknown, source: string): SweepJob {
  const parsed = sweepJob.safeParse(value, { error: inWords });
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  throw new InputError(`${source}: ${path.join('.')}: ${message}`);
}

function digestOfText(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
