import { z } from 'zod';
import {
  type Attack,
  type AttackChoice,
  type AttackSetting,
  attacks,
  attacksOf,
  attacksOfSuite,
  compositions,
  definedAttack,
  type Measure,
  modelsRead,
  optimizersOf,
  optionsOfTransforms,
  type SpaceSearch,
  suites,
  type Transform,
  type TransformOptions,
  trainedParts,
  transforms,
  usualUtilityDrop,
} from '../../attacks/index.js';
import type { DataSpec } from '../../data/index.js';
import {
  type Configurable,
  InputError,
  optionsOf,
  optionsUnder,
  parseOptions,
  type Registry,
} from '../../registry/index.js';
import {
  chosenOptimizer,
  chosenSchedule,
  optimizers as optimizerEntries,
  scheduleOptions,
  schedules,
  searchedOptimizerOptions,
  withOptimizers,
} from '../../training/index.js';

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
  perClass: z.int().min(1).default(20).describe('labelled examples of each class where the score is measured'),
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

const isExtraTransform = (transform: Transform) =>
  isExtra(({ transforms: steps }) => steps.some(({ name }) => name === transform.name));

/** Every schema of a registry's options is a strict object. */
const configurable = ({ name, options }: { name: string; options: z.ZodType }): Configurable => ({
  name,
  options: options as z.ZodObject,
});

/** Which attacks are tried, and the options of their parts: none of them counts unless an attack with that part is named. */
function choiceOfAttacks() {
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

/** Trials of a search over a space unless another number is given. */
const usualTrials = 16;

/**
 * The search that options ask for; none: the grid.
 *
 * @throws InputError for an option that the grid has no use for.
 */
function spaceSearch(options: AttackOptions): SpaceSearch | undefined {
  const {
    search = 'grid',
    trials,
    searchRates,
    searchWeightDecay,
    searchBatchSizes,
    searchAccumulate,
    searchSchedules,
  } = options;
  const given = { trials, searchRates, searchWeightDecay, searchBatchSizes, searchAccumulate, searchSchedules };
  if (search !== 'grid') {
    return {
      name: search,
      trials: trials ?? usualTrials,
      ...(searchRates && { learningRate: searchRates }),
      ...(searchWeightDecay && { weightDecay: searchWeightDecay }),
      ...(searchBatchSizes && { batchSizes: searchBatchSizes }),
      ...(searchAccumulate && { accumulations: searchAccumulate }),
      ...(searchSchedules && { schedules: searchSchedules }),
    };
  }
  const idle = Object.entries(given).find(([, value]) => value !== undefined)?.[0];
  if (idle !== undefined) throw new InputError(`${idle}: expected a search by sobol or asha, found grid`);
  return undefined;
}

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

/**
 * The attacks that options may name.
 *
 * @throws InputError for the name of one that is not known, and for a composition that is not tried.
 */
export function knownAttacks({ attacks: named, compositions: given = [] }: AttackOptions): Registry<Attack> {
  const all = attacksOf({ defined: given.map(definedAttack) });
  for (const name of named ?? []) all.get(name);
  const idle = named && given.find(({ name }) => !named.includes(name));
  if (idle)
    throw new InputError(
      `compositions: expected ${idle.name} among the attacks that are tried, found ${named.join(', ')}`,
    );
  return all;
}

/**
 * What options say of the attacks that are named: which, and the options of their parts.
 *
 * @throws InputError for options of a part that no attack has which is tried, and for an attack whose transforms are not to be used.
 */
function namedAttacks(options: AttackOptions, learned: TransformOptions): AttackChoice {
  const { attacks: named, suite, compositions: written = [] } = options;
  if (named && suite) throw new InputError(`suite: expected attacks by a suite or by their names, found both`);
  // Of a suite, unlike of names, what cannot be done is left out.
  const all = knownAttacks(options);
  const isAllowed = (name: string) => options.adaptive || !all.get(name).adaptive;
  const defined = written.map(({ name }) => all.get(name));
  // Attacks that somebody wrote are tried beside those that are usual.
  const usually = suite ?? (defined.length > 0 ? 'quick' : undefined);
  const listed = usually && [...attacksOfSuite(usually), ...written.map(({ name }) => name)];
  const names = named ?? listed?.filter(isAllowed);
  const refused = named?.find((name) => !isAllowed(name));
  if (refused !== undefined) throw new InputError(`attacks: expected adaptive attacks for ${refused}, found none`);
  const chosen = (names ?? attacksOfSuite('quick')).map((name) => all.get(name));
  const given: Readonly<Record<string, unknown>> = options;
  const steps = new Set(chosen.flatMap((attack) => attack.transforms.map(({ name }) => name)));
  const parts = new Set(chosen.map(({ trained }) => trained.name));
  const groups = Object.keys(choiceOfAttacks()).filter((key) => !['attacks', 'suite', 'compositions'].includes(key));
  const idle = groups.find((name) => given[name] !== undefined && !steps.has(name) && !parts.has(name));
  if (idle !== undefined) {
    throw new InputError(
      `${idle}: expected attacks with ${idle} among those that are tried, found ${chosen.map(({ name }) => name).join(', ')}`,
    );
  }
  // What someone learned of a lock may be of use to attacks that are not tried.
  const isPart = (name: string) => trainedParts.names().includes(name);
  const known = Object.entries(learned).filter(
    ([name]) => !isPart(name) && (steps.has(name) || !isExtraTransform(transforms.get(name))),
  );
  const usual: TransformOptions = { ...transformOptions(options), ...Object.fromEntries(known) };
  const available: Record<string, TransformOptions[string]> = options.adaptive ? { ...usual } : {};
  for (const attack of names ? chosen : []) {
    for (const { name } of attack.transforms) {
      const { [name]: own = {} } = attack.transformOptions ?? {};
      if (name in usual && usual[name] === undefined && Object.keys(own).length === 0) {
        if (!named) continue;
        throw new InputError(`attacks: expected options of ${name} for ${attack.name}, found none`);
      }
      available[name] ??= usual[name] ?? {};
    }
  }
  const ofParts = Object.fromEntries(
    [...parts].flatMap((name) => {
      const own = learned[name] ?? (groups.includes(name) ? optionsUnder(options, name) : undefined);
      return own ? [[name, own]] : [];
    }),
  );
  return {
    ...(names && { attacks: names, trained: ofParts, searchesParts: true }),
    ...(defined.length > 0 && { defined }),
    transforms: available,
  };
}

/**
 * Refuses what an attack of a plan cannot do, whatever it starts from.
 *
 * @param named - Whether attacks were asked for by their names: what a suite cannot do is left out.
 */
function requireAble(choice: AttackChoice, setting: AttackSetting, named: boolean) {
  const all = attacksOf(choice);
  for (const attack of (choice.attacks ?? attacksOfSuite('quick')).map((name) => all.get(name))) {
    const { name, trained, transforms: steps } = attack;
    const found = setting.optimizers.map((each) => each.name).join(', ');
    if (named && trained.choose?.(setting.optimizers).length === 0) {
      throw new InputError(`attacks: expected an optimizer that needs the gradient alone for ${name}, found ${found}`);
    }
    if (attack.optimizers && optimizersOf(attack, setting.optimizers).length === 0) {
      throw new InputError(`optimizers: expected ${attack.optimizers.join(' or ')} for ${name}, found ${found}`);
    }
    const available = optionsOfTransforms(attack, choice.transforms ?? {});
    if (steps.some((step) => available[step.name] === undefined)) continue;
    for (const { name: step, options, lacks } of steps) {
      if (!lacks) continue;
      const parsed = parseOptions(options as z.ZodObject, available[step] ?? {}, step);
      const missing = lacks(parsed, { hasRetain: setting.retain !== undefined });
      if (missing !== undefined) throw new InputError(`${step}: expected ${missing}, found none`);
    }
  }
}

/** Which attacks are tried, with which budgets: the same for every starting point. */
export interface AttackPlan extends AttackChoice {
  /** Budgets and what each of them measures. */
  readonly budgets: readonly { readonly measures: readonly Measure[]; readonly setting: AttackSetting }[];
  /** What the progress calls it; default `attack` and its label. */
  readonly title?: string;
  /** What is to be said of it, one sentence each; default nothing. */
  readonly notes?: readonly string[];
  /** First part of the names of its tasks, where a run has several plans. */
  readonly label?: string;
}

/**
 * The plan that the options of an attack ask for.
 *
 * @param learned - Options of transforms and trained parts that the attacker has from what is known of the lock, instead of those given.
 * @param more - `retain`: examples like those of the authorized task, for attacks that train on such; default the attacker has none.
 *   `authorized`: examples of it that what an attack leaves of it is measured on; default it is not measured.
 * @throws InputError for options that contradict one another, or ask for what the attacker does not have.
 */
export function attackPlan(
  data: DataSpec,
  options: AttackOptions,
  learned: TransformOptions = {},
  { retain, authorized }: { retain?: DataSpec; authorized?: DataSpec } = {},
): AttackPlan {
  const { evaluateEvery, searchSpacing, searchSeeds, seeds: reported, target, perClass } = options;
  const again = searchSeeds.find((seed) => reported.includes(seed));
  if (again !== undefined) {
    throw new InputError(`seeds: expected none of the search, whose results are selected, got ${again} in both`);
  }
  // Each with the learning rates that its entry has for a search.
  const schedule = chosenSchedule(options);
  const optimizers = options.optimizers.map((name) => ({
    ...chosenOptimizer(options, name),
    schedule,
    decades: optimizerEntries.get(name).search.decades,
  }));
  const search = spaceSearch(options);
  const shared = {
    ...{ data, optimizers, evaluateEvery, searchSpacing, searchSeeds, seeds: reported },
    ...(search && { search }),
    ...(retain && { retain }),
    ...(authorized && { authorized }),
  };
  const cost = { ...shared, steps: options.costSteps, batchSize: options.costBatchSize, target };
  // Its runs are short and their best score counts, not when it came: measured as coarsely as a search's.
  const coarse = { ...shared, evaluationSpacing: searchSpacing };
  const score = { ...coarse, steps: options.scoreSteps, batchSize: options.scoreBatchSize, perClass };
  const choice = namedAttacks(options, learned);
  requireAble(choice, score, options.attacks !== undefined);
  return {
    budgets: [
      ...(options.costSteps > 0 ? [{ measures: ['cost'] as const, setting: cost }] : []),
      ...(options.scoreSteps > 0 ? [{ measures: ['score'] as const, setting: score }] : []),
    ],
    adaptiveOptimizers: options.adaptiveOptimizers,
    ...choice,
  };
}

/**
 * Directories of the models that a plan's attacks read beside those that they attack.
 *
 * @throws InputError when an option is not what it must be.
 */
export function modelsOfPlan({ attacks: names = [], transforms: given = {}, ...plan }: AttackPlan): string[] {
  const all = attacksOf(plan);
  const read = names.flatMap((name) => {
    const attack = all.get(name);
    const available = optionsOfTransforms(attack, given);
    return modelsRead(attack.transforms.map((step) => ({ name: step.name, options: available[step.name] ?? {} })));
  });
  return [...new Set(read)];
}
