import { z } from 'zod';
import { InputError, quote } from '../registry/index.js';

/** Most classes that a configuration may name: more than ImageNet-22k, and a list of them still fits memory. */
export const maxClasses = 100_000;
/** Longest name of a class that is read from a file. */
const maxNameLength = 1000;

/** Keys by which a `config.json` names its classes: Hugging Face's, for every architecture. */
export const labelKeys = {
  id2label: z.record(z.string(), z.string()).optional().describe('name of each class by its number'),
  label2id: z
    .record(z.string(), z.union([z.int(), z.string()]))
    .optional()
    .describe('number of each class by its name'),
};

/** Keys that transformers and timm write as `null` where they are not set. */
const nullable = [
  ...['architectures', 'id2label', 'label2id', 'num_labels', 'problem_type'],
  ...['label_names', 'model_args', 'num_classes', 'num_features'],
];

/** The key of a configuration that says how many classes there are: timm's, or Hugging Face's. */
export function classCountKey({ config }: { readonly config: z.ZodObject }): 'num_classes' | 'num_labels' {
  return 'num_classes' in config.shape ? 'num_classes' : 'num_labels';
}

/**
 * A configuration with the keys of its classes in one form, as transformers reads them: `null` is absent, and `id2label`
 * says how many classes there are where `num_labels` does not. Where the two disagree, `num_labels` counts.
 *
 * @param countKey - The key that holds the number of classes.
 * @throws InputError when a class is no text under a number.
 */
export function withClassCount(
  config: Readonly<Record<string, unknown>>,
  countKey: string,
  source: string,
): Record<string, unknown> {
  const given = Object.fromEntries(
    Object.entries(config).filter(([key, value]) => value !== null || !nullable.includes(key)),
  );
  const { id2label } = given;
  if (id2label === undefined) return given;
  const names = labelKeys.id2label.safeParse(id2label);
  const bad = names.success ? Object.keys(names.data ?? {}).find((key) => !/^\d{1,9}$/.test(key)) : undefined;
  if (!names.success || bad !== undefined) {
    const found = bad === undefined ? JSON.stringify(id2label).slice(0, 80) : `the key ${quote(bad)}`;
    throw new InputError(`${source}: id2label: expected a name for each class number, found ${found}`);
  }
  const count = Object.keys(names.data ?? {}).length;
  if (count === 0) throw new InputError(`${source}: id2label: expected at least one class, found none`);
  return { [countKey]: count, ...given };
}

/**
 * The names of a configuration's classes in the order of the logits: `id2label` (Hugging Face) or `label_names` (timm);
 * undefined where it has none, another number of them, or only numbers by another name (`LABEL_0`).
 */
export function classNames(config: unknown, count: number): readonly string[] | undefined {
  if (typeof config !== 'object' || config === null || count > maxClasses) return undefined;
  const { id2label, label_names } = config as Record<string, unknown>;
  const list = z.array(z.string()).safeParse(label_names);
  const table = labelKeys.id2label.safeParse(id2label);
  const named = list.success ? list.data : table.success && table.data ? inOrder(table.data) : [];
  if (named.length !== count || named.every((name, label) => name === unnamed(label))) return undefined;
  return named.map((name) => name.slice(0, maxNameLength));
}

/** The keys that name classes, for a configuration that has none: timm's form, or Hugging Face's. */
export function namingKeys(classes: readonly string[], count: number, timm: boolean): Record<string, unknown> {
  const names = Array.from({ length: count }, (_, label) => classes[label] ?? unnamed(label));
  if (timm) return { label_names: names };
  const id2label = Object.fromEntries(names.entries());
  // Two classes of one name have no number each.
  if (new Set(names).size < names.length) return { id2label };
  return { id2label, label2id: Object.fromEntries(names.map((name, label) => [name, label])) };
}

/** What transformers calls a class without a name. */
function unnamed(label: number): string {
  return `LABEL_${label}`;
}

function inOrder(table: Readonly<Record<string, string>>): string[] {
  return Object.keys(table).map((_, label) => table[label] ?? unnamed(label));
}
