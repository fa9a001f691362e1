import { z } from 'zod';
import type { AlternativeModel, AttackTargets } from '../attacks/index.js';
import { type DataSpec, type Dataset, isPoisoned, labelledAs, withoutTrigger } from '../data/index.js';
import { canonicalJson, digestOfModel } from '../evidence/index.js';
import {
  type AttackOptions,
  type AttackPlan,
  attackDoubts,
  attackPlan,
  cardDisagreements,
  type KnownLock,
  lockOfCard,
  modelsOfPlan,
  optionsOfKnown,
  whatIsKnown,
} from '../experiments/index.js';
import { givesHead, type HeadNeed, loadModel, type Model, type ModelCard } from '../models/index.js';
import { forOption } from '../registry/index.js';
import { requireExamples, type Task, taskOf } from '../tasks/index.js';
import { chosenOptimizer, createOptimizer, requireTrainable } from '../training/index.js';
import { dataForModel, dataReadBy, type modelData, taskInput } from './card-data.js';
import type { RunInputs } from './command.js';
import { dataInputs, loadTask } from './data-folder.js';
import { attackTask } from './task-option.js';

/** The option of commands that says what an attacker knows of the lock. */
export const knowsLockOption = z
  .boolean()
  .default(true)
  .describe(
    'whether the attacker knows how the model was locked, by its card: the transforms that undo a lock take their options from it where no others are given',
  );

type GivenData = z.output<typeof modelData>;

/** An attack as it is asked for. */
export interface GivenAttack {
  /** The model that is attacked: its directory. */
  readonly locked: string;
  /** The model before the lock. */
  readonly unlocked?: string;
  /** The control beside the lock. */
  readonly sham?: string;
  /** Another public model, a part of the floor. */
  readonly alternative?: string;
  /** Their configuration, for directories without `config.json`. */
  readonly config?: Readonly<Record<string, unknown>>;
  /**
   * What is known of a lock that is yet to be made: `locked` is then the model before it, of whose weights there is nothing to doubt.
   * Default it is made, and its card says how.
   */
  readonly planned?: KnownLock;
  /** The unauthorized task. */
  readonly data: GivenData;
  /** Harmless examples that are trained on in the place of the task's. */
  readonly benign?: GivenData;
  /** Examples like those of the authorized task. */
  readonly retain?: GivenData;
  /** Examples whose labels are of no interest, for attacks that train without them. */
  readonly unlabelled?: GivenData;
  /** Examples of the authorized task that what is left of it is measured on; default those of `retain`, of a back door those without it. */
  readonly authorized?: GivenData;
  /** Name of what the attacker wants of the data; default see {@link attackTask}. */
  readonly task?: string;
  /** Options of the attack. */
  readonly options: AttackOptions;
  /** Whether the attacker knows how the model was locked. */
  readonly knowsLock: boolean;
  /** Whether an option was given, by its key; default where it is not what it is by default. */
  readonly isGiven?: (key: string) => boolean;
}

/** An attack, everything that it names looked at. */
export interface CheckedAttack {
  readonly targets: AttackTargets;
  readonly plan: AttackPlan;
  /** What the attacker wants of the data. */
  readonly task: Task;
  /** The models that are attacked, with the head that the task needs. */
  readonly models: Readonly<Record<'locked', Model> & Partial<Record<'unlocked' | 'sham', Model>>>;
  /** What the directory of the locked model says. */
  readonly card: ModelCard;
  /** Examples that attacks train on: of the unauthorized task, or harmless ones in their place. */
  readonly train: Dataset;
  /** Those that the score is measured on. */
  readonly test: Dataset;
  /** Examples of the authorized task that what attacks leave of it is measured on; default it is not. */
  readonly authorized?: DataSpec;
  /** Digests of what is read, the models that are attacked aside, by what it is. */
  readonly inputs: RunInputs;
  /** Directories of models that attacks read beside these. */
  readonly others: readonly string[];
  /** What its owner should know, one line each. */
  readonly warnings: readonly string[];
}

/**
 * Looks at models, data and options of an attack before anything is computed.
 *
 * @param note - Hears what is to be said of the data.
 * @throws InputError for what cannot be read, does not fit, or cannot be done with these models.
 */
export async function checkAttack(
  {
    locked: path,
    unlocked,
    sham,
    alternative: another,
    config,
    planned,
    data: given,
    benign: harmless,
    retain: like,
    unlabelled: alone,
    authorized: judged,
    ...asked
  }: GivenAttack,
  note: (text: string) => void,
): Promise<CheckedAttack> {
  const { options, isGiven } = asked;
  const released = await loadModel(path, { config });
  // A back door and flipped labels are those of the task that the model does; who trains on harmless examples wants that it does it again.
  const isOwn = isPoisoned(given) || harmless !== undefined;
  const { data, card, problems } = await dataForModel(path, released, given, { authorized: isOwn });
  const own = await loadTask(data, note);
  const benign = harmless && (await dataForModel(path, released, harmless)).data;
  const train = benign ? labelledAs((await loadTask(benign, note)).train, own.train) : own.train;
  const { test } = own;
  const task = attackTask(asked.task, released, train);
  const head = headOf(task, released, train, { grows: !isOwn });
  const withHead = async (one: string | undefined) =>
    one === undefined ? undefined : loadModel(one, { config, head });
  const locked = head ? await loadModel(path, { config, head }) : released;
  const models = { locked, unlocked: await withHead(unlocked), sham: await withHead(sham) };
  for (const model of Object.values(models)) if (model) requireAttackable(model, train, task, options);
  const retain = like && (await dataForModel(path, released, like)).data;
  if (retain) requireTrainable(released, (await loadTask(retain, note)).train, options.costBatchSize);
  const unlabelled = alone && (await dataForModel(path, released, alone)).data;
  if (unlabelled) requireExamples(released, (await loadTask(unlabelled, note)).train);
  const examples = { data: [data, given], benign: [benign, harmless], unlabelled: [unlabelled, alone] } as const;
  const { alternative, said: ofAlternative = [] } =
    another === undefined
      ? {}
      : await forOption('alternative', () => alternativeModel(another, examples, { task, options, note }));
  // A back door is worth something beside the task that it is hidden in.
  const isHidden = data.triggerTarget !== undefined && !head && task.disagreements(card, released, train).length === 0;
  const beside = retain ?? (isHidden ? withoutTrigger(data) : undefined);
  const authorized = judged ? (await dataForModel(path, released, judged)).data : beside;
  if (authorized && authorized !== retain) {
    taskOf(released).requireFit(released, (await loadTask(authorized, note)).test);
  }
  const inputs: Record<string, string> = {
    ...(await inputsOfData({ '': data, benign, retain, unlabelled, ...(authorized !== retain && { authorized }) })),
    ...(await inputsOfData({ ...alternative?.reads }, 'alternative ')),
  };
  const ofCard = asked.knowsLock && !planned ? lockOfCard(card, released) : {};
  const known = asked.knowsLock && options.adaptive ? (planned ?? ofCard.known) : undefined;
  const learned = known && optionsOfKnown(known, options, isGiven);
  if (learned && Object.keys(learned).length > 0) inputs['lock as known'] = canonicalJson(learned);
  const said = [
    ...(benign ? [`Attacks train on harmless examples in the place of the task's: ${train.name}.`] : []),
    ...ofAlternative,
    ...[known && whatIsKnown(known)].flatMap((text) => text ?? []),
  ];
  const plan = {
    ...attackPlan(data, options, learned, { benign, retain, unlabelled, authorized }),
    ...(said.length > 0 && { notes: said }),
  };
  return {
    targets: {
      locked: path,
      ...(unlocked !== undefined && { unlocked }),
      ...(sham !== undefined && { sham }),
      ...(alternative && { alternative }),
      ...(config && { config }),
      ...(head && { head }),
    },
    ...{ plan, task, models, card, train, test, inputs, others: modelsOfPlan(plan) },
    ...(authorized && { authorized }),
    warnings: [
      ...problems,
      ...(ofCard.problem === undefined ? [] : [ofCard.problem]),
      ...cardDisagreements(card, locked, train, { authorized: isOwn }),
      ...attackDoubts({
        ...{ locked, ...(!planned && { unlocked: models.unlocked }), attack: train },
        card: isOwn ? {} : card,
      }),
    ],
  };
}

/** Digests of data sets by what each is for; of the one without a name as they are. */
async function inputsOfData(sets: Readonly<Record<string, DataSpec | undefined>>, before = ''): Promise<RunInputs> {
  const inputs: Record<string, string> = {};
  for (const [name, spec] of Object.entries(sets)) {
    if (!spec) continue;
    const found = { ...(await dataInputs(spec)), ...taskInput(spec) };
    for (const [key, value] of Object.entries(found)) inputs[`${before}${name === '' ? '' : `${name} `}${key}`] = value;
  }
  return inputs;
}

/** The head that a task needs, where a model's own does not give it: it is of another kind or, where it may grow, has fewer classes. */
function headOf(task: Task, model: Model, train: Dataset, { grows }: { grows: boolean }): HeadNeed | undefined {
  if (task.head === model.head.kind && !grows) return undefined;
  const need = task.headFor(train);
  return givesHead(model, need) ? undefined : need;
}

/** @throws InputError where a model cannot be trained on the examples of an attack, many or few, or an optimizer cannot train it. */
function requireAttackable(model: Model, train: Dataset, task: Task, options: AttackOptions): void {
  requireTrainable(model, train, options.costBatchSize);
  const few = options.perClass > 0 ? task.fewShot(train, options.perClass, 0) : train;
  requireTrainable(model, few, options.scoreBatchSize);
  const shapes = new Map([...model.weights].map(([weight, { shape }]) => [weight, shape]));
  for (const optimizer of options.optimizers) createOptimizer(chosenOptimizer(options, optimizer), shapes);
}

/** Examples as the released model reads them, and what the user said of them. */
type GivenExamples = readonly [read: DataSpec | undefined, given: GivenData | undefined];

/** Another public model, with the attacker's examples as it reads them. */
async function alternativeModel(
  path: string,
  examples: { readonly data: readonly [DataSpec, GivenData] } & Readonly<
    Record<'benign' | 'unlabelled', GivenExamples>
  >,
  { task, options, note }: { task: Task; options: AttackOptions; note: (text: string) => void },
): Promise<{ alternative: AlternativeModel; said: readonly string[] }> {
  const released = await loadModel(path);
  const readBy = async ([read, given]: GivenExamples) =>
    read && given ? dataReadBy(path, released, read, given) : undefined;
  const [data, benign, unlabelled] = [
    await dataReadBy(path, released, ...examples.data),
    await readBy(examples.benign),
    await readBy(examples.unlabelled),
  ];
  const own = await loadTask(data, note);
  const train = benign ? labelledAs((await loadTask(benign, note)).train, own.train) : own.train;
  const head = headOf(task, released, train, { grows: true });
  requireAttackable(head ? await loadModel(path, { head }) : released, train, task, options);
  if (unlabelled) requireExamples(released, (await loadTask(unlabelled, note)).train);
  const weights = [...released.weights.values()].reduce((sum, { data }) => sum + data.length, 0);
  const what = `${released.architecture.name} of ${weights.toLocaleString('en-US')} weights`;
  return {
    alternative: {
      path,
      ...(head && { head }),
      reads: { data, ...(benign && { benign }), ...(unlabelled && { unlabelled }) },
    },
    said: [
      `The floor has another public model, which an attacker could take instead: ${what}; a step of it computes what that model does.`,
    ],
  };
}

/** Digests of models that attacks read beside those that they attack, for the run folder. */
export async function inputsOfOthers({ others }: Pick<CheckedAttack, 'others'>): Promise<RunInputs> {
  return Object.fromEntries(
    await Promise.all(others.map(async (path) => [`model ${path}`, await digestOfModel(path)] as const)),
  );
}
