import { existsSync } from 'node:fs';
import { z } from 'zod';
import {
  type CheckedData,
  checkData,
  contactSheet,
  type DataDescription,
  describeData,
  findData,
} from '../../data/index.js';
import { encodePng, requireWritable, writeFileAtomic } from '../../formats/index.js';
import { InputError, quote } from '../../registry/index.js';
import { tableToText } from '../../report/index.js';
import { defineCommand } from '../command.js';
import { dataFolder } from '../data-folder.js';
import { requireOutside } from '../output-files.js';

/** `weightlock data`: what a file or folder of images holds, and whether it is sound. */
export const data = defineCommand({
  name: 'data',
  summary: 'Describe or check image data sets: IDX and CIFAR files, folders of PNG, JPEG and other images.',
  arguments: [
    {
      name: 'action',
      description: 'ls: describe. check: read every image and find copies, also between splits (exit code 1).',
      required: true,
    },
    { name: 'path', description: 'File, data set or folder of data sets; default: WEIGHTLOCK_DATA.', required: false },
  ],
  schema: z.strictObject({
    contactSheet: z
      .string()
      .optional()
      .describe('PNG file to write: some examples of each class and split, a row a class'),
  }),
  examples: [
    'weightlock data ls',
    'weightlock data ls ./data/mnist --json',
    'weightlock data check ./data/cifar10 --contact-sheet cifar10.png',
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
    const found = await findData(path);
    if (options.contactSheet !== undefined && found.length !== 1) {
      throw new InputError(`${path}: expected one data set for a contact sheet, found ${found.length}`);
    }
    const descriptions = found.map(describeData);
    if (action === 'ls' || dryRun) {
      print(descriptions.map(describe).join('\n\n'));
      result({ data: descriptions });
      return 0;
    }
    const checked: CheckedData[] = [];
    for (const each of found) {
      const total = each.images.reduce((sum, { labels }) => sum + labels.length, 0);
      const line = progress({ label: `check ${each.path}`, total });
      let done = 0;
      checked.push(
        await checkData(each, () => {
          signal.throwIfAborted();
          done++;
          // Redrawing costs more than reading an image of a few hundred bytes.
          if (done % 100 === 0 || done === total) line.update(done);
        }),
      );
      line.finish();
    }
    if (options.contactSheet !== undefined) {
      // The only one, as was checked above.
      for (const each of found) await writeFileAtomic(options.contactSheet, await encodePng(await contactSheet(each)));
    }
    print(checked.map((each) => `${describe(each)}\n${verdict(each)}`).join('\n\n'));
    if (options.contactSheet !== undefined) print(`\n${options.contactSheet}`);
    result({ data: checked, contactSheet: options.contactSheet });
    return checked.some(({ duplicates }) => duplicates.between > 0) ? 1 : 0;
  },
});

function describe({ path, kind, image, classes, splits, name, normalization, notes }: DataDescription): string {
  const pixels = image && `${image[1]}×${image[2]} ${image[0] === 1 ? 'grey' : 'colour'}`;
  const numbers = (values: readonly number[]) => values.map((value) => String(Number(value.toFixed(4)))).join(', ');
  // Where a class is not called as its number, --data.classes needs the number.
  const isNumbered = classes.some((className, label) => className !== String(label));
  const table = tableToText({
    title: [path, kind, pixels].filter((part) => part !== undefined).join(', '),
    columns: [
      ...(isNumbered ? [{ key: 'number', header: '', align: 'right' as const }] : []),
      { key: 'class', header: 'class' },
      ...splits.map(({ name }) => ({ key: name, header: name, align: 'right' as const })),
    ],
    rows: [
      ...classes.map((className, label) => ({
        number: String(label),
        class: className,
        ...Object.fromEntries(splits.map((split) => [split.name, String(split.counts[label])])),
      })),
      { number: '', class: 'all', ...Object.fromEntries(splits.map((split) => [split.name, String(split.size)])) },
    ],
  });
  const lines = [
    name && normalization
      ? `--data.name ${name}; mean ${numbers(normalization.mean)}, deviation ${numbers(normalization.std)}`
      : undefined,
    ...notes,
  ];
  return [table, ...lines.filter((line) => line !== undefined)].join('\n');
}

function verdict({ sizes, splits, duplicates }: CheckedData): string {
  if (!sizes) return 'Labels only: nothing more to check.';
  const { smallest, largest } = sizes;
  const lines = [];
  if (String(smallest) !== String(largest)) lines.push(`Images from ${smallest.join('×')} to ${largest.join('×')}.`);
  for (const { name } of splits) lines.push(`Copies within ${name}: ${duplicates.within[name]}.`);
  if (splits.length > 1) lines.push(`Copies between splits: ${duplicates.between}.`);
  if (duplicates.otherLabel > 0) lines.push(`Copies with another label: ${duplicates.otherLabel}.`);
  for (const { first, second, sameLabel } of duplicates.pairs) {
    lines.push(`  ${second} is ${first}${sameLabel ? '' : ', with another label'}`);
  }
  return lines.join('\n');
}
