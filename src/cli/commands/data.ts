import { existsSync } from 'node:fs';
import { z } from 'zod';
import {
  type CheckedData,
  checkData,
  contactSheet,
  dataSpec,
  describeData,
  type FoundData,
  findData,
  type TextLengths,
  textEncoding,
  textLengths,
} from '../../data/index.js';
import { encodePng, requireWritable, writeFileAtomic } from '../../formats/index.js';
import { InputError, quote } from '../../registry/index.js';
import { defineCommand } from '../command.js';
import { dataFolder } from '../data-folder.js';
import { checkVerdict, describeDataSet } from '../describe-data.js';
import { requireOutside } from '../output-files.js';

const { text, textPair, label, messages, chat, quoting, tokenizer, maxLength } = dataSpec.shape;

/** `weightlock data`: what a file or folder of images or texts holds, and whether it is sound. */
export const data = defineCommand({
  name: 'data',
  summary:
    'Describe or check data sets: images (IDX, CIFAR, folders of PNG, JPEG and others) and texts (TSV, CSV, JSONL, Parquet).',
  arguments: [
    {
      name: 'action',
      description:
        'ls: describe. check: read every example and find copies, also between splits (exit code 1), and near copies of texts.',
      required: true,
    },
    { name: 'path', description: 'File, data set or folder of data sets; default: WEIGHTLOCK_DATA.', required: false },
  ],
  schema: z.strictObject({
    contactSheet: z
      .string()
      .optional()
      .describe('PNG file to write: some examples of each class and split, a row a class'),
    text,
    textPair,
    label,
    messages,
    chat,
    quoting,
    tokenizer: tokenizer
      .unwrap()
      .optional()
      .describe('model directory whose tokenizer counts the tokens of texts; default: words are counted'),
    maxLength: maxLength.unwrap().optional().describe('tokens beyond which a text counts as too long'),
  }),
  examples: [
    'weightlock data ls',
    'weightlock data ls ./data/mnist --json',
    'weightlock data check ./data/cifar10 --contact-sheet cifar10.png',
    'weightlock data check ./data/mrpc --tokenizer ./model --max-length 128',
  ],
  run: async ({ arguments: given, options, dryRun, force, signal, progress, print, result }) => {
    const { action, path = dataFolder('give a path') } = given;
    if (action !== 'ls' && action !== 'check') {
      throw new InputError(`action: expected ls or check, got ${quote(action)}`);
    }
    if (options.contactSheet !== undefined && action !== 'check') {
      throw new InputError('contactSheet: expected the action check, got ls');
    }
    if (options.contactSheet !== undefined) {
      await requireOutside(path, options.contactSheet);
      await requireWritable(options.contactSheet, 'file');
      if (!force && existsSync(options.contactSheet)) {
        throw new InputError(`${options.contactSheet}: expected a new file, it exists already (--force overwrites it)`);
      }
    }
    const found = await findData(path, options);
    const { contactSheet: _, ...ofTexts } = options;
    const [unused] = Object.entries(ofTexts).find(([, value]) => value !== undefined) ?? [];
    if (unused !== undefined && found.every(({ texts }) => texts.length === 0)) {
      throw new InputError(`${unused}: expected none, as ${path} holds no texts`);
    }
    if (options.tokenizer === undefined && (options.maxLength ?? options.chat) !== undefined) {
      const key = options.maxLength === undefined ? 'chat' : 'maxLength';
      throw new InputError(`${key}: expected tokenizer beside it, got none`);
    }
    if (options.contactSheet !== undefined && found.length !== 1) {
      throw new InputError(`${path}: expected one data set for a contact sheet, found ${found.length}`);
    }
    const lengths: (TextLengths[] | undefined)[] = [];
    for (const each of found) lengths.push(await lengthsOf(each, options));
    if (action === 'ls' || dryRun) {
      const descriptions = found.map(describeData);
      print(descriptions.map((each, index) => describeDataSet(each, lengths[index])).join('\n\n'));
      result({ data: descriptions.map((each, index) => ({ ...each, lengths: lengths[index] })) });
      return 0;
    }
    const checked: CheckedData[] = [];
    for (const each of found) {
      const total = [...each.images, ...each.texts].reduce((sum, { labels }) => sum + labels.length, 0);
      const line = progress({ label: `check ${each.path}`, total });
      let done = 0;
      checked.push(
        await checkData(each, () => {
          signal.throwIfAborted();
          done++;
          // Redrawing costs more than reading a text, or an image of a few hundred bytes.
          if (done % 100 === 0 || done === total) line.update(done);
        }),
      );
      line.finish();
    }
    if (options.contactSheet !== undefined) {
      // The only one, as was checked above.
      for (const each of found) await writeFileAtomic(options.contactSheet, await encodePng(await contactSheet(each)));
    }
    print(checked.map((each, index) => `${describeDataSet(each, lengths[index])}\n${checkVerdict(each)}`).join('\n\n'));
    if (options.contactSheet !== undefined) print(`\n${options.contactSheet}`);
    result({
      data: checked.map((each, index) => ({ ...each, lengths: lengths[index] })),
      contactSheet: options.contactSheet,
    });
    return checked.some(({ duplicates }) => duplicates.between > 0) ? 1 : 0;
  },
});

/** How long the texts of a data set are; undefined for images. */
async function lengthsOf(
  found: FoundData,
  options: { readonly tokenizer?: string; readonly maxLength?: number; readonly chat?: boolean },
): Promise<TextLengths[] | undefined> {
  const [first] = found.texts;
  if (!first) return undefined;
  if (options.tokenizer === undefined) return textLengths(found);
  const hasMessages = first.record(0).messages !== undefined;
  // Nothing is cut into pieces here: texts are counted whole.
  const spec = dataSpec.parse({
    tokenizer: options.tokenizer,
    maxLength: options.maxLength,
    chat: options.chat,
    pieces: false,
  });
  return textLengths(found, await textEncoding(spec, { isLabelled: true, hasMessages }));
}
