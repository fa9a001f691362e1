import { type ModelSpec, modelState } from '../models/index.js';

/** Parameters of a model in the order of computation. */
export interface LayerOrder {
  /** Names before the first block: embeddings, a stem. */
  readonly stem: readonly string[];
  /** Names of each block, the first block first, with what stands between it and the next. */
  readonly blocks: readonly (readonly string[])[];
  /** Names after the last block: a last norm and the head; of networks without numbered blocks the last layer. */
  readonly head: readonly string[];
}

/** `vit.encoder.layer.3` of `vit.encoder.layer.3.output.dense.weight`, `layer4.0` of `layer4.0.bn1.bias`. */
const numbered = /^(.*?\.\d+)\./;

/**
 * Which parameters belong to which block, by their names and the order in which the forward pass declares them. A block is what
 * has a number of its own in the names; where there are none, such as in an MLP, every layer is a block and the last one the head.
 * A head that is tied to the embeddings has no parameters of its own.
 */
export function layerOrder(model: ModelSpec): LayerOrder {
  const names = modelState(model).flatMap(({ name, kind }) => (kind === 'parameter' ? [name] : []));
  const hasNumbers = names.some((name) => numbered.test(name));
  const layers = new Map<string, string[]>();
  const stem: string[] = [];
  let last: string[] = stem;
  for (const name of names) {
    const key = hasNumbers ? numbered.exec(name)?.[1] : name.slice(0, name.lastIndexOf('.'));
    if (key !== undefined) {
      last = layers.get(key) ?? [];
      layers.set(key, last);
    }
    last.push(name);
  }
  const blocks = [...layers.values()];
  if (!hasNumbers) return { stem, blocks: blocks.slice(0, -1), head: blocks.at(-1) ?? [] };
  // What was declared after the last numbered name was put behind it.
  const end = last.findLastIndex((name) => numbered.test(name)) + 1;
  return { stem, blocks: [...blocks.slice(0, -1), last.slice(0, end)], head: last.slice(end) };
}

/** Names of the last blocks, so large a share of all of them, and of what is behind them. */
export function laterLayers(model: ModelSpec, share: number): string[] {
  const { blocks, head } = layerOrder(model);
  return [...blocks.slice(blocks.length - Math.round(share * blocks.length)), head].flat();
}
