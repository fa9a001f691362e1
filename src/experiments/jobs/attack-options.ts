import { z } from 'zod';
import {
  type Attack,
  attacks,
  attacksOfSuite,
  compositions,
  suites,
  type Transform,
  type TransformOptions,
  trainedParts,
  transforms,
  usualUtilityDrop,
} from '../../attacks/index.js';
import { type Configurable, optionsOf } from '../../registry/index.js';
import { scheduleOptions, schedules, searchedOptimizerOptions, withOptimizers } from '../../training/index.js';

/** A run again with the same seed is the same run, and would count as one that agrees with the first. */
const seeds = z
  .array(z.int().min(0))
  .min(1)
  .refine((found) => new Set(found).size === found.length, { message: 'expected each seed once' });

/** Optimizers that attacks search unless others are named. */
const usualOptimizers = ['adamw', 'sgd', 'adadelta'];

/**
 * What a suite brings where nobody names it: `quick` is cut to what two cores do in five minutes with the CNN of the demo, whose budget
 * it has.
 */
export const budgetsOfSuites: Readonly<Partial<Record<(typeof suites)[number], Readonly<Record<string, unknown>>>>> = {
  quick: { optimizers: ['adamw', 'adadelta'], adaptiveOptimizers: 1, costSteps: 96, seeds: [1, 2, 3, 4, 5] },
};

/** Names of the transforms of adaptive attacks, and of those adaptive attacks that have none. */
function adaptiveParts(): string[] {
  const some = attacks.entries().filter(({ adaptive }) => adaptive);
  const steps = transforms
    .names()
    .filter((each) => some.some((attack) => attack.transforms.some(({ name }) => name === each)));
  return [...steps, ...some.filter((attack) => attack.transforms.length === 0).map(({ name }) => name)];
}

/** The options of every attack, whatever is done to the weights first. */
const ownOptions = {
  ...searchedOptimizerOptions(usualOptimizers),
  ...scheduleOptions('constant'),
  adaptiveOptimizers: z
    .int()
    .min(1)
    .default(usualOptimizers.length)
    .describe('how many of them, from the first, the adaptive attacks try'),
  target: z
    .number()
    .gt(0)
    .max(1)
    .default(0.95)
    .describe('score that counts as success, accuracy of a classifier; the cost is the steps to it'),
  costSteps: z
    .int()
    .min(0)
    .default(240)
    .describe('steps at most where the cost is measured, with all examples; 0: not measured'),
  costBatchSize: z.int().min(1).default(64).describe('examples a step where the cost is measured'),
  perClass: z
    .int()
    .min(0)
    .default(20)
    .describe(
      'labelled examples of each class where the score is measured; texts, where the task has no classes; 0: all, and with the steps and the batch size of the cost both are measured in the same runs, which takes half the time',
    ),
  scoreSteps: z.int().min(0).default(40).describe('steps at most where the score is measured; 0: not measured'),
  scoreBatchSize: z.int().min(1).default(32).describe('examples a step where the score is measured'),
  evaluateEvery: z.int().min(1).default(4).describe('steps between two measurements of the score at least'),
  searchSpacing: z
    .number()
    .min(1)
    .default(1.5)
    .describe(
      'ratio of steps between two measurements of a search, which are coarser than those of the runs that are reported',
    ),
  utilityDrop: z
    .number()
    .min(0)
    .max(1)
    .default(usualUtilityDrop)
    .describe('by how much the authorized score may fall in an attack that counts as keeping it, where it is measured'),
  searchSeeds: seeds
    .default([11, 12])
    .describe('seeds of the searches over learning rates: the first for all rates, the others for the two best'),
  seeds: seeds
    .default([1, 2, 3, 4, 5, 6])
    .describe('seeds of the runs that are reported, with the learning rate that the search found'),
  adaptive: z
    .boolean()
    .default(true)
    .describe(`whether to try the adaptive attacks: ${adaptiveParts().join(', ')}, and their combinations`),
};

/** What a command offers of a transform, under its name. */
function offered({ options, description, offer }: Transform): z.ZodType {
  return offer?.schema ?? (options as z.ZodObject).prefault({}).describe(`adaptive attack: ${description} first`);
}

/** Whether something is a part of attacks, and only of those that are tried when they are named. */
function isExtra(isPartOf: (attack: Attack) => boolean): boolean {
  const usual = attacksOfSuite('quick');
  const own = attacks.entries().filter(isPartOf);
  return own.length > 0 && own.every(({ name }) => !usual.includes(name));
}

/** Whether a transform is a part of attacks, and only of those that are tried when they are named. */
export const isExtraTransform = (transform: Transform) =>
  isExtra(({ transforms: steps }) => steps.some(({ name }) => name === transform.name));

/** Every schema of a registry's options is a strict object. */
const configurable = ({ name, options }: { name: string; options: z.ZodType }): Configurable => ({
  name,
  options: options as z.ZodObject,
});

/** Which attacks are tried, and the options of their parts: none of them counts unless an attack with that part is named. */
export function choiceOfAttacks() {
  const extras = transforms.entries().filter(isExtraTransform);
  const parts = trainedParts.entries().filter(({ name }) => isExtra(({ trained }) => trained.name === name));
  return {
    attacks: z
      // Known names stand in help; whether a name is one of them, or of a composition, says knownAttacks.
      .array(z.string().min(1).max(64).meta({ enum: attacks.names() }))
      .min(1)
      .refine((found) => new Set(found).size === found.length, { message: 'expected each attack once' })
      .optional()
      .describe(
        `names of the attacks to try (see weightlock list attacks), beside the floor, or of compositions that a file of options writes (docs/sweep.md); default ${attacksOfSuite('quick').join(', ')}`,
      ),
    suite: z
      .enum(suites)
      .optional()
      .describe(
        `attacks to try by a list instead of by their names: ${suites.map((name) => `${name} has ${attacksOfSuite(name).length}`).join(', ')}; those whose parts can do nothing, or are turned off, are left out; quick brings a budget of its own where none is given`,
      ),
    compositions: compositions
      .optional()
      .describe(
        'attacks of your own, made of transforms and a trained part (docs/sweep.md); tried beside a suite, or where attacks names them',
      )
      .meta({ fileOnly: true }),
    ...(optionsOf('attacks', [...extras, ...parts].map(configurable), { partsOf: true }) as Record<never, z.ZodType>),
  };
}

const range = z.tuple([z.number().positive(), z.number().positive()]).refine(([low, high]) => low <= high, {
  message: 'expected the smaller number first',
});

/** How the searches go about it; a search of a space has options that the grid has no use for. */
const spaceOptions = {
  search: z
    .enum(['grid', 'sobol', 'asha'])
    .optional()
    .describe(
      'how the best learning rate is searched: grid, one trial a decade and two beside the best; sobol, quasirandom trials over a space; asha, the same by successive halving; default grid',
    ),
  trials: z.int().min(2).max(1024).optional().describe('trials of each search by sobol or asha, default 16'),
  searchRates: range
    .optional()
    .describe('smallest and largest learning rate of sobol and asha; default half a decade beyond those of the grid'),
  searchWeightDecay: range
    .optional()
    .describe('smallest and largest weight decay of sobol and asha, of optimizers that have one; default not varied'),
  searchBatchSizes: z
    .array(z.int().min(1))
    .min(1)
    .optional()
    .describe(
      'examples a batch that sobol and asha choose from, with as many examples in all as without; default not varied',
    ),
  searchAccumulate: z
    .array(z.int().min(1).max(64))
    .min(1)
    .optional()
    .describe(
      'batches that make a step, one after the other, that sobol and asha choose from, with as many examples in all; default one',
    ),
  searchSchedules: z
    .array(z.enum(schedules.names() as [string, ...string[]]))
    .min(1)
    .optional()
    .describe('schedules of the learning rate that sobol and asha choose from; default not varied'),
};

/**
 * Options of an attack: the same budget for every starting point, and one option or group of them for each transform of the
 * attacks that are tried unless others are named.
 *
 * @param which - Default all transforms; those left out have options from elsewhere.
 */
export function attackOptionsWith(which: (transform: Transform) => boolean = () => true) {
  const entries = transforms.entries().filter((transform) => !isExtraTransform(transform) && which(transform));
  const ofTransforms = Object.fromEntries(entries.map((transform) => [transform.name, offered(transform)]));
  // By the registry's names, which the type of the options does not know: transformOptions reads them.
  return withOptimizers(z.strictObject({ ...ownOptions, ...(ofTransforms as Record<never, z.ZodType>) }));
}

/** Options of an attack with all transforms and trained parts. */
export const attackOptions = withOptimizers(
  z.strictObject({ ...attackOptionsWith().shape, ...spaceOptions, ...choiceOfAttacks() }),
);

/** Parsed {@link attackOptions}. */
export type AttackOptions = z.output<typeof attackOptions>;

/** Whether cost and score would be the same runs, with all examples and one budget: then both are measured in one, which goes on after the target. */
export function isOneBudget(
  options: Pick<AttackOptions, 'perClass' | 'costSteps' | 'scoreSteps' | 'costBatchSize' | 'scoreBatchSize'>,
): boolean {
  const { perClass, costSteps, scoreSteps, costBatchSize, scoreBatchSize } = options;
  return perClass === 0 && costSteps > 0 && costSteps === scoreSteps && costBatchSize === scoreBatchSize;
}

/** The options of the transforms that parsed options of an attack hold, by name. */
export function transformOptions(options: AttackOptions): TransformOptions {
  const given = options as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    transforms.entries().flatMap(({ name, offer }) => {
      // What is offered may be left out; what is not even offered has no options here.
      if (!(name in given) && !offer) return [];
      const read = offer ? offer.read(given[name]) : given[name];
      return [[name, read as Readonly<Record<string, unknown>> | undefined]];
    }),
  );
}
