import { z } from 'zod';
import type { Dataset } from '../../data/index.js';
import { digestOf, digestOfModel } from '../../evidence/index.js';
import { describeEstimate, estimateRun, Runner, trainOptions } from '../../experiments/index.js';
import { readJsonFile } from '../../formats/index.js';
import { type LockKey, readLockKey, relock, requireLockedBy, unlock } from '../../locks/index.js';
import { architectures, initializeModel, loadModel, type Model } from '../../models/index.js';
import { forOption, InputError } from '../../registry/index.js';
import { percent } from '../../report/index.js';
import { scoreTitle, type Task, tasks } from '../../tasks/index.js';
import { chosenOptimizer, requireTrainable } from '../../training/index.js';
import { dataForModel, taskInput, warn } from '../card-data.js';
import { defineCommand } from '../command.js';
import { dataInputs, loadTask, taskData } from '../data-folder.js';
import { modelArgument } from '../model-argument.js';
import { givenConfig, modelConfigInput } from '../model-options.js';
import { requireOutside } from '../output-files.js';
import { phaseProgress } from '../phase-progress.js';
import { requireModelOutput, runOnce } from '../run-once.js';
import { fitToTask } from '../task-option.js';

/** `weightlock train`: a new model from a data set. */
export const train = defineCommand({
  name: 'train',
  summary: 'Train a model, from random weights or those of another, and write a model directory.',
  arguments: [{ name: 'output', description: 'Model directory to write.', required: true }],
  schema: z.strictObject({
    from: z
      .string()
      .optional()
      .describe('model to go on from, which is not changed: a directory, a GGUF file, or an id of the hub'),
    key: z
      .string()
      .optional()
      .describe(
        'key of the lock of that model, from lock --key: it is trained as if it were not locked, and locked again',
      ),
    architecture: z
      .enum(architectures.names() as [string, ...string[]])
      .optional()
      .describe('architecture of a new model, or of a directory without config.json; default cnn'),
    task: z
      .enum(tasks.names() as [string, ...string[]])
      .default('classification')
      .describe('what the model is trained and judged on'),
    modelConfig: z.string().optional().describe('JSON file with further keys of config.json, such as layer widths'),
    data: taskData.prefault({}).describe('the authorized task'),
    seed: z.int().min(0).default(1).describe('seed of the weights and all shuffles'),
    ...trainOptions.shape,
  }),
  examples: [
    'weightlock train ./model --data.classes 0,1,2,3,4',
    'weightlock train ./model --architecture mlp --steps 500 --optimizer sgd --learning-rate 0.05',
    'weightlock train ./model --optimizer sgd --sgd.momentum 0.9 --cosine.warmup-steps 100 --clip-norm 1',
  ],
  run: async (context) => {
    const { options, threads, device, signal, print, result, force, dryRun } = context;
    const { from, key: keyFile, architecture, task: taskName, modelConfig, data: given, seed, ...training } = options;
    const { output } = context.arguments;
    const config = await givenConfig({ architecture, modelConfig });
    const source = from === undefined ? undefined : await modelArgument(from, context);
    if (from !== undefined && source === undefined) return 0;
    const own = source === undefined ? undefined : await loadModel(source, { config });
    const key = await keyFor(own, keyFile);
    if (own && key && keyFile !== undefined) {
      requireLockedBy(own, own.weights, key, keyFile);
      unlock(own, own.weights, key);
    }
    const { data } = own && source ? await dataForModel(source, own, given, { authorized: false }) : { data: given };
    const parts = await loadTask(data, context.note);
    const { train: examples, test } = parts;
    const task = tasks.get(taskName);
    const model =
      own && source
        ? (await fitToTask(own, examples, { name: taskName, path: source, config, seed, grows: true })).model
        : newModel({ architecture, config, seed, tokenizer: data.tokenizer }, examples, task);
    warn(context, model.notes ?? []);
    requireTrainable(model, examples, training.batchSize);
    const inputs = {
      ...(await modelConfigInput(modelConfig)),
      ...(await dataInputs(data)),
      ...(source !== undefined && { from: await digestOfModel(source), ...taskInput(data) }),
      ...(keyFile !== undefined && { key: await digestOf(keyFile) }),
    };
    await requireOutside(data.path, output);
    const { path, state } = await requireModelOutput(context, { inputs, output, model, source });
    if (dryRun) {
      const needs = await estimateRun({
        model,
        batchSize: training.batchSize,
        accumulate: training.accumulate,
        recompute: training.recompute,
        examples,
        residentBytes: process.memoryUsage().rss,
        optimizer: chosenOptimizer(training),
        folder: path,
      });
      print(
        `would train ${model.architecture.name} on ${examples.size} examples, test on ${test.size}; ${path} (${state})`,
      );
      print(describeEstimate(needs));
      return 0;
    }
    const { found, folder } = await runOnce(context, 'train', {
      inputs,
      output,
      compute: (run) =>
        new Runner(
          { engine: { threads, device }, seed },
          { folder: run, signal, progress: phaseProgress(context, run) },
        )
          .train(
            { name: 'train', output: { path: output, force } },
            {
              from: async () => model,
              finish: (trained) => {
                if (key) relock(trained, trained.weights, key);
              },
              ...{ data: { ...parts, spec: data }, options: training },
            },
          )
          .then(({ info }) => info),
    });
    const measured = found.test ?? found.evaluation;
    const score = percent(measured.metrics[task.roles.score] ?? Number.NaN);
    print(
      `${output}: ${scoreTitle(task)} ${score} on ${measured.n} test examples after ${found.steps} steps (${folder.path})`,
    );
    result({ ...found, output, run: folder.path });
    return 0;
  },
});

/** The key of a model's lock; undefined where none was given. */
async function keyFor(own: Model | undefined, file: string | undefined): Promise<LockKey | undefined> {
  if (file === undefined) return undefined;
  if (!own) throw new InputError('--key: expected a locked model beside it, with --from');
  return forOption('key', async () => readLockKey(await readJsonFile(file), file));
}

/** A new model that takes such examples and gives what a task needs; keys of a given configuration come before both. */
function newModel(
  {
    architecture: name = 'cnn',
    config: { architecture: _, ...extra } = {},
    seed,
    tokenizer,
  }: { architecture?: string; config?: Record<string, unknown>; seed: number; tokenizer?: string },
  examples: Dataset,
  task: Task,
): Model {
  const fitting = architectures.get(name).fit(examples.examples.layout([]), task.headFor(examples));
  const model = initializeModel(name, { ...fitting, ...extra }, seed);
  return tokenizer === undefined ? model : { ...model, tokenizer };
}
