import type { z } from 'zod';
import type { LockKnowledge } from '../locks/index.js';
import { loadModel, type Model } from '../models/index.js';
import { parseOptions, Registry } from '../registry/index.js';
import { optimizers as optimizerEntries } from '../training/index.js';
import { type AttackFacts, type Composition, factsOf } from './composition.js';
import { type Attack, attacks, attacksOfSuite } from './registry.js';
import type { SearchBudget, SearchMethod } from './search/search.js';
import type { SearchSpace } from './search/space.js';
import { type AttackTargets, type ReadExamples, type Start, type StartingPoint, starts } from './starts.js';
import { type StartFacts, type Transform, type TransformStep, transforms } from './transforms/index.js';
import type { FineTuneOptimizer } from './trial/fine-tune.js';
import type { AttackTask } from './workers/task.js';

/** An optimizer that an attack tries, with the learning rates of its search. */
export interface AttackOptimizer extends FineTuneOptimizer {
  /** Exponents of ten of the first round of the search, likely ones first. */
  readonly decades: readonly number[];
}

/** A search over a space that depends on the optimizer. */
export interface SpaceSearch extends Pick<SearchMethod, 'name' | 'trials'> {
  /** Smallest and largest learning rate; default half a decade beyond those of the optimizer's grid. */
  readonly learningRate?: readonly [number, number];
  /** Smallest and largest weight decay, of optimizers that have one; default it is not varied. */
  readonly weightDecay?: readonly [number, number];
  /** Batch sizes to choose from; default that of the attack. */
  readonly batchSizes?: readonly number[];
  /** Batches of a step to choose from, computed one after the other; default one. */
  readonly accumulations?: readonly number[];
  /** Names of schedules to choose from; default that of the attack. */
  readonly schedules?: readonly string[];
}

/** What all attacks of one run share: the unauthorized task and the budget, the same for every starting point. */
export interface AttackSetting
  extends Pick<AttackTask, 'data' | 'perClass' | 'steps' | 'batchSize' | 'metric' | 'target' | 'continueAfterTarget'>,
    Pick<AttackTask, 'benign' | 'retain' | 'unlabelled' | 'authorized'>,
    Pick<AttackTask, 'giveUpBelow' | 'evaluationSpacing' | 'evaluateEvery'> {
  /** Optimizers to search. */
  readonly optimizers: readonly AttackOptimizer[];
  /** Searches a space in the place of the grid of learning rates; default the grid. */
  readonly search?: SpaceSearch;
  /** Whether half a decade to both sides of the best rate is tried as well; default true. */
  readonly refine?: boolean;
  /** Ratio of steps between two measurements of the searches' trials; default that of the runs that are reported. */
  readonly searchSpacing?: number;
  /** Steps of the searches' trials at most; default those of the runs that are reported. */
  readonly searchSteps?: number;
  /** Seeds of the searches. */
  readonly searchSeeds: readonly number[];
  /** Seeds of the runs that are reported. */
  readonly seeds: readonly number[];
}

/** Options of the transforms that an attacker may use, by their name; a transform without an entry is not used. */
export type TransformOptions = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;

/** Which attacks a plan tries. */
export interface AttackChoice {
  /** Attacks beside those of the registry, tried where they are named. */
  readonly defined?: readonly Attack[];
  /** Names of the attacks; training from scratch and frozen use are measured whatever they are. Default the suite `quick`. */
  readonly attacks?: readonly string[];
  /** The transforms that attacks may use, and their options; default none. */
  readonly transforms?: TransformOptions;
  /** Options of trained parts, by their name; those that an attack has stay. */
  readonly trained?: TransformOptions;
  /** Whether options that entries have values to search of are searched where they are not given; default they have their defaults. */
  readonly searchesParts?: boolean;
  /** How many of the optimizers, from the first that they can use, the adaptive attacks try; default all. */
  readonly adaptiveOptimizers?: number;
  /** Trains as anyone would, from these starting points alone, and tries nothing else; default all attacks from all. */
  readonly plainFrom?: readonly string[];
  /** Names of the starting points that are attacked; default all. */
  readonly from?: readonly string[];
}

/** A search of a plan, not yet named. */
export interface PlannedSearch {
  /** What rows say of it. */
  readonly facts: AttackFacts;
  /** What is to be done. */
  readonly task: Omit<AttackTask, 'id'>;
}

/** A starting point with its model, which says what can be done to it. */
export interface PlannedStart {
  /** Its entry. */
  readonly start: StartingPoint;
  /** Where it lies. */
  readonly from: Start;
  /** Its model; of random weights the one whose architecture they have. */
  readonly model: Model;
  /** How it reads the examples of an attack, where it is another model than the released one. */
  readonly reads?: ReadExamples;
}

/**
 * Loads the models of a plan's starting points.
 *
 * @throws InputError when one cannot be read.
 */
export async function plannedStarts(targets: AttackTargets): Promise<PlannedStart[]> {
  const models = new Map<string, Model>();
  const found: PlannedStart[] = [];
  for (const start of starts.entries()) {
    const from = start.from(targets);
    if (!from) continue;
    const path = from.kind === 'model' ? from.path : from.like;
    const model = models.get(path) ?? (await loadModel(path, { config: from.config, head: from.head }));
    models.set(path, model);
    const reads = start.reads?.(targets);
    found.push({ start, from, model, ...(reads && { reads }) });
  }
  return found;
}

/** Which attacks are tried from which starting points, and what is to be said of the others. */
export interface PlannedAttacks {
  /** In the order of tables. */
  readonly tried: readonly { readonly attack: Attack; readonly start: PlannedStart }[];
  /** What is left out because it could do nothing, and which options have no effect: one sentence each, for people. */
  readonly notes: readonly string[];
}

/**
 * Chooses the attacks of a plan by what the entries of the registries say of the models.
 *
 * @throws InputError for the name of an attack that is not known.
 */
export function planAttacks(from: readonly PlannedStart[], choice: AttackChoice = {}): PlannedAttacks {
  const tried: { attack: Attack; start: PlannedStart }[] = [];
  /** By what cannot be used, a reason, and the starting points that it is one for. */
  const leftOut = new Map<string, { readonly why: Unusable; readonly on: Set<string> }>();
  const notes = new Set<string>();
  const all = attacksOf(choice);
  const named = new Set((choice.attacks ?? attacksOfSuite('quick')).map((name) => all.get(name)));
  for (const start of from) {
    const reasons = new Reasons(start, choice);
    for (const attack of all.entries().filter((entry) => isChosen(entry, start, choice, named))) {
      const why = reasons.of(attack);
      if (why === undefined) {
        tried.push({ attack, start });
        continue;
      }
      const key = JSON.stringify(why);
      const { on } = leftOut.get(key) ?? { on: new Set() };
      leftOut.set(key, { why, on: on.add(start.start.name) });
    }
    for (const text of reasons.unused()) notes.add(text);
  }
  for (const sentence of whatIsLeftOut([...leftOut.values()])) notes.add(sentence);
  return { tried, notes: [...notes] };
}

/** All attacks that a choice may name. */
export function attacksOf({ defined = [] }: Pick<AttackChoice, 'defined'>): Registry<Attack> {
  return new Registry('attack', [...attacks.entries(), ...defined]);
}

/** Options of the transforms of an attack: its own beside those that are given. */
export function optionsOfTransforms({ transformOptions = {} }: Attack, given: TransformOptions): TransformOptions {
  const own = Object.entries(transformOptions).map(([name, options]) => [name, { ...given[name], ...options }]);
  return { ...given, ...Object.fromEntries(own) };
}

/** One sentence for all transforms that one reason keeps from the same starting points. */
function whatIsLeftOut(leftOut: readonly { readonly why: Unusable; readonly on: ReadonlySet<string> }[]): string[] {
  const sentences = new Map<string, { names: string[]; say(names: readonly string[]): string }>();
  for (const { why, on } of leftOut) {
    const where = [...on].join(' and ');
    const say = (names: readonly string[]) =>
      why.transform === undefined
        ? `Not tried on ${where}: attacks that ${why.part}, which ${why.reason}.`
        : `Not tried on ${where}: attacks with ${names.join(' or ')}, which ${why.reason}.`;
    const known = sentences.get(say([])) ?? { names: [], say };
    if (why.transform !== undefined) known.names.push(why.transform);
    sentences.set(say([]), known);
  }
  return [...sentences.values()].map(({ names, say }) => say(names));
}

/** A transform, or a trained part by its description, that can do nothing to a model, and why, as a part of a sentence. */
interface Unusable {
  readonly transform?: string;
  readonly part?: string;
  readonly reason: string;
}

/** The options of an attacker who knows this of a lock, of the transforms that can use it; undefined: of no use. */
export function learnedOptions(knowledge: LockKnowledge): TransformOptions {
  return Object.fromEntries(
    transforms
      .entries()
      .flatMap(({ name, learn }) => (learn ? [[name, learn(knowledge) as TransformOptions[string]]] : [])),
  );
}

/** The searches of one setting: one for each starting point, attack that fits its budget, and optimizer. */
export function plannedSearches(
  { tried }: Pick<PlannedAttacks, 'tried'>,
  { optimizers, search, refine, searchSpacing, searchSteps, searchSeeds, seeds, ...shared }: AttackSetting,
  choice: AttackChoice = {},
): PlannedSearch[] {
  const { transforms: available = {}, trained: given = {}, adaptiveOptimizers } = choice;
  const budgetOf = { steps: shared.steps, searchSteps };
  const fitting = tried.filter(({ attack }) => tooLong(attack, budgetOf, available) === undefined);
  return fitting.flatMap(({ attack, start: planned }) => {
    const { start, from, reads } = planned;
    const { trained, adaptive } = attack;
    const choices = choice.searchesParts
      ? choicesOf(attack, factsOfStart(planned), choice, { ...budgetOf, isHalving: search?.name === 'asha' })
      : {};
    const able = optimizersOf(attack, optimizers);
    const some = adaptive ? able.slice(0, adaptiveOptimizers) : able;
    const facts = factsOf(attack, start);
    const budget = (decades: readonly number[], name: string) => ({
      ...{ decades, refine, searchSpacing, searchSeeds, seeds },
      ...(search
        ? { method: methodOf(search, decades, name, choices) }
        : Object.keys(choices).length > 0 && { choices }),
      ...(searchSteps !== undefined && { searchSteps }),
    });
    const own = optionsOfTransforms(attack, available);
    const steps = attack.transforms.map(({ name }): TransformStep => ({ name, options: own[name] ?? {} }));
    return some.map(({ decades, ...optimizer }) => ({
      facts,
      task: {
        ...(reads ? readBy(reads, shared) : shared),
        start: from,
        transforms: steps,
        trained: { name: trained.name, options: trainedOptionsOf(attack, given) },
        optimizer,
        budget: trained.budget?.(budget(decades, optimizer.name)) ?? budget(decades, optimizer.name),
      },
    }));
  });
}

/** What attacks of another model share: it does not do the authorized task, and has examples that it reads. */
function readBy<T extends Pick<AttackSetting, 'retain' | 'authorized'>>(
  reads: ReadExamples,
  { retain: _, authorized: __, ...shared }: T,
) {
  return { ...shared, ...reads };
}

/** Which of some optimizers an attack can be tried with, and is. */
export function optimizersOf<T extends FineTuneOptimizer>(
  { trained, optimizers: named }: Attack,
  optimizers: readonly T[],
): readonly T[] {
  const able = trained.choose?.(optimizers) ?? optimizers;
  return named ? able.filter(({ name }) => named.includes(name)) : able;
}

/** The space of an optimizer. */
function methodOf(
  { name, trials, learningRate, weightDecay, batchSizes, accumulations, schedules }: SpaceSearch,
  decades: readonly number[],
  optimizer: string,
  choices: NonNullable<SearchBudget['choices']>,
): SearchMethod {
  const [low, high] = learningRate ?? [10 ** (Math.min(...decades) - 0.5), 10 ** (Math.max(...decades) + 0.5)];
  const decays = 'weightDecay' in optimizerEntries.get(optimizer).options.shape;
  const space: SearchSpace = {
    learningRate: { kind: 'log', low, high },
    ...(weightDecay && decays && { weightDecay: { kind: 'log', low: weightDecay[0], high: weightDecay[1] } }),
    ...(batchSizes && { batchSize: { kind: 'choice', values: batchSizes } }),
    ...(accumulations && { accumulate: { kind: 'choice', values: accumulations } }),
    ...(schedules && { schedule: { kind: 'choice', values: schedules } }),
    ...Object.fromEntries(Object.entries(choices).map(([key, values]) => [key, { kind: 'choice', values }])),
  };
  return { name, trials, space };
}

/**
 * What is searched of the options of an attack's transforms and of what it trains: values of those that nobody gave, which leave steps
 * of a trial. Successive halving compares trials after steps of their own, so those before them are the same for all of its.
 */
function choicesOf(
  attack: Attack,
  start: StartFacts,
  { transforms: available = {}, trained = {} }: AttackChoice,
  { isHalving, ...setting }: Pick<AttackSetting, 'steps' | 'searchSteps'> & { readonly isHalving: boolean },
): NonNullable<SearchBudget['choices']> {
  const found: Record<string, readonly (number | string)[]> = {};
  const own = optionsOfTransforms(attack, available);
  for (const { name, searched, steps } of attack.transforms) {
    if (isHalving && steps) continue;
    for (const [option, values] of Object.entries(searched?.(start) ?? {})) {
      if (own[name]?.[option] !== undefined) continue;
      const fits = (value: number | string) =>
        tooLong(attack, setting, { ...available, [name]: { ...available[name], [option]: value } }) === undefined;
      found[`${name}.${option}`] = values.filter(fits);
    }
  }
  const { name, searched } = attack.trained;
  const given = trainedOptionsOf(attack, trained);
  for (const [option, values] of Object.entries(searched?.(start) ?? {})) {
    if (given?.[option] === undefined) found[`${name}.${option}`] = values;
  }
  return Object.fromEntries(Object.entries(found).filter(([, values]) => values.length > 1));
}

function factsOfStart({ start, from, model }: PlannedStart): StartFacts {
  return { model, weights: model.weights, isLocked: start.isLocked, isNewHead: from.head !== undefined };
}

/** The steps that an attack takes before its shortest trials, and the steps of these, where none is left; undefined where some are. */
export function tooLong(
  attack: Attack,
  { steps: ofTrial, searchSteps = ofTrial }: Pick<AttackSetting, 'steps' | 'searchSteps'>,
  available: TransformOptions,
): { readonly taken: number; readonly most: number } | undefined {
  const given = optionsOfTransforms(attack, available);
  const taken = attack.transforms.reduce((sum, { name, options, steps }) => {
    const parsed = parseOptions(options as z.ZodObject, given[name] ?? {}, name);
    return sum + (steps?.(parsed, ofTrial) ?? 0);
  }, 0);
  const most = Math.min(ofTrial, searchSteps);
  return taken > 0 && taken >= most ? { taken, most } : undefined;
}

/** The composition of a task, for its row. */
export function compositionOf(task: Omit<AttackTask, 'id'>): Composition {
  const { transforms: steps = [], trained = { name: 'all' }, optimizer, data, perClass } = task;
  const { benign, retain, unlabelled } = task;
  const others = { ...(benign && { benign }), ...(retain && { retain }), ...(unlabelled && { unlabelled }) };
  return { transforms: steps, trained, optimizer, data: { spec: data, perClass, ...others } };
}

/** Options of what an attack trains; undefined where nobody says anything of them. */
export function trainedOptionsOf(
  { trained, trainedOptions }: Attack,
  given: TransformOptions,
): Attack['trainedOptions'] {
  const own = given[trained.name];
  return own ? { ...own, ...trainedOptions } : trainedOptions;
}

/**
 * Whether an attack is one of a plan's: it is named, or belongs to the floor, without which nothing can be said; an attacker who
 * may use its transforms can run it; from random weights, which nobody released, there is what needs no release, and from another
 * public model also training of any part of it as it is.
 */
function isChosen(
  attack: Attack,
  { start, from }: PlannedStart,
  { transforms: available = {}, plainFrom, from: chosen }: AttackChoice,
  named: ReadonlySet<Attack>,
): boolean {
  const { plain = false, alsoFromRandom = plain, transforms: steps, trained } = attack;
  const isFloor = start.countsAs === 'floor' ? plain : start.countsAs === 'locked' && trained.outputsAlone === true;
  if (chosen && !chosen.includes(start.name)) return false;
  if (plainFrom) return plain && plainFrom.includes(start.name);
  if (!named.has(attack) && !isFloor) return false;
  const asItIs = from.kind === 'model' && steps.length === 0;
  if (start.countsAs === 'floor' && !alsoFromRandom && !asItIs) return false;
  // A student of the control's outputs would be another floor than the one it is measured by.
  if (start.countsAs === 'control' && steps.some(({ outputsAlone }) => outputsAlone)) return false;
  const own = optionsOfTransforms(attack, available);
  return steps.every(({ name }) => own[name] !== undefined);
}

/** What entries say of one starting point; a transform of several attacks is asked once. */
class Reasons {
  readonly #facts: StartFacts;
  /** By their options, which attacks may have of their own. */
  readonly #known = new Map<string, { readonly reason?: string; readonly unused: () => string | undefined }>();
  readonly #ofParts = new Set<string>();

  constructor(
    start: PlannedStart,
    readonly choice: AttackChoice,
  ) {
    this.#facts = factsOfStart(start);
  }

  /** Why an attack can do nothing here; undefined where it can. */
  of(attack: Attack): Unusable | undefined {
    const { transforms: steps, trained } = attack;
    const own = optionsOfTransforms(attack, this.choice.transforms ?? {});
    for (const transform of steps) {
      const reason = this.#ofTransform(transform, own[transform.name] ?? {});
      if (reason !== undefined) return { transform: transform.name, reason };
    }
    const given = trainedOptionsOf(attack, this.choice.trained ?? {}) ?? {};
    const options = parseOptions(trained.options as z.ZodObject, given, trained.name);
    const reason = trained.applies?.(this.#facts, options);
    const unused = reason === undefined && trained.unused?.(this.#facts, options);
    if (unused) this.#ofParts.add(`${unused}.`);
    return reason === undefined ? undefined : { part: trained.description, reason };
  }

  /** Options without effect, of the transforms and parts that attacks were made of and that can do something. */
  unused(): string[] {
    const ofTransforms = [...this.#known.values()].flatMap(({ reason, unused }) => {
      const text = reason === undefined && unused();
      return text ? [`${text}.`] : [];
    });
    return [...ofTransforms, ...this.#ofParts];
  }

  /** Why a transform with these options can do nothing; asked once. */
  #ofTransform(transform: Transform, given: object): string | undefined {
    const key = JSON.stringify([transform.name, given]);
    const known = this.#known.get(key);
    if (known) return known.reason;
    const options = parseOptions(transform.options as z.ZodObject, given, transform.name);
    const reason = transform.applies?.(this.#facts, options);
    this.#known.set(key, { reason, unused: () => transform.unused?.(this.#facts, options) });
    return reason;
  }
}
