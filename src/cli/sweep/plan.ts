import { z } from 'zod';
import { attackOptions, budgetsOfSuites, knownAttacks } from '../../experiments/index.js';
import { readFileCapped } from '../../formats/index.js';
import { lockMethods } from '../../locks/index.js';
import { InputError, inWords, optionsOf } from '../../registry/index.js';
import { withOptimizers } from '../../training/index.js';
import { knowsLockOption } from '../attack-checks.js';
import { modelData } from '../card-data.js';
import { parseYaml } from '../config-file.js';
import { modelOptions } from '../model-options.js';
import { methodsWithProxies } from '../proxy-data.js';
import { taskOption } from '../task-option.js';

/** A plan is written by hand; a larger file is a mistake. */
const maxBytes = 2 ** 20;

const name = z
  .string()
  .regex(/^[\w][\w .+-]{0,63}$/, { error: 'expected letters, digits, spaces and . _ + - alone, at most 64' });

const plannedModel = z.strictObject({
  name: name.describe('name in tables'),
  unlocked: z
    .string()
    .min(1)
    .optional()
    .describe('model before the lock: the locks of the plan are made of it, and it is attacked for comparison'),
  released: z.string().min(1).optional().describe('locked model that is attacked as it is'),
  sham: z.string().min(1).optional().describe('sham-locked model, the control beside `released`'),
  alternative: z
    .string()
    .min(1)
    .optional()
    .describe('another public model that an attacker could take instead: what is gained with it belongs to the floor'),
  ...modelOptions.shape,
  data: modelData.prefault({}).describe("the authorized task, for the retain loss of locks; default the model's own"),
  task: taskOption.describe("what the model is released for; default the task of the model's head"),
});

const plannedLock = withOptimizers(
  z.strictObject({
    name: name.describe('name in tables'),
    method: z
      .array(z.enum(lockMethods.names() as [string, ...string[]]))
      .min(1)
      .describe('lock method, or several as stages one after the other'),
    seeds: z
      .array(z.int().min(0))
      .min(1)
      .max(1000)
      .refine((seeds) => new Set(seeds).size === seeds.length, { message: 'expected each seed once' })
      .default([1])
      .describe('seeds of its draws: each trial of an attack takes one by its own seed'),
    proxies: z
      .array(z.string().min(1))
      .default([])
      .describe(`tasks that an attacker may be after, which ${methodsWithProxies()}`),
    sham: z
      .boolean()
      .optional()
      .describe('make the sham lock as well, and attack it in the same way; default of each method that has one'),
    // By the registry's names, which the type of the options does not know.
    ...(optionsOf('method', lockMethods.entries(), { inFull: true }) as Record<never, z.ZodType>),
  }),
);

const plannedAttacks = withOptimizers(
  z.strictObject({
    name: name.describe('name in tables'),
    data: modelData.prefault({}).describe('the unauthorized task'),
    benign: modelData
      .optional()
      .describe(
        "harmless examples that attacks train on in the place of the task's, in classes of the task: the score is measured on the task all the same; default none",
      ),
    retain: modelData
      .optional()
      .describe('examples like those of the authorized task, for attacks that heal or distil; default none'),
    unlabelled: modelData
      .optional()
      .describe(
        'examples without labels, for attacks that train on texts alone or towards outputs; default those of the task',
      ),
    authorized: modelData
      .optional()
      .describe(
        'examples of the authorized task, which what each attack leaves of it is measured on; default those of retain, of a back door the data without it',
      ),
    task: taskOption.describe('what the attacker wants of the data; default as of `weightlock attack`'),
    knowsLock: knowsLockOption,
    ...attackOptions.shape,
  }),
);

/** What a plan of a sweep says. */
export const sweepPlan = z.strictObject({
  models: z.array(plannedModel).min(1).max(1000),
  locks: z.array(plannedLock).max(1000).default([]),
  attacks: z.array(plannedAttacks).min(1).max(1000),
});

/** A parsed {@link sweepPlan}. */
export type SweepPlan = z.output<typeof sweepPlan>;

/** Keys of lists that may be written as their only element. */
const lists = new Set(['method', 'optimizers', 'attacks', 'seeds', 'searchSeeds', 'searchSchedules', 'proxies']);

/**
 * Reads the plan of a sweep.
 *
 * @throws InputError naming the file and the first key that is not as it must be.
 */
export async function readPlan(path: string): Promise<SweepPlan> {
  const given = parseYaml(await readFileCapped(path, maxBytes), path);
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new InputError(`${path}: expected the keys models, locks and attacks, found something else`);
  }
  const parsed = sweepPlan.safeParse(asLists(given as Record<string, unknown>), { error: inWords });
  if (!parsed.success) {
    // A key that is misspelt is also one that is missing; the first says why.
    const { issues } = parsed.error;
    const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
    const { path: at, message } = issue ?? { path: [], message: parsed.error.message };
    throw new InputError([path, ...(at.length > 0 ? [at.join('.')] : []), message].join(': '));
  }
  const plan = parsed.data;
  for (const part of ['models', 'locks', 'attacks'] as const) {
    const names = plan[part].map((each) => each.name);
    const twice = names.findIndex((each, index) => names.indexOf(each) !== index);
    if (twice !== -1) throw new InputError(`${path}: ${part}.${twice}.name: ${names[twice]} is given twice`);
  }
  for (const [index, attacks] of plan.attacks.entries()) {
    await within(`${path}: attacks.${index}`, async () => knownAttacks(attacks));
  }
  for (const [index, { released, unlocked, sham }] of plan.models.entries()) {
    const at = `${path}: models.${index}`;
    if (released === undefined && unlocked === undefined) {
      throw new InputError(`${at}: expected a model before the lock (unlocked) or after it (released), found neither`);
    }
    if (released === undefined && plan.locks.length === 0) {
      throw new InputError(`${at}.released: expected a locked model, or locks to make, found neither`);
    }
    if (released === undefined && sham !== undefined) {
      throw new InputError(`${at}.sham: expected a released model beside it; locks of the plan have a key sham`);
    }
  }
  return plan;
}

/** Does something, and says in which part of the plan it failed. */
export async function within<T>(where: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${where}: ${error.message}`);
    throw error;
  }
}

/** The same with a list in the place of each only element, one level down in the parts of the plan. */
function asLists(plan: Record<string, unknown>): Record<string, unknown> {
  const part = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [
        key,
        lists.has(key) && (typeof inner === 'string' || typeof inner === 'number') ? [inner] : inner,
      ]),
    );
  };
  return Object.fromEntries(
    Object.entries(plan).map(([key, value]) => {
      if (!Array.isArray(value)) return [key, value];
      return [key, value.map((each) => (key === 'attacks' ? withBudget(part(each)) : part(each)))];
    }),
  );
}

/** Attacks by a suite have its budget where no other is given, as in `weightlock attack`. */
function withBudget(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { suite } = value as { suite?: unknown };
  return { ...(budgetsOfSuites[suite as keyof typeof budgetsOfSuites] ?? {}), ...value };
}
