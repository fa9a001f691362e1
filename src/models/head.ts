import { z } from 'zod';
import { InputError } from '../registry/index.js';
import type { Architecture, HeadNeed, ModelSpec } from './architecture.js';
import { classCountKey, namingKeys } from './labels.js';

/** The keys by which `config.json` says which family and class of transformers a model is of. */
export function familyKeys<Name extends string>(modelType: Name, classes: Readonly<Record<string, string>>) {
  const [first] = Object.keys(classes);
  return {
    architectures: z.array(z.string()).min(1).default([first]).describe("the model's class in transformers"),
    architecture: z.literal(modelType).optional().describe('name of the architecture, in place of architectures'),
    model_type: z.literal(modelType).default(modelType).describe('family in transformers'),
  };
}

/** The kind of head of a configuration, by the class that it names. */
export function headKind(
  classes: Readonly<Record<string, string>>,
  { architectures }: { readonly architectures: readonly string[] },
): string {
  const named = architectures.find((name) => Object.hasOwn(classes, name));
  return named === undefined ? Object.values(classes)[0] : classes[named];
}

/** The class of an architecture that has a kind of head; none where it has no such class. */
export function classWithHead({ classes = {} }: Pick<Architecture, 'classes'>, kind: string): string | undefined {
  return Object.keys(classes).find((name) => classes[name] === kind);
}

/** The kinds of head that a model can have: its own first, then those of the classes of its family. */
export function kindsOfHead({ architecture, head }: Pick<ModelSpec, 'architecture' | 'head'>): string[] {
  return [head.kind, ...Object.values(architecture.classes ?? {})];
}

/** Whether a model's head gives what a task needs: it is of that kind, and has as many classes at least. */
export function givesHead({ head }: Pick<ModelSpec, 'head'>, { kind, labels }: HeadNeed): boolean {
  return head.kind === kind && head.size >= labels.length;
}

/**
 * The keys of `config.json` that give a model another head: of another kind, or of the same with more classes. None where its own
 * gives what is needed.
 *
 * @param source - Where the model is from, for the message.
 * @throws InputError when the architecture has no such head.
 */
export function keysOfHead(model: ModelSpec, need: HeadNeed, source: string): Record<string, unknown> | undefined {
  if (givesHead(model, need)) return undefined;
  const { architecture, config, head } = model;
  const { kind, labels } = need;
  const keys =
    kind === head.kind
      ? { [classCountKey(architecture)]: labels.length }
      : keysOfNewHead(architecture, need, { source, kinds: kindsOfHead(model) });
  const isTimm = Object.hasOwn(config as object, 'label_names');
  return { ...keys, ...(labels.length > 0 && namingKeys(labels, labels.length, isTimm)) };
}

/**
 * The keys of `config.json` that say which head a model of transformers has, and how many classes.
 *
 * @param options - `source`: where the model is from, for the message. `kinds`: what it has instead, default the heads of its
 *   classes.
 * @throws InputError when the architecture has no such head.
 */
export function keysOfNewHead(
  architecture: Pick<Architecture, 'name' | 'classes'>,
  { kind, labels }: HeadNeed,
  { source = 'model', kinds = Object.values(architecture.classes ?? {}) }: { source?: string; kinds?: string[] } = {},
): Record<string, unknown> {
  const name = classWithHead(architecture, kind);
  if (name === undefined) {
    const found = [...new Set(kinds)].join(', ');
    throw new InputError(`${source}: expected a head ${kind} for the task, ${architecture.name} has ${found}`);
  }
  return { architectures: [name], ...(labels.length > 0 && { num_labels: labels.length }) };
}
