import type { CheckedData, DataDescription, TextLengths } from '../data/index.js';
import { percent, tableToText } from '../report/index.js';

/** What a data set holds: examples of each class, how long its texts are, and what is to be known of its files. */
export function describeDataSet(
  { path, kind, image, classes, splits, name, normalization, notes }: DataDescription,
  lengths: readonly TextLengths[] = [],
): string {
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
  const usual = normalization && `; mean ${numbers(normalization.mean)}, deviation ${numbers(normalization.std)}`;
  const lines = [name && `--data.name ${name}${usual ?? ''}`, ...notes];
  const ofTexts = lengths.length === 0 ? [] : [lengthsTable(splits, lengths)];
  return [table, ...ofTexts, ...lines.filter((line) => line !== undefined)].join('\n');
}

function lengthsTable(splits: DataDescription['splits'], lengths: readonly TextLengths[]): string {
  const unit = lengths[0]?.unit ?? 'tokens';
  const hasLimit = lengths.some(({ truncated }) => truncated !== undefined);
  return tableToText({
    columns: [
      { key: 'name', header: unit },
      { key: 'median', header: 'median', align: 'right' as const },
      { key: 'p95', header: '95 %', align: 'right' as const },
      { key: 'max', header: 'most', align: 'right' as const },
      ...(hasLimit ? [{ key: 'truncated', header: 'too long', align: 'right' as const }] : []),
    ],
    rows: splits.map(({ name, size }, split) => {
      const { median, p95, max, truncated = 0 } = lengths[split] ?? { median: 0, p95: 0, max: 0 };
      return {
        name,
        median: String(median),
        p95: String(p95),
        max: String(max),
        truncated: `${truncated} (${percent(truncated / size, 1)})`,
      };
    }),
  });
}

/** What a check has found. */
export function checkVerdict({ sizes, splits, duplicates, near }: CheckedData): string {
  if (!sizes && !near) return 'Labels only: nothing more to check.';
  const lines = [];
  if (sizes && String(sizes.smallest) !== String(sizes.largest)) {
    lines.push(`Images from ${sizes.smallest.join('×')} to ${sizes.largest.join('×')}.`);
  }
  for (const { name } of splits) lines.push(`Copies within ${name}: ${duplicates.within[name]}.`);
  if (splits.length > 1) lines.push(`Copies between splits: ${duplicates.between}.`);
  if (duplicates.otherLabel > 0) lines.push(`Copies with another label: ${duplicates.otherLabel}.`);
  for (const { first, second, sameLabel } of duplicates.pairs) {
    lines.push(`  ${second} is ${first}${sameLabel ? '' : ', with another label'}`);
  }
  if (!near) return lines.join('\n');
  const { between, pairs, shared } = near;
  if (splits.length > 1) lines.push(`Near copies between splits (half of the word 5-grams): ${between}.`);
  for (const { first, second, sameLabel, similarity } of pairs) {
    const label = sameLabel ? '' : ', with another label';
    lines.push(`  ${second} is like ${first} (${percent(similarity, 0)})${label}`);
  }
  if (shared !== undefined && splits.length > 1) {
    lines.push(`Pairs that share one text with an earlier split: ${shared}.`);
  }
  return lines.join('\n');
}
