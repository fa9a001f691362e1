import type { TensorHeader } from '../formats/index.js';
import type { StateSpec } from '../nn/index.js';
import { InputError, matchesAny, quote } from '../registry/index.js';
import type { ModelSpec } from './architecture.js';

/** Whether an entry belongs to a model's head: it may be drawn anew. */
function ofHead({ architecture, config }: ModelSpec): (name: string) => boolean {
  return matchesAny(architecture.stateDictPolicy?.(config).initializable ?? []);
}

/**
 * What there is to say where a model gets another head than its folder has, and both call a tensor the same: it is taken over, as
 * transformers does, for there is no name left under which it could be kept.
 *
 * @param model - With the new head; `own`: with the folder's.
 * @param state - What the model declares.
 * @param found - The folder's tensors by their entries.
 * @returns A note for the reader; none where no name is shared.
 * @throws InputError when such a tensor has another shape.
 */
export function takenOver(
  folder: string,
  { model, own }: { model: ModelSpec; own: ModelSpec },
  state: readonly StateSpec[],
  found: ReadonlyMap<string, Pick<TensorHeader, 'shape'>>,
): string[] {
  const [ofNew, ofOwn] = [ofHead(model), ofHead(own)];
  const shared = state.filter(({ name }) => found.has(name) && ofNew(name) && ofOwn(name));
  for (const { name, shape } of shared) {
    const other = found.get(name)?.shape ?? [];
    if (String(other) === String(shape)) continue;
    throw new InputError(
      `${folder}: expected ${quote(name)} to be [${shape}] for a head ${model.head.kind}, found [${other}] of its head ${own.head.kind}, which has no other name to be kept under`,
    );
  }
  if (shared.length === 0) return [];
  const names = shared.map(({ name }) => name).join(', ');
  return [
    `${folder}: ${names} are of its head ${own.head.kind} and begin the head ${model.head.kind}, which has their names.`,
  ];
}
