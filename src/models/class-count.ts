import type { StateSpec } from '../nn/index.js';
import { InputError } from '../registry/index.js';
import type { ModelSpec } from './architecture.js';
import { classCountKey } from './labels.js';

/**
 * Checks that weights have as many classes as their configuration says. Tells the one mistake apart that people make with
 * weights of others, a classifier of another size, from weights of another architecture, which this lets pass.
 *
 * @param specs - What the architecture declares.
 * @param source - The model directory.
 * @param configFile - The file that the configuration is from; undefined where the caller gave it.
 * @throws InputError that says how many classes there are and which key to change.
 */
export function requireClassCount(
  weights: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  specs: readonly StateSpec[],
  { architecture, head }: ModelSpec,
  { source, configFile }: { source: string; configFile?: string },
): void {
  // Of a language model, the axis is the vocabulary.
  if (!head.kind.endsWith('classifier')) return;
  const expected = head.size;
  const others = specs.flatMap(({ name, shape }) => {
    const found = weights.get(name)?.shape;
    return found && String(found) !== String(shape) ? [{ name, shape, found }] : [];
  });
  const [first] = others;
  const isClassifier = ({ shape, found }: (typeof others)[number]) =>
    shape[0] === expected && found[0] === first.found[0] && String(shape.slice(1)) === String(found.slice(1));
  if (
    !first ||
    specs.some(({ name, kind }) => kind !== 'counter' && !weights.has(name)) ||
    !others.every(isClassifier)
  ) {
    return;
  }
  const count = first.found[0];
  const key = classCountKey(architecture);
  const [who, what] = configFile
    ? [configFile, `change its ${key} to ${count}, and the names of its classes`]
    : ['the given configuration', `give --model-config a JSON file with {"${key}": ${count}}`];
  throw new InputError(
    `${source}: the weights have ${count} classes (${first.name} is [${first.found.join(', ')}]), ${who} has ${expected}; ${what}`,
  );
}
