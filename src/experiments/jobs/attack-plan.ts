import type { z } from 'zod';
import {
  type Attack,
  type AttackChoice,
  type AttackSetting,
  attacksOf,
  attacksOfSuite,
  definedAttack,
  type Measure,
  modelsRead,
  optimizersOf,
  optionsOfTransforms,
  type SpaceSearch,
  type TransformOptions,
  trainedOptionsOf,
  trainedParts,
  transforms,
} from '../../attacks/index.js';
import type { DataSpec } from '../../data/index.js';
import { InputError, optionsUnder, parseOptions, type Registry } from '../../registry/index.js';
import { chosenOptimizer, chosenSchedule, optimizers as optimizerEntries } from '../../training/index.js';
import {
  type AttackOptions,
  choiceOfAttacks,
  isExtraTransform,
  isOneBudget,
  transformOptions,
} from './attack-options.js';

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
 * The attacks that options may name.
 *
 * @throws InputError for the name of one that is not known, and for a composition that is not tried.
 */
export function knownAttacks({ attacks: named, compositions: given = [] }: AttackOptions): Registry<Attack> {
  const all = attacksOf({ defined: given.map(definedAttack) });
  for (const name of named ?? []) all.get(name, 'attacks');
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
  const chosen = (choice.attacks ?? attacksOfSuite('quick')).map((name) => all.get(name));
  if (setting.unlabelled && !chosen.some((attack) => attack.transforms.some((step) => step.onUnlabelled))) {
    const found = chosen.map(({ name }) => name).join(', ');
    throw new InputError(`unlabelled: expected an attack that can use examples without labels, found ${found}`);
  }
  for (const attack of chosen) {
    const { name, trained, transforms: steps } = attack;
    const found = setting.optimizers.map((each) => each.name).join(', ');
    if (named && trained.choose?.(setting.optimizers).length === 0) {
      throw new InputError(`attacks: expected an optimizer that needs the gradient alone for ${name}, found ${found}`);
    }
    if (attack.optimizers && optimizersOf(attack, setting.optimizers).length === 0) {
      throw new InputError(`optimizers: expected ${attack.optimizers.join(' or ')} for ${name}, found ${found}`);
    }
    // Before anything is opened or computed: those of a part that needs some, and has none by default.
    const ofPart = trainedOptionsOf(attack, choice.trained ?? {}) ?? {};
    if (named) parseOptions(trained.options as z.ZodObject, ofPart, trained.name);
    const available = optionsOfTransforms(attack, choice.transforms ?? {});
    if (steps.some((step) => available[step.name] === undefined)) continue;
    for (const { name: step, options, lacks } of steps) {
      if (!lacks) continue;
      const parsed = parseOptions(options as z.ZodObject, available[step] ?? {}, step);
      const has = { hasRetain: setting.retain !== undefined, hasUnlabelled: setting.unlabelled !== undefined };
      const missing = lacks(parsed, has);
      if (missing !== undefined) throw new InputError(`${step}: expected ${missing}, found none`);
    }
  }
}

/** A search by what it is called. */
export interface CalledSearch {
  /** What names its results. */
  readonly name: string;
  /** Name of its attack. */
  readonly attack: string;
  /** Name of its optimizer. */
  readonly optimizer: string;
}

/**
 * Refuses searches of one name, whose results would overwrite one another: names are joined by dashes, which parts have as well.
 *
 * @throws InputError naming two of them.
 */
export function requireOwnNames(searches: readonly CalledSearch[]): void {
  const known = new Map<string, CalledSearch>();
  for (const search of searches) {
    const { name } = search;
    const [first, second] = [known.get(name), search].map((each) => each && `${each.attack} with ${each.optimizer}`);
    if (first !== undefined) {
      throw new InputError(
        `attacks: expected a name of its own for each search, found ${name} for ${first} and for ${second}`,
      );
    }
    known.set(name, search);
  }
}

/** The searches of a plan from one starting point, whether or not they can be done there. */
function calledSearches(choice: AttackChoice, optimizers: AttackSetting['optimizers']): CalledSearch[] {
  const all = attacksOf(choice);
  return (choice.attacks ?? attacksOfSuite('quick')).flatMap((attack) =>
    optimizersOf(all.get(attack), optimizers).map(({ name }) => ({
      name: `${attack}-${name}`,
      attack,
      optimizer: name,
    })),
  );
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

/** What an attacker has beside the examples of the unauthorized task. */
export type OtherData = Pick<AttackSetting, 'benign' | 'retain' | 'unlabelled' | 'authorized'>;

/** What is said where one budget serves both measures. */
const ofSameRuns =
  'Cost and score are of the same runs, which go on after the target; the learning rates are those of the best score.';

/**
 * The plan that the options of an attack ask for.
 *
 * @param learned - Options of transforms and trained parts that the attacker has from what is known of the lock, instead of those given.
 * @param more - `benign`: harmless examples that attacks train on in the place of the task's; default none. `retain`: examples like those of the authorized task, for attacks that train on such; default the attacker has none.
 *   `unlabelled`: examples whose labels are of no interest, for attacks that train on texts alone or towards the released model's outputs; default the attacker's own.
 *   `authorized`: examples of it that what an attack leaves of it is measured on; default it is not measured.
 * @throws InputError for options that contradict one another, or ask for what the attacker does not have, and for attacks whose
 *   searches would have one name.
 */
export function attackPlan(
  data: DataSpec,
  options: AttackOptions,
  learned: TransformOptions = {},
  { benign, retain, unlabelled, authorized }: OtherData = {},
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
    ...(benign && { benign }),
    ...(retain && { retain }),
    ...(unlabelled && { unlabelled }),
    ...(authorized && { authorized }),
  };
  const cost = { ...shared, steps: options.costSteps, batchSize: options.costBatchSize, target };
  // Its runs are short and their best score counts, not when it came: measured as coarsely as a search's.
  const coarse = { ...shared, evaluationSpacing: searchSpacing };
  const ofEach = perClass > 0 && { perClass };
  const score = { ...coarse, steps: options.scoreSteps, batchSize: options.scoreBatchSize, ...ofEach };
  const both = isOneBudget(options);
  const choice = namedAttacks(options, learned);
  requireAble(choice, score, options.attacks !== undefined);
  requireOwnNames(calledSearches(choice, optimizers));
  return {
    budgets: both
      ? [{ measures: ['cost', 'score'] as const, setting: { ...cost, continueAfterTarget: true } }]
      : [
          ...(options.costSteps > 0 ? [{ measures: ['cost'] as const, setting: cost }] : []),
          ...(options.scoreSteps > 0 ? [{ measures: ['score'] as const, setting: score }] : []),
        ],
    ...(both && { notes: [ofSameRuns] }),
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
