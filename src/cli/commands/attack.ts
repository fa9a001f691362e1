import { z } from 'zod';
import { digestOfModel, readOrigin } from '../../evidence/index.js';
import {
  assessAttack,
  attackExtent,
  attackOptions,
  budgetsOfSuites,
  knownAttacks,
  Runner,
} from '../../experiments/index.js';
import { writeFileAtomic } from '../../formats/index.js';
import { attackReport, renderReport, reportOrigin, summarizeAttack, tableToText } from '../../report/index.js';
import { checkAttack, inputsOfOthers, knowsLockOption } from '../attack-checks.js';
import { flagsOfCard, modelData, warn } from '../card-data.js';
import { defineCommand } from '../command.js';
import { modelArgument } from '../model-argument.js';
import { givenConfig, modelConfigInput, modelOptions } from '../model-options.js';
import { phaseProgress } from '../phase-progress.js';
import { runOnce } from '../run-once.js';
import { taskOption } from '../task-option.js';

/** `weightlock attack`: the cheapest way to train a model anyway. */
export const attack = defineCommand({
  name: 'attack',
  summary: 'Attack a model: search the cheapest way to train it on an unauthorized task.',
  arguments: [
    {
      name: 'model',
      description:
        'Model to attack, which is not changed: a directory, a GGUF file, or an id of the Hugging Face hub (owner/name).',
      required: true,
    },
  ],
  schema: z.strictObject({
    unlocked: z
      .string()
      .optional()
      .describe('model before the lock, as the argument is given, attacked in the same way for comparison'),
    sham: z
      .string()
      .optional()
      .describe(
        'sham-locked model (`lock --sham`), the control: attacked in the same way, and shown beside the others',
      ),
    alternative: z
      .string()
      .optional()
      .describe(
        'another public model, as the argument is given, that an attacker could take in the place of this one: what is gained with it belongs to the floor',
      ),
    ...modelOptions.shape,
    data: modelData.prefault({}).describe('the unauthorized task'),
    benign: modelData
      .optional()
      .describe(
        "harmless examples that attacks train on in the place of the task's, in classes of the task: the score is measured on the task all the same; default none",
      ),
    retain: modelData
      .optional()
      .describe(
        "examples like those of the authorized task, for attacks that heal or distil; default none: these then keep to the released model's outputs on the attacker's own",
      ),
    unlabelled: modelData
      .optional()
      .describe(
        "examples that the attacker has without labels, those of a data set are left aside, for attacks that train on texts alone (pretrain) or towards the released model's outputs (distil, heal); default those of his examples",
      ),
    authorized: modelData
      .optional()
      .describe(
        'examples of the authorized task, which what each attack leaves of it is measured on; default those of --retain, of a back door the data without it, else it is not measured',
      ),
    task: taskOption.describe(
      "what the attacker wants of the data; default classification where the examples have classes, token-classification where words have, else the model's own",
    ),
    knowsLock: knowsLockOption,
    workers: z
      .int()
      .min(0)
      .max(64)
      .default(2)
      .describe('processes that search side by side, one thread each; 0: none but this one'),
    ...attackOptions.shape,
  }),
  presets: (given) => budgetsOfSuites[given('suite') as keyof typeof budgetsOfSuites] ?? {},
  examples: [
    'weightlock attack ./locked --unlocked ./model --data.classes 5,6,7,8,9',
    'weightlock attack ./locked --unlocked ./model --data.classes 5,6,7,8,9 --cost-steps 0 --per-class 10',
    'weightlock attack ./locked --unlocked ./model --alternative ./resnet20 --data.classes 5,6,7,8,9',
    'weightlock attack ./locked --unlocked ./model --data.trigger-target 0 --data.trigger-share 0.1',
    'weightlock attack ./locked --unlocked ./model --benign.classes 0,1,2,3,4,5,6,7,8',
  ],
  run: async (context) => {
    const { options, threads, device, signal, print, note, result, dryRun } = context;
    const {
      unlocked,
      sham,
      alternative,
      data,
      benign,
      retain,
      unlabelled,
      authorized,
      task: named,
      workers,
      knowsLock,
      architecture,
      modelConfig,
      ...attacking
    } = options;
    knownAttacks(attacking);
    const config = await givenConfig({ architecture, modelConfig });
    const at = await modelArgument(context.arguments.model, context);
    const before = unlocked === undefined ? undefined : await modelArgument(unlocked, context);
    const control = sham === undefined ? undefined : await modelArgument(sham, context);
    const another = alternative === undefined ? undefined : await modelArgument(alternative, context);
    if (at === undefined || (unlocked !== undefined && before === undefined)) return 0;
    if (sham !== undefined && control === undefined) return 0;
    if (alternative !== undefined && another === undefined) return 0;
    const paths = { locked: at, unlocked: before, sham: control, alternative: another };
    const isGiven = (key: string) => context.givenFlags.has(key);
    const others = { benign, retain, unlabelled, authorized };
    const asked = { data, ...others, task: named, options: attacking, knowsLock, isGiven };
    const checked = await checkAttack({ ...paths, config, ...asked }, note);
    const { targets, plan, task, models, card, train, test, warnings } = checked;
    for (const text of new Set(Object.values(models).flatMap((model) => model?.notes ?? []))) note(text);
    const inputs: Record<string, string> = {
      ...(await modelConfigInput(modelConfig)),
      ...checked.inputs,
      ...(await inputsOfOthers(checked)),
    };
    for (const [name, path] of Object.entries(paths)) {
      if (path !== undefined) inputs[name] = await digestOfModel(path);
    }
    if (context.presets.size > 0) note(presetSentence(String(attacking.suite), context.presets));
    const like = checked.authorized ? undefined : flagsOfCard(card, 'retain');
    if (like !== undefined) {
      note(
        `no examples of the authorized task: what attacks leave of it is not measured, and those that heal or distil do without; as the model's card names them: ${like}`,
      );
    }
    warn(context, warnings);
    if (dryRun) {
      const { path, state } = await context.locateRunFolder(inputs);
      const { trials, notes } = await attackExtent(targets, plan);
      for (const text of notes) note(text);
      print(`would run at most ${trials} trials on ${train.size} examples, test on ${test.size}; ${path} (${state})`);
      return 0;
    }
    const { found, folder } = await runOnce(context, 'attack', {
      inputs,
      compute: (run) =>
        new Runner(
          { engine: { threads, device }, workers, seed: 0 },
          { folder: run, signal, progress: phaseProgress(context, run) },
        )
          .attack(targets, plan)
          .then((attacked) => assessAttack(attacked, task, { ...attacking, lockFlops: card.lock?.flops })),
      write: async (attacked, run) => {
        const origin = reportOrigin(await readOrigin(run.path));
        await writeFileAtomic(run.file('report.html'), renderReport(await attackReport(attacked, attacking, origin)));
      },
    });
    const { table, sentences } = summarizeAttack(found, attacking);
    const [verdict, ...rest] = sentences;
    print(`${verdict}\n`);
    print(tableToText(table));
    for (const sentence of rest) print(`\n${sentence}`);
    print(`\n${folder.file('report.html')}`);
    result({ ...found, sentences, report: folder.file('report.html'), warnings });
    return 0;
  },
});

/** What a suite brought, as flags that give something else. */
function presetSentence(suite: string, presets: ReadonlyMap<string, unknown>): string {
  const flags = [...presets].map(([key, value]) => {
    const flag = key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return `--${flag} ${Array.isArray(value) ? value.join(',') : String(value)}`;
  });
  return `budget of the suite ${suite}, where no other was given: ${flags.join(' ')}`;
}
