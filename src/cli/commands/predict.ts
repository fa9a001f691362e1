import { z } from 'zod';
import { type Interval, predictTraining, type Summary } from '../../experiments/index.js';
import { loadModel } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { MISSING, tableToText } from '../../report/index.js';
import { taskOf } from '../../tasks/index.js';
import { dataForModel, modelData, warn } from '../card-data.js';
import { defineCommand } from '../command.js';
import { loadTask } from '../data-folder.js';
import { modelArgument } from '../model-argument.js';
import { givenConfig, modelOptions } from '../model-options.js';

/** `weightlock predict`: what curvature foretells of fine-tuning a model. */
export const predict = defineCommand({
  name: 'predict',
  summary:
    'Predict the largest stable learning rate and the steps to a loss from a model’s curvature on its data, in float64; --against an unlocked model the slowdown.',
  arguments: [
    { name: 'model', description: 'Model directory, or id of the Hugging Face hub (owner/name).', required: true },
  ],
  schema: z.strictObject({
    ...modelOptions.shape,
    data: modelData.prefault({}).describe("the task; default the model's own"),
    against: z.string().optional().describe('model directory before the lock: predicts the slowdown'),
    method: z
      .enum(['sgd', 'adamw'])
      .default('sgd')
      .describe(
        'optimizer: sgd, descending each batch as a whole, or adamw, whose curvature is that in its own coordinates at the first step (its second moment moves on, so that this is a hint and no more)',
      ),
    momentum: z.number().min(0).lt(1).default(0).describe('momentum of sgd'),
    examples: z.int().min(1).default(256).describe('training examples a batch'),
    batches: z.int().min(1).default(3).describe('batches; the interval is over them'),
    learningRate: z.number().positive().optional().describe('learning rate of the steps; default rateShare'),
    rateShare: z.number().positive().max(1).default(0.25).describe('share of the predicted stable rate for the steps'),
    target: z.number().optional().describe('loss to reach; default half of the first, of the unlocked model if given'),
    budget: z.int().min(1).default(3000).describe('steps at most'),
    check: z.boolean().default(false).describe('measure what is predicted'),
    seed: z.int().min(0).default(1).describe('seed of the batches'),
  }),
  examples: [
    'weightlock predict ./locked --against ./model --check',
    'weightlock predict ./locked --data.classes 5,6,7,8,9 --method adamw --json',
  ],
  run: async (context) => {
    const { options, threads, device, dryRun, signal, progress, print, note, result } = context;
    const { method: optimizer, momentum, against: other, ...rest } = options;
    if (optimizer === 'adamw' && momentum > 0) {
      throw new InputError(`momentum: expected none, as adamw has its own, got ${momentum}`);
    }
    const path = await modelArgument(context.arguments.model, context);
    if (path === undefined) return 0;
    const model = await loadModel(path, { config: await givenConfig(options) });
    const { data, problems } = await dataForModel(path, model, options.data);
    const { train } = await loadTask(data, note);
    taskOf(model).requireFit(model, train);
    const before = other === undefined ? undefined : await modelArgument(other, context);
    if (other !== undefined && before === undefined) return 0;
    const against = before === undefined ? undefined : await loadModel(before);
    if (against && against.digest !== model.digest) {
      throw new InputError(`${other}: expected a model that is built as ${path} is, found another`);
    }
    warn({ note }, [...(model.notes ?? []), ...problems]);
    if (train.size < rest.examples * rest.batches) {
      note(
        `warning: ${train.size} training examples for ${rest.batches} batches of ${rest.examples}: batches share examples`,
      );
    }
    const total = rest.batches * (against ? 2 : 1);
    if (dryRun) {
      print(`would predict ${path} on ${rest.batches} batches of ${Math.min(rest.examples, train.size)} examples`);
      return 0;
    }
    const line = progress({ label: 'predict', total });
    const found = await predictTraining(
      { model, against },
      train,
      { ...rest, method: { optimizer, momentum } },
      { engine: { threads, device }, signal, onDone: (done) => line.update(done) },
    );
    line.finish();
    const rows = [
      row('largest stable learning rate', found.model.rate),
      row(`steps to a loss of ${targetsOf(found.model.batches)}`, found.model.steps),
      ...(found.against
        ? [
            row('unlocked: largest stable learning rate', found.against.rate),
            row('unlocked: steps', found.against.steps),
          ]
        : []),
      ...(found.slowdown ? [row('slowdown', found.slowdown)] : []),
    ];
    const numbers = [
      { key: 'predicted', header: 'predicted, from the start alone', align: 'right' as const },
      { key: 'path', header: 'along the way', align: 'right' as const },
      { key: 'measured', header: 'measured', align: 'right' as const },
    ];
    const shown = numbers.filter(({ key }) => key === 'predicted' || rows.some((each) => each[key] !== MISSING));
    print(
      tableToText({
        columns: [{ key: 'what', header: `${path}, ${optimizer}` }, ...shown],
        rows,
        notes: [
          `Geometric mean over batches, 95 % interval of it in brackets; ${MISSING}: not within ${rest.budget} steps, or not looked at. Steps at ${rest.learningRate ?? `${rest.rateShare} of the predicted rate`}.`,
          'Near a solution the stable rate is 2 / λ_max; far from one a step that is too long may throw the model where larger rates are stable.',
        ],
      }),
    );
    result({ path, against: before, optimizer, ...found });
    return 0;
  },
});

function targetsOf(batches: readonly { readonly target: number }[]): string {
  const targets = batches.map(({ target }) => target);
  const [low, high] = [Math.min(...targets).toPrecision(3), Math.max(...targets).toPrecision(3)];
  return low === high ? low : `${low} to ${high}`;
}

function row(what: string, { predicted, path, measured }: Summary): Record<string, string> {
  return { what, predicted: shownInterval(predicted), path: shownInterval(path), measured: shownInterval(measured) };
}

function shownInterval(interval: Interval | undefined): string {
  if (!interval) return MISSING;
  const { value, low, high } = interval;
  const text = (number: number) => String(Number(number.toPrecision(3)));
  return low === undefined || high === undefined ? text(value) : `${text(value)} (${text(low)} to ${text(high)})`;
}
