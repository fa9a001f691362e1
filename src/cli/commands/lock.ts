import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { digestOf, digestOfModel } from '../../evidence/index.js';
import {
  cardDisagreements,
  describeEstimate,
  estimateRun,
  keptSecret,
  type LockedInfo,
  Runner,
} from '../../experiments/index.js';
import { readFileCapped, writeFileAtomic } from '../../formats/index.js';
import {
  type LockKey,
  type LockMethod,
  type LockStory,
  lockKey,
  lockMethods,
  namesLocked,
  readSecret,
  stagedLock,
} from '../../locks/index.js';
import { findModelFiles, loadModel, type Model, openModel } from '../../models/index.js';
import { forOption, InputError, OutputError, optionsOf, optionsUnder, quote } from '../../registry/index.js';
import { lockedSentence, magnitude, ratio, tableToText, utilitySentence, utilityTable } from '../../report/index.js';
import { requireTrainable } from '../../training/index.js';
import { dataForModel, modelData, taskInput, warn } from '../card-data.js';
import { defineCommand } from '../command.js';
import { dataInputs, loadTask } from '../data-folder.js';
import { givenWords, shellWord } from '../describe-run.js';
import { modelArgument } from '../model-argument.js';
import { givenConfig, modelConfigInput, modelOptions } from '../model-options.js';
import { requireOutside } from '../output-files.js';
import { phaseProgress } from '../phase-progress.js';
import { loadProxies, methodsWithProxies, requireProxies } from '../proxy-data.js';
import { proposalTable, proposeLock } from '../recommend-lock.js';
import { requireModelOutput, runOnce } from '../run-once.js';
import { fitToTask, taskOption } from '../task-option.js';

const schema = z.strictObject({
  method: z
    .array(z.enum(lockMethods.names() as [string, ...string[]]))
    .min(1)
    .default(['specdef'])
    .describe('lock method, or several as stages one after the other'),
  sham: z
    .boolean()
    .default(false)
    .describe('all that the method does but lock: the control that shows what its training alone does'),
  recommend: z
    .boolean()
    .default(false)
    .describe('write nothing: propose a method and its options from what was measured on models like this one'),
  minutes: z.number().positive().optional().describe('what a proposed lock may take here; default any'),
  maxKl: z
    .number()
    .positive()
    .optional()
    .describe('mean KL in nats that a proposed lock may have cost where it was measured; default 0.5'),
  maxLost: z
    .number()
    .positive()
    .max(1)
    .optional()
    .describe('score, as a share, that a proposed lock may have cost where it was measured; default 0.01'),
  ...modelOptions.shape,
  data: modelData.prefault({}).describe("the authorized task, for the retain loss; default the model's own"),
  task: taskOption.describe("what the model is released for; default the task of the model's head"),
  proxies: z
    .array(z.string().min(1))
    .default([])
    .describe(
      `tasks that an attacker may be after, which ${methodsWithProxies()}: data sets or paths, each with numbers of classes joined by + behind a colon`,
    ),
  seed: z.int().min(0).default(1).describe('seed of all shuffles and draws'),
  secret: z
    .string()
    .optional()
    .describe(
      'file with 32 hexadecimal digits that decide what redistil, erase and rebalance draw into the weights, to make the same lock again; default a fresh secret, kept in the run folder alone',
    ),
  key: z
    .string()
    .optional()
    .describe('file to write with the key of a rebalance lock, with which train --key trains the locked model'),
  // By the registry's names, which the type of the options does not know.
  ...(optionsOf('method', lockMethods.entries(), { inFull: true }) as Record<never, z.ZodType>),
});

/** Options of proposals that a lock that is made has not. */
const ofProposalsAlone = new Set(['recommend', 'minutes', 'maxKl', 'maxLost']);

/** Options that a proposal is made by: all others are of a lock that is made. */
const ofProposals = new Set([...ofProposalsAlone, 'data', 'task', 'seed', ...Object.keys(modelOptions.shape)]);

/** `weightlock lock`: a locked copy of a model. */
export const lock = defineCommand({
  name: 'lock',
  summary:
    'Lock a model against fine-tuning and write the locked model directory, or say which lock is measured to help.',
  arguments: [
    {
      name: 'model',
      description:
        'Model to lock, which is not changed: a directory, a GGUF file, or an id of the Hugging Face hub (owner/name).',
      required: true,
    },
    { name: 'output', description: 'Model directory to write; none with --recommend.', required: false },
  ],
  schema,
  examples: [
    'weightlock lock ./model ./locked --data.classes 0,1,2,3,4',
    'weightlock lock ./model --recommend --minutes 30 --data.classes 0,1,2,3,4',
    'weightlock lock ./model ./locked --method erase,specdef --erase.rank 32',
    'weightlock lock ./model ./locked --method trap --data.classes 0,1,2,3,4 --proxies digits:5+6+7,digits:7+8+9',
    'weightlock lock ./model ./locked --specdef.top-k 1 --specdef.alpha 0.5 --specdef.max-drop 0.02',
  ],
  run: async (context) => {
    const { options, threads, device, signal, print, note, result, force, dryRun } = context;
    const { output } = context.arguments;
    const { minutes, maxKl, maxLost } = options;
    for (const [name, value] of Object.entries({ minutes, 'max-kl': maxKl, 'max-lost': maxLost })) {
      if (!options.recommend && value !== undefined) {
        throw new InputError(`--${name}: expected --recommend beside it, got a lock to make`);
      }
    }
    if (options.recommend && output !== undefined) {
      throw new InputError(`--recommend: expected no directory to write, got ${quote(output)}`);
    }
    if (options.recommend) {
      const defaults = schema.parse({});
      // The group of the chosen method is always there.
      const own = defaults.method.map((name) => [name, lockMethods.get(name).options.parse({})]);
      const standard: Readonly<Record<string, unknown>> = { ...defaults, ...Object.fromEntries(own) };
      const ignored = Object.entries(options).find(
        ([key, value]) => !ofProposals.has(key) && !isDeepStrictEqual(value, standard[key]),
      );
      if (ignored) throw new InputError(`--recommend: expected no option of a lock to make, got ${ignored[0]}`);
    }
    const source = await modelArgument(context.arguments.model, context);
    if (source === undefined) return 0;
    const { seed } = options;
    if (options.recommend) {
      const config = await givenConfig(options);
      const given = { source, released: await loadModel(source, { config }), config, options };
      const { model, parts, warnings } = await authorizedTask(given, note);
      warn(context, [...(model.notes ?? []), ...warnings]);
      const paced = { model, data: parts, engine: { threads, device }, seed, signal };
      const proposal = await proposeLock(paced, options);
      if (proposal.candidates.length > 0) print(proposalTable(proposal));
      for (const sentence of proposal.sentences) print(`\n${sentence}`);
      if (proposal.flags) {
        const keys = [...context.givenFlags].filter((key) => !ofProposalsAlone.has(key));
        const words = [shellWord(context.arguments.model), 'OUTPUT', ...givenWords(options, keys), ...proposal.flags];
        print(`\nweightlock lock ${words.join(' ')}`);
      }
      result(proposal);
      return 0;
    }
    if (output === undefined) throw new InputError('output: expected a model directory to write, got none');
    const method = chosenMethod(options.method);
    if (options.key !== undefined && method.name !== 'rebalance') {
      throw new InputError(`--key: expected the method rebalance, which has keys, got ${method.name}`);
    }
    const secret = options.secret === undefined ? undefined : await givenSecret(options.secret, method);
    const own = lockOptions(method, chosenOptions(options, options.method), options.sham);
    const config = await givenConfig(options);
    requireProxies(method, options.proxies, '--proxies');
    const { onDisk, loaded, task } = await modelToLock({ source, config, method, own, options }, note);
    const model = onDisk ?? loaded;
    const { length } = namesLocked(method, model.weights, own, model);
    const proxies = await forOption('proxies', () => loadProxies(options.proxies, { source, model, note }));
    warn(context, [...(model.notes ?? []), ...(task?.warnings ?? [])]);
    const inputs = {
      model: await digestOfModel(source),
      ...(await modelConfigInput(options.modelConfig)),
      ...(task && { ...(await dataInputs(task.data)), ...taskInput(task.data) }),
      ...proxies.inputs,
      ...(options.secret !== undefined && { secret: await digestOf(options.secret) }),
    };
    await requireOutside(task?.data.path, output);
    const { path, state } = await requireModelOutput(context, { inputs, output, model, source });
    const { leftOut } = await findModelFiles(source);
    if (leftOut.length > 0) note(`${source}: not copied: ${leftOut.map((name) => quote(name)).join(', ')}`);
    if (dryRun) {
      const training = method.training?.(own);
      const needs =
        training &&
        loaded &&
        (await estimateRun({
          ...{ model: loaded, ...training, examples: task?.parts.train, folder: path },
          residentBytes: process.memoryUsage().rss,
        }));
      const on = task ? `, ${task.examples} examples` : '';
      print(`would lock ${length} weight matrices of ${source} with ${method.name}${on}; ${path} (${state})`);
      if (needs) print(describeEstimate(needs));
      return 0;
    }
    const { found, folder } = await runOnce(context, 'lock', {
      inputs,
      output,
      compute: async (run) => {
        const shown = { folder: run, signal, progress: phaseProgress(context, run) };
        const runner = new Runner({ engine: { threads, device }, seed, secret }, shown);
        const part = { name: 'lock', output: { path: output, force } };
        if (onDisk) return (await runner.lockOnDisk(part, { from: onDisk, method, options: own })).info;
        const data = task && { ...task.parts, spec: task.data };
        const locked = { from: loaded, data, method, options: own, adversary: proxies.datasets };
        return (await runner.lock(part, locked)).info;
      },
    });
    if (options.key !== undefined && found.steps > 0) {
      await writeKey(options.key, lockKey(own, secret ?? (await keptSecret(folder, 'lock'))), force);
    }
    if (options.key !== undefined && found.steps === 0) {
      note(`${options.key}: not written: the lock changed nothing, so nothing needs a key`);
    }
    print(sigmaTable(found));
    if (found.test) print(`\n${tableToText(utilityTable(found.test))}`);
    else if (found.story?.outputError) print(`\n${outputErrorTable(found.story.outputError as LockStory)}`);
    const utility = found.test ? ` ${utilitySentence(found.test)}` : '';
    print(
      `\n${output}: ${found.steps} lock ${found.steps === 1 ? 'step' : 'steps'}${tookOf(found)}.${utility} (${folder.path})`,
    );
    print(lockedSentence(found));
    if (found.stoppedByBudget && found.steps > 0) {
      print('Its last weights were outside the utility budget; these are the last ones within it.');
    }
    for (const warning of found.warnings) {
      note(`warning: ${warning}`);
    }
    result({ ...found, output, run: folder.path, warnings: [...(task?.warnings ?? []), ...found.warnings] });
    return 0;
  },
});

/** What it took beside the steps that are left, in words. */
function tookOf({ flops }: LockedInfo): string {
  return flops === undefined || flops === 0 ? '' : `, ${magnitude(flops / 1e9, 1)} GFLOP`;
}

/**
 * The secret that a file holds.
 *
 * @throws InputError for one that holds none, and for a method that draws nothing.
 */
async function givenSecret(path: string, { name, draws }: LockMethod): Promise<string> {
  if (!draws) throw new InputError(`--secret: expected a lock method that draws into the weights, got ${name}`);
  return forOption('secret', async () => readSecret(new TextDecoder().decode(await readFileCapped(path, 1024)), path));
}

/** Writes a key, readable by its owner alone; another's is not overwritten. */
async function writeKey(path: string, key: LockKey, force: boolean): Promise<void> {
  const content = `${JSON.stringify(key, null, 2)}\n`;
  const known = await readFile(path, 'utf8').catch(() => undefined);
  if (known === content) return;
  if (known !== undefined && !force) {
    throw new OutputError(`${path}: expected no file or the same key, found another; give --force to overwrite it`);
  }
  await writeFileAtomic(path, content, { isPrivate: true });
}

/** One method as it is, several as stages. */
function chosenMethod(names: readonly string[]): LockMethod {
  const methods = names.map((name) => lockMethods.get(name));
  const [only] = methods;
  return only && methods.length === 1 ? only : (stagedLock(methods) as LockMethod);
}

/** Their options: those of one method, those of several under their names. */
function chosenOptions(options: object, names: readonly string[]): unknown {
  const [only] = names;
  if (only !== undefined && names.length === 1) return optionsUnder(options, only);
  return Object.fromEntries(names.map((name) => [name, optionsUnder(options, name)]));
}

/**
 * The options that a method runs with.
 *
 * @throws InputError for a sham of a method that has none.
 */
function lockOptions({ name, sham }: LockMethod, options: unknown, isSham: boolean): unknown {
  if (!isSham) return options;
  if (sham) return sham(options);
  throw new InputError(`--sham: expected a lock method that trains, found ${name}`);
}

/** What the authorized task is found by. */
interface TaskGiven {
  readonly source: string;
  readonly released: Model;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly options: { data: z.output<typeof modelData>; task?: string; seed: number };
}

/** The authorized task, with the model made fit for it. */
async function authorizedTask(
  { source, released, config, options: { data: given, task: name, seed } }: TaskGiven,
  note: (text: string) => void,
) {
  const { data, card, problems } = await dataForModel(source, released, given);
  const parts = await loadTask(data, note);
  const { train } = parts;
  const { model, task } = await fitToTask(released, train, { name, path: source, config, seed });
  return {
    ...{ data, parts, model, task },
    warnings: [...problems, ...cardDisagreements(card, model, train)],
    examples: train.size,
  };
}

/** The model to lock: on the disk alone, or loaded, with the task that it is locked for where there is one. */
type ModelToLock =
  | { readonly onDisk: Awaited<ReturnType<typeof openModel>>; readonly loaded?: undefined; readonly task?: undefined }
  | { readonly onDisk?: undefined; readonly loaded: Model; readonly task?: Awaited<ReturnType<typeof authorizedTask>> };

/** A method that needs no data has no task where the user gave none; then it may do without the model in memory too. */
async function modelToLock(
  { method, own, ...given }: Omit<TaskGiven, 'released'> & { readonly method: LockMethod; readonly own: unknown },
  note: (text: string) => void,
): Promise<ModelToLock> {
  const { source, config } = given;
  const { data, task: name } = given.options;
  const isGiven = JSON.stringify(data) !== JSON.stringify(modelData.parse({}));
  const hasTask = method.needsData || isGiven || name !== undefined;
  if (!hasTask && method.plan) return { onDisk: await openModel(source, { config }) };
  const released = await loadModel(source, { config });
  if (!hasTask) return { loaded: released };
  const found = await authorizedTask({ ...given, released }, note);
  const { task, model, parts } = found;
  const training = method.training?.(own);
  if (training) requireTrainable(model, parts.train, training.batchSize);
  else task.requireFit(model, parts.train);
  return { loaded: model, task: found };
}

/** How far outputs on noise are from the original's, where no data say what that costs. */
function outputErrorTable(errors: LockStory): string {
  return tableToText({
    title: "Largest difference from the original's outputs on noise, as a share of the largest output",
    columns: [
      { key: 'type', header: 'stored as' },
      { key: 'original', header: 'original', align: 'right' },
      { key: 'locked', header: 'locked', align: 'right' },
    ],
    rows: Object.entries(errors).map(([type, found]) => {
      const { original, locked } = found as Readonly<Record<string, number | null>>;
      const shown = (error?: number | null) => error?.toExponential(1) ?? 'not finite';
      return { type, original: shown(original), locked: shown(locked) };
    }),
  });
}

/** The largest singular values before and after. */
function sigmaTable({ spectra }: LockedInfo): string {
  return tableToText({
    title: 'Largest singular value of each weight matrix',
    columns: [
      { key: 'name', header: 'matrix' },
      { key: 'before', header: 'σ1 before', align: 'right' },
      { key: 'after', header: 'σ1 after', align: 'right' },
      { key: 'raised', header: 'raised', align: 'right' },
    ],
    rows: spectra.map(({ name, before: [before], after: [after] }) => ({
      name,
      before: magnitude(before),
      after: magnitude(after),
      raised: ratio(after !== undefined && before !== undefined ? after / before : undefined),
    })),
  });
}
