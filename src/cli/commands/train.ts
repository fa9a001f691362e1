import { z } from 'zod';
import { describeEstimate, estimateRun, Runner, trainOptions } from '../../experiments/index.js';
import { readJsonFile } from '../../formats/index.js';
import { architectures, initializeModel } from '../../models/index.js';
import { percent } from '../../report/index.js';
import { scoreTitle, tasks } from '../../tasks/index.js';
import { chosenOptimizer, requireTrainable } from '../../training/index.js';
import { defineCommand } from '../command.js';
import { dataInputs, loadTask, taskData } from '../data-folder.js';
import { modelConfigInput } from '../model-options.js';
import { requireOutside } from '../output-files.js';
import { phaseProgress } from '../phase-progress.js';
import { requireModelOutput, runOnce } from '../run-once.js';

/** `weightlock train`: a new model from a data set. */
export const train = defineCommand({
  name: 'train',
  summary: 'Train a model from random weights and write a model directory.',
  arguments: [{ name: 'output', description: 'Model directory to write.', required: true }],
  schema: z.strictObject({
    architecture: z
      .enum(architectures.names() as [string, ...string[]])
      .default('cnn')
      .describe('architecture of the model'),
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
    const { architecture, task: taskName, modelConfig, data, seed, ...training } = options;
    const { output } = context.arguments;
    const parts = await loadTask(data, context.note);
    const { train: examples, test } = parts;
    const extra = modelConfig === undefined ? {} : ((await readJsonFile(modelConfig)) as Record<string, unknown>);
    const task = tasks.get(taskName);
    const fitting = architectures.get(architecture).fit(examples.examples.layout([]), task.headFor(examples));
    const fresh = initializeModel(architecture, { ...fitting, ...extra }, seed);
    const model = data.tokenizer === undefined ? fresh : { ...fresh, tokenizer: data.tokenizer };
    requireTrainable(model, examples, training.batchSize);
    const inputs = { ...(await modelConfigInput(modelConfig)), ...(await dataInputs(data)) };
    await requireOutside(data.path, output);
    const { path, state } = await requireModelOutput(context, { inputs, output, model });
    if (dryRun) {
      const needs = await estimateRun({
        model,
        batchSize: training.batchSize,
        accumulate: training.accumulate,
        examples,
        optimizer: chosenOptimizer(training),
        folder: path,
      });
      print(`would train ${architecture} on ${examples.size} examples, test on ${test.size}; ${path} (${state})`);
      print(describeEstimate(needs));
      return 0;
    }
    const { found, folder } = await runOnce(context, 'train', {
      inputs,
      output,
      compute: (run) =>
        new Runner({ engine: { threads, device }, seed }, { folder: run, signal, progress: phaseProgress(context) })
          .train(
            { name: 'train', output: { path: output, force } },
            { from: async () => model, data: { ...parts, spec: data }, options: training },
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
