import { z } from 'zod';
import { cardDisagreements, predict } from '../../experiments/index.js';
import { writeFileAtomic } from '../../formats/index.js';
import { loadModel } from '../../models/index.js';
import { percent, tableToText } from '../../report/index.js';
import { scoreTitle, taskOf } from '../../tasks/index.js';
import { dataForModel, modelData, warn } from '../card-data.js';
import { defineCommand } from '../command.js';
import { loadTask, requireMeasured } from '../data-folder.js';
import { modelArgument } from '../model-argument.js';
import { givenConfig, modelOptions } from '../model-options.js';
import { requireOutside, requireOwnFile } from '../output-files.js';
import { arePredictions, predictionLines } from '../predictions.js';

/** `weightlock evaluate`: what a model is worth on a data set. */
export const evaluate = defineCommand({
  name: 'evaluate',
  summary: 'Measure what a model is worth on a data set: accuracy and loss of a classifier.',
  arguments: [
    {
      name: 'model',
      description: 'Model directory, GGUF file, or id of the Hugging Face hub (owner/name).',
      required: true,
    },
  ],
  schema: z.strictObject({
    ...modelOptions.shape,
    data: modelData.prefault({}).describe("the task; default the model's own"),
    part: z.enum(['test', 'validation', 'train']).default('test').describe('which examples'),
    predictions: z
      .string()
      .optional()
      .describe('JSONL file to write: index, source, label and logits of each example; it overwrites only such a file'),
  }),
  examples: [
    'weightlock evaluate ./locked',
    'weightlock evaluate ./locked --data.classes 0,1,2,3,4 --predictions predictions.jsonl --json',
  ],
  run: async (context) => {
    const { options, threads, device, dryRun, print, note, result } = context;
    const path = await modelArgument(context.arguments.model, context);
    if (path === undefined) return 0;
    const model = await loadModel(path, { config: await givenConfig(options) });
    const { data, card, problems } = await dataForModel(path, model, options.data);
    requireMeasured(data, options.part);
    const dataset = (await loadTask(data, note, { measures: true }))[options.part];
    const task = taskOf(model);
    task.requireFit(model, dataset);
    const warnings = [...(model.notes ?? []), ...problems, ...cardDisagreements(card, model, dataset)];
    warn({ note }, warnings);
    if (options.predictions !== undefined) {
      await requireOutside(data.path, options.predictions);
      await requireOwnFile(options.predictions, { what: 'predictions', isOwn: arePredictions });
    }
    if (dryRun) {
      print(`would evaluate ${path} on ${dataset.size} examples`);
      return 0;
    }
    const outputs = await predict(model, dataset, { threads, device });
    const meter = task.meter(dataset, model.head.size);
    const positions = Uint32Array.from({ length: dataset.size }, (_, position) => position);
    meter.add({ positions, values: outputs, shape: [dataset.size, model.head.size] });
    const evaluation = meter.result();
    if (options.predictions !== undefined) {
      await writeFileAtomic(options.predictions, predictionLines(outputs, dataset));
    }
    const score = evaluation.metrics[task.roles.score] ?? Number.NaN;
    const loss = evaluation.metrics[task.roles.loss] ?? Number.NaN;
    print(
      `${path}: ${scoreTitle(task)} ${percent(score, 2)}, loss ${loss.toFixed(4)} (${dataset.name}, n = ${evaluation.n})`,
    );
    const parts = task.parts(dataset);
    print(
      tableToText({
        columns: [
          { key: 'name', header: parts.kind },
          { key: 'n', header: 'n', align: 'right' },
          { key: 'score', header: scoreTitle(task), align: 'right' },
        ],
        rows: parts.entries.map(({ name, n, metric }) => ({
          name,
          n: String(n),
          score: percent(evaluation.metrics[metric] ?? Number.NaN),
        })),
      }),
    );
    if (options.predictions !== undefined) print(options.predictions);
    result({ model: path, dataset: dataset.name, ...evaluation, predictions: options.predictions, warnings });
    return 0;
  },
});
