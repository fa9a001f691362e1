import { z } from 'zod';
import { cardDisagreements, predict } from '../../experiments/index.js';
import { writeFileAtomic } from '../../formats/index.js';
import { loadModel } from '../../models/index.js';
import { percent, tableToText } from '../../report/index.js';
import { classAccuracy, requireFit, score } from '../../training/index.js';
import { dataForModel, modelData, warn } from '../card-data.js';
import { defineCommand } from '../command.js';
import { loadTask, requireMeasured } from '../data-folder.js';
import { givenConfig, modelOptions } from '../model-options.js';
import { requireOutside, requireOwnFile } from '../output-files.js';
import { arePredictions, predictionLines } from '../predictions.js';

/** `weightlock evaluate`: accuracy of a model on a data set. */
export const evaluate = defineCommand({
  name: 'evaluate',
  summary: 'Measure the accuracy of a model on a data set.',
  arguments: [{ name: 'model', description: 'Model directory.', required: true }],
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
  run: async ({ arguments: { model: path }, options, threads, device, dryRun, print, note, result }) => {
    const model = await loadModel(path, { config: await givenConfig(options) });
    const { data, card, problems } = await dataForModel(path, model, options.data);
    requireMeasured(data, options.part);
    const dataset = (await loadTask(data, note))[options.part];
    requireFit(model, dataset);
    const modelClasses = model.architecture.classes(model.config);
    const warnings = [...problems, ...cardDisagreements(card, dataset, { modelClasses })];
    warn({ note }, warnings);
    if (options.predictions !== undefined) {
      await requireOutside(data.path, options.predictions);
      await requireOwnFile(options.predictions, { what: 'predictions', isOwn: arePredictions });
    }
    if (dryRun) {
      print(`would evaluate ${path} on ${dataset.size} examples`);
      return 0;
    }
    const logits = await predict(model, dataset, { threads, device });
    const evaluation = score(logits, dataset.labels);
    if (options.predictions !== undefined) {
      await writeFileAtomic(options.predictions, predictionLines(logits, dataset));
    }
    print(
      `${path}: accuracy ${percent(evaluation.accuracy, 2)}, loss ${evaluation.loss.toFixed(4)} (${dataset.name}, n = ${evaluation.n})`,
    );
    print(
      tableToText({
        columns: [
          { key: 'name', header: 'class' },
          { key: 'n', header: 'n', align: 'right' },
          { key: 'accuracy', header: 'accuracy', align: 'right' },
        ],
        rows: evaluation.byClass.map((counts, label) => ({
          name: dataset.classes[label] ?? String(label),
          n: String(counts.examples),
          accuracy: percent(classAccuracy(counts)),
        })),
      }),
    );
    if (options.predictions !== undefined) print(options.predictions);
    result({ model: path, dataset: dataset.name, ...evaluation, predictions: options.predictions, warnings });
    return 0;
  },
});
