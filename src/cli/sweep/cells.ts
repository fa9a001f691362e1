import { canonicalJson, digestOfModel } from '../../evidence/index.js';
import {
  cardDisagreements,
  type KnownLock,
  methodOf,
  type SweepCell,
  type SweepLock,
} from '../../experiments/index.js';
import { namesLocked } from '../../locks/index.js';
import { loadModel } from '../../models/index.js';
import { forOption, InputError, optionsUnder } from '../../registry/index.js';
import { requireTrainable } from '../../training/index.js';
import { checkAttack, inputsOfOthers } from '../attack-checks.js';
import { dataForModel, modelData, taskInput } from '../card-data.js';
import type { CommandContext, RunInputs } from '../command.js';
import { dataInputs, loadTask } from '../data-folder.js';
import { modelArgument } from '../model-argument.js';
import { givenConfig, modelConfigInput } from '../model-options.js';
import { loadProxy, requireProxies } from '../proxy-data.js';
import { fitToTask } from '../task-option.js';
import { type SweepPlan, within } from './plan.js';

type Context = Pick<CommandContext<[], never>, 'dryRun' | 'note' | 'print' | 'progress' | 'signal'>;
type PlanModel = SweepPlan['models'][number];
type PlanLock = SweepPlan['locks'][number];
type PlanAttacks = SweepPlan['attacks'][number];

/** What a plan comes to, everything that it names looked at. */
export interface SweepPlanned {
  readonly cells: readonly SweepCell[];
  /** Digests of what is read, for the run folder. */
  readonly inputs: RunInputs;
  /** What its owner should know, one line each. */
  readonly warnings: readonly string[];
}

/** A model of a plan with the paths that it lies at. */
interface Located {
  readonly name: string;
  readonly unlocked?: string;
  readonly released?: string;
  readonly sham?: string;
  readonly alternative?: string;
  readonly config?: Record<string, unknown>;
}

/**
 * Looks at everything that a plan names, and multiplies it out: models by locks by attacks.
 *
 * @param source - The plan's file, for messages.
 * @returns undefined in a dry run that would have to download a model: nothing else can be said then.
 * @throws InputError naming the file and the key.
 */
export async function plannedCells(
  plan: SweepPlan,
  source: string,
  context: Context,
): Promise<SweepPlanned | undefined> {
  const inputs: Record<string, string> = { plan: canonicalJson(plan) };
  const warnings = new Set<string>();
  const cells: SweepCell[] = [];
  for (const [index, entry] of plan.models.entries()) {
    const model = await within(`${source}: models.${index}`, () => locate(entry, context, inputs));
    if (!model) return undefined;
    const locks = model.unlocked === undefined ? [] : plan.locks;
    const made: SweepLock[] = [];
    for (const [place, lock] of locks.entries()) {
      made.push(
        await within(`${source}: locks.${place}`, () => sweepLock(lock, entry, model, { context, inputs, warnings })),
      );
    }
    for (const [place, attacks] of plan.attacks.entries()) {
      const versions = [...(model.released === undefined ? [] : [undefined]), ...made];
      for (const lock of versions) {
        const cell = () => sweepCell({ model, lock, attacks }, { context, inputs, warnings });
        cells.push(await within(`${source}: attacks.${place}`, cell));
      }
    }
  }
  return { cells, inputs, warnings: [...warnings] };
}

/** What parts of a plan are looked at with, and what was found on the way. */
interface Looking {
  readonly context: Context;
  readonly inputs: Record<string, string>;
  readonly warnings: Set<string>;
}

async function locate(
  entry: PlanModel,
  context: Context,
  inputs: Record<string, string>,
): Promise<Located | undefined> {
  const config = await givenConfig(entry);
  for (const [key, value] of Object.entries(await modelConfigInput(entry.modelConfig))) {
    inputs[`${entry.name} ${key}`] = value;
  }
  const places = ['unlocked', 'released', 'sham', 'alternative'] as const;
  const found: { [Place in (typeof places)[number]]?: string } = {};
  for (const place of places) {
    const given = entry[place];
    if (given === undefined) continue;
    const path = await modelArgument(given, context);
    if (path === undefined) return undefined;
    found[place] = path;
    inputs[`${entry.name} ${place}`] = await digestOfModel(path);
  }
  return { name: entry.name, ...found, ...(config && { config }) };
}

/** A lock as it is made of one model, its data and options looked at. */
async function sweepLock(
  lock: PlanLock,
  entry: PlanModel,
  { name, unlocked: from, config }: Located,
  { context, inputs, warnings }: Looking,
): Promise<SweepLock> {
  if (from === undefined) throw new InputError(`expected a model before the lock of ${name}, found none`);
  const method = methodOf(lock.method);
  const [only] = lock.method;
  const options =
    only !== undefined && lock.method.length === 1
      ? (optionsUnder(lock, only) ?? {})
      : Object.fromEntries(lock.method.map((each) => [each, optionsUnder(lock, each)]));
  if (lock.sham && !method.sham) throw new InputError(`sham: expected a lock method that trains, found ${method.name}`);
  requireProxies(method, lock.proxies, 'proxies');
  const released = await loadModel(from, { config });
  const adversary = [];
  for (const [index, proxy] of lock.proxies.entries()) {
    const place = { source: from, model: released, note: context.note };
    const { data } = await forOption(`proxies.${index}`, () => loadProxy(proxy, place));
    await note(inputs, `${name} proxy ${proxy}`, data);
    adversary.push(data);
  }
  const shared = {
    ...(adversary.length > 0 && { adversary }),
    ...{
      name: lock.name,
      from,
      methods: lock.method,
      options,
      seeds: lock.seeds,
      sham: lock.sham ?? method.sham !== undefined,
    },
    ...(config && { config }),
  };
  const isGiven = JSON.stringify(entry.data) !== JSON.stringify(modelData.parse({}));
  if (!method.needsData && !isGiven && entry.task === undefined) {
    namesLocked(method, released.weights, options, released);
    return shared;
  }
  const { data, card, problems } = await dataForModel(from, released, entry.data);
  const { train } = await loadTask(data, context.note);
  const { model, task } = await fitToTask(released, train, { name: entry.task, path: from, config });
  const training = method.training?.(options);
  if (training) requireTrainable(model, train, training.batchSize);
  else task.requireFit(model, train);
  namesLocked(method, model.weights, options, model);
  for (const text of [...(model.notes ?? []), ...problems, ...cardDisagreements(card, model, train)]) {
    warnings.add(`${name}: ${text}`);
  }
  await note(inputs, `${name} authorized`, data);
  return { ...shared, data, ...(entry.task !== undefined && { task: entry.task }) };
}

/** One cell, looked at as `weightlock attack` looks at its models and data. */
async function sweepCell(
  { model, lock, attacks }: { model: Located; lock?: SweepLock; attacks: PlanAttacks },
  { context, inputs, warnings }: Looking,
): Promise<SweepCell> {
  const {
    name: attacksName,
    data,
    task: named,
    knowsLock,
    benign,
    retain,
    unlabelled,
    authorized,
    ...options
  } = attacks;
  const { config, unlocked, alternative } = model;
  const name = `${model.name}, ${lock?.name ?? 'released'}, ${attacksName}`;
  const checked = await checkAttack(
    {
      // A lock that is yet to be made has its architecture, head and card from the model before it.
      locked: lock ? lock.from : (model.released ?? ''),
      ...{ unlocked, sham: lock ? undefined : model.sham, alternative, config, planned: lock && knownOf(lock) },
      ...{ data, benign, retain, unlabelled, authorized, task: named, options, knowsLock },
    },
    context.note,
  );
  const { targets, plan, task, card } = checked;
  for (const [key, value] of Object.entries(checked.inputs)) inputs[`${name} ${key}`] = value;
  Object.assign(inputs, await inputsOfOthers(checked));
  for (const text of checked.warnings) warnings.add(`${name}: ${text}`);
  const lockFlops = lock ? undefined : card.lock?.flops;
  return {
    ...{ name, model: model.name, attacks: attacksName, targets, plan, options, task },
    ...(lock && { lock }),
    ...(lockFlops !== undefined && { lockFlops }),
  };
}

/** What an attacker may know of a lock of the plan. */
function knownOf({ methods, options }: SweepLock): KnownLock {
  const method = methodOf(methods);
  return { method: method.name, knowledge: method.reveals?.(options) ?? {} };
}

async function note(inputs: Record<string, string>, what: string, data: Parameters<typeof dataInputs>[0]) {
  for (const [key, value] of Object.entries({ ...(await dataInputs(data)), ...taskInput(data) })) {
    inputs[`${what} ${key}`] = value;
  }
}
