import { z } from 'zod';
import { cardDisagreements, evaluateModel, predict } from '../../experiments/index.js';
import { writeFileAtomic } from '../../formats/index.js';
import { classNames, loadModel, type ModelSpec } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { percent, showMetric, tableToText } from '../../report/index.js';
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
  summary: 'Measure what a model is worth on a data set: accuracy of a classifier, perplexity of a language model.',
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
    original: z
      .string()
      .optional()
      .describe('model directory whose outputs on the same examples are compared with: the model before a lock'),
    part: z.enum(['test', 'validation', 'train']).default('test').describe('which examples'),
    predictions: z
      .string()
      .optional()
      .describe('JSONL file to write: index, source, label and logits of each example; it overwrites only such a file'),
  }),
  examples: [
    'weightlock evaluate ./locked',
    'weightlock evaluate ./locked --original ./model',
    'weightlock evaluate ./locked --data.classes 0,1,2,3,4 --predictions predictions.jsonl --json',
  ],
  run: async (context) => {
    const { options, threads, device, dryRun, signal, progress, print, note, result } = context;
    const path = await modelArgument(context.arguments.model, context);
    if (path === undefined) return 0;
    const model = await loadModel(path, { config: await givenConfig(options) });
    const { data, card, problems } = await dataForModel(path, model, options.data);
    requireMeasured(data, options.part);
    const dataset = (await loadTask(data, note, { measures: true }))[options.part];
    const task = taskOf(model);
    task.requireFit(model, dataset);
    const before = options.original === undefined ? undefined : await modelArgument(options.original, context);
    if (options.original !== undefined && before === undefined) return 0;
    const original = before === undefined ? undefined : await loadModel(before);
    if (original && !isComparable(original, model)) {
      throw new InputError(
        `${options.original}: expected a model of the inputs and the head of ${path}, found another`,
      );
    }
    if (
      original === undefined &&
      task.metrics.every(({ compares, name }) => compares || name === task.roles.notFinite)
    ) {
      throw new InputError(
        `--original: expected a model to compare with, as ${task.name} measures nothing else, got none`,
      );
    }
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
    const passes = options.predictions === undefined ? 1 : 2;
    const line = progress({ label: 'evaluate', total: passes * dataset.size });
    const watched = {
      engine: { threads, device },
      signal,
      onExamples: (count: number) => line.update(line.done + count),
    };
    const evaluation = await evaluateModel(model, dataset, { ...watched, original });
    if (options.predictions !== undefined) {
      const outputs = await predict(model, dataset, watched);
      await writeFileAtomic(options.predictions, predictionLines(outputs, dataset));
    }
    line.finish();
    print(`${path}: ${dataset.name}, n = ${evaluation.n}`);
    print(
      tableToText({
        columns: [
          { key: 'what', header: 'measured' },
          { key: 'value', header: 'value', align: 'right' },
        ],
        rows: task.metrics
          .filter(({ name }) => evaluation.metrics[name] !== undefined)
          .map((metric) => ({ what: metric.title, value: showMetric(metric, evaluation) })),
      }),
    );
    const parts = task.parts(dataset);
    if (parts.entries.length > 0) {
      print(
        `\n${tableToText({
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
        })}`,
      );
    }
    if (options.predictions !== undefined) print(options.predictions);
    result({ model: path, dataset: dataset.name, ...evaluation, predictions: options.predictions, warnings });
    return 0;
  },
});

/** Whether two models take the same and give the same: a lock may have made another architecture of one. */
function isComparable(a: ModelSpec, b: ModelSpec): boolean {
  const facts = ({ inputs, head, config }: ModelSpec) => JSON.stringify([inputs, head, classNames(config, head.size)]);
  return facts(a) === facts(b);
}
