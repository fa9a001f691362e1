import { stat } from 'node:fs/promises';
import { z } from 'zod';
import type { LabelledDataset } from '../../data/index.js';
import { toJson } from '../../evidence/index.js';
import { predict } from '../../experiments/index.js';
import { writeFileAtomic } from '../../formats/index.js';
import { loadModel } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { dataForModel, modelData, warn } from '../card-data.js';
import { defineCommand } from '../command.js';
import { loadTask, requireMeasured } from '../data-folder.js';
import { modelArgument } from '../model-argument.js';
import { givenConfig, modelOptions } from '../model-options.js';
import { requireOutside, requireOwnFile } from '../output-files.js';
import { fitToTask } from '../task-option.js';

/** `weightlock embed`: a vector of length 1 for each text. */
export const embed = defineCommand({
  name: 'embed',
  summary: 'Compute sentence embeddings: the mean over the tokens of a text, divided by its length.',
  arguments: [
    {
      name: 'model',
      description: 'Model directory, GGUF file, or id of the Hugging Face hub (owner/name).',
      required: true,
    },
  ],
  schema: z.strictObject({
    ...modelOptions.shape,
    data: modelData.prefault({}).describe('the texts'),
    text: z.string().min(1).optional().describe('column of the texts, short for --data.text'),
    part: z.enum(['test', 'validation', 'train']).default('test').describe('which examples of a folder with several'),
    output: z
      .string()
      .optional()
      .describe('JSONL file to write: index, source and embedding of each text; it overwrites only such a file'),
  }),
  examples: [
    'weightlock embed ./minilm --data.path texts.csv --text sentence --json',
    'weightlock embed ./minilm --data.path texts.txt --output embeddings.jsonl',
  ],
  run: async (context) => {
    const { options, threads, device, dryRun, signal, progress, print, note, result } = context;
    const { data: given, text, part, output } = options;
    const path = await modelArgument(context.arguments.model, context);
    if (path === undefined) return 0;
    if (text !== undefined && given.text !== undefined) {
      throw new InputError(`--text: expected it once, got it beside --data.text ${JSON.stringify(given.text)}`);
    }
    const config = await givenConfig(options);
    const released = await loadModel(path, { config });
    // A file is no set with parts, and what is long is no several texts.
    const isFile = given.path !== undefined && (await stat(given.path).catch(() => undefined))?.isFile() === true;
    const { data, problems } = await dataForModel(
      path,
      released,
      {
        ...given,
        ...(text !== undefined && { text }),
        ...(isFile && given.testShare === undefined && { testShare: 1 }),
        pieces: given.pieces ?? false,
      },
      { authorized: false },
    );
    requireMeasured(data, part);
    const dataset = (await loadTask(data, note, { measures: true }))[part];
    const { model, task } = await fitToTask(released, dataset, { name: 'embedding', path, config });
    task.requireFit(model, dataset);
    warn({ note }, [...(model.notes ?? []), ...problems]);
    if (output !== undefined) {
      await requireOutside(data.path, output);
      await requireOwnFile(output, { what: 'embeddings', isOwn: areEmbeddings });
    }
    if (dryRun) {
      print(`would embed ${dataset.size} texts with ${path}`);
      return 0;
    }
    const line = progress({ label: 'embed', total: dataset.size });
    const onExamples = (count: number) => line.update(line.done + count);
    const values = await predict(model, dataset, { engine: { threads, device }, signal, onExamples });
    line.finish();
    const width = values.length / dataset.size;
    const embeddings = Array.from({ length: dataset.size }, (_, row) =>
      Array.from(values.subarray(row * width, (row + 1) * width)),
    );
    if (output !== undefined) await writeFileAtomic(output, embeddingLines(embeddings, dataset));
    print(`${dataset.size} embeddings of ${width} numbers each${output === undefined ? '' : `: ${output}`}`);
    result({ model: path, dataset: dataset.name, n: dataset.size, width, output, embeddings });
    return 0;
  },
});

/** Embeddings as JSONL: `{"index":0,"source":"texts.csv:2","embedding":[…]}`. */
function embeddingLines(embeddings: readonly number[][], { indices, nameOf }: LabelledDataset): string {
  return embeddings
    .map((embedding, index) => `${toJson({ index, source: nameOf?.(indices[index] ?? index), embedding })}\n`)
    .join('');
}

/** Whether a file begins as {@link embeddingLines} does. */
function areEmbeddings(head: string): boolean {
  return /^\{"index":0,("source":"(\\.|[^"\\])*",)?"embedding":\[/.test(head);
}
