import { z } from 'zod';
import { digestOf } from '../../evidence/index.js';
import { cardDisagreements, describeEstimate, estimateRun, lockModel } from '../../experiments/index.js';
import { lockMethods, specDefOptions, weightMatrices } from '../../locks/index.js';
import { findModelFiles, loadModel } from '../../models/index.js';
import { quote } from '../../registry/index.js';
import { magnitude, ratio, tableToText, utilitySentence, utilityTable } from '../../report/index.js';
import { requireTrainable } from '../../training/index.js';
import { dataForModel, modelData, taskInput, warn } from '../card-data.js';
import { defineCommand } from '../command.js';
import { dataInputs, loadTask } from '../data-folder.js';
import { givenConfig, modelConfigInput, modelOptions } from '../model-options.js';
import { requireOutside } from '../output-files.js';
import { phaseProgress } from '../phase-progress.js';
import { requireModelOutput, runOnce } from '../run-once.js';

/** `weightlock lock`: a locked copy of a model. */
export const lock = defineCommand({
  name: 'lock',
  summary: 'Lock a model against fine-tuning and write the locked model directory.',
  arguments: [
    { name: 'model', description: 'Model directory to lock; it is not changed.', required: true },
    { name: 'output', description: 'Model directory to write.', required: true },
  ],
  schema: z.strictObject({
    method: z
      .enum(lockMethods.names() as [string, ...string[]])
      .default('specdef')
      .describe('lock method'),
    ...modelOptions.shape,
    data: modelData.prefault({}).describe("the authorized task, for the retain loss; default the model's own"),
    seed: z.int().min(0).default(1).describe('seed of all shuffles'),
    specdef: specDefOptions.prefault({}).describe('options of specdef'),
  }),
  examples: [
    'weightlock lock ./model ./locked --data.classes 0,1,2,3,4',
    'weightlock lock ./model ./locked --specdef.top-k 1 --specdef.alpha 0.5 --specdef.max-drop 0.02',
  ],
  run: async (context) => {
    const { options, threads, device, signal, print, note, result, force, dryRun } = context;
    const { model: source, output } = context.arguments;
    const { method, seed, specdef } = options;
    const model = await loadModel(source, { config: await givenConfig(options) });
    const { data, card, problems } = await dataForModel(source, model, options.data);
    const { train } = await loadTask(data, note);
    requireTrainable(model, train, specdef.batchSize);
    const warnings = [...problems, ...cardDisagreements(card, model, train)];
    warn(context, warnings);
    const inputs = {
      model: await digestOf(source),
      ...(await modelConfigInput(options.modelConfig)),
      ...(await dataInputs(data)),
      ...taskInput(data),
    };
    await requireOutside(data.path, output);
    const { path, state } = await requireModelOutput(context, { inputs, output, model, source });
    const { leftOut } = await findModelFiles(source);
    if (leftOut.length > 0) note(`${source}: not copied: ${leftOut.map((name) => quote(name)).join(', ')}`);
    if (dryRun) {
      const needs = await estimateRun({
        model,
        batchSize: specdef.batchSize,
        optimizer: specdef.optimizer,
        folder: path,
      });
      const matrices = weightMatrices(model.weights, specdef);
      print(
        `would lock ${matrices.length} weight matrices of ${source} with ${method}, ${train.size} examples; ${path} (${state})`,
      );
      print(describeEstimate(needs));
      return 0;
    }
    const { found, folder } = await runOnce(context, {
      inputs,
      output,
      compute: (run) =>
        lockModel({ model, data, output, seed, force, method }, specdef, {
          folder: run,
          engine: { threads, device },
          signal,
          progress: phaseProgress(context),
        }),
    });
    print(
      tableToText({
        title: 'Largest singular value of each weight matrix',
        columns: [
          { key: 'name', header: 'matrix' },
          { key: 'before', header: 'σ1 before', align: 'right' },
          { key: 'after', header: 'σ1 after', align: 'right' },
          { key: 'raised', header: 'raised', align: 'right' },
        ],
        rows: found.spectra.map(({ name, before: [before], after: [after] }) => ({
          name,
          before: magnitude(before),
          after: magnitude(after),
          raised: ratio(after !== undefined && before !== undefined ? after / before : undefined),
        })),
      }),
    );
    print(`\n${tableToText(utilityTable(found.test))}`);
    print(`\n${output}: ${found.steps} lock steps. ${utilitySentence(found.test)} (${folder.path})`);
    if (found.stoppedByBudget) {
      print('The utility budget ended the lock; these are the last weights within it.');
    }
    for (const warning of found.warnings) {
      note(`warning: ${warning}`);
    }
    result({ ...found, output, run: folder.path, warnings: [...warnings, ...found.warnings] });
    return 0;
  },
});
