import { dataSources, type LabelledDataset } from '../data/index.js';
import { lockMethods } from '../locks/index.js';
import type { ModelOnDisk } from '../models/index.js';
import { InputError, quote } from '../registry/index.js';
import { dataForModel, modelData, taskInput } from './card-data.js';
import type { RunInputs } from './command.js';
import { dataInputs, loadTask } from './data-folder.js';

/** Tasks that an attacker may be after, for lock methods that need them. */
export interface ProxyTasks {
  /** Their training examples. */
  readonly datasets: readonly LabelledDataset[];
  /** What they are, for the run folder. */
  readonly inputs: RunInputs;
}

/**
 * Loads tasks that an attacker may be after.
 *
 * @param proxies - Each the name of a data set, or a folder or file, and behind a colon its classes, joined by `+`: `digits:5+6+7`.
 * @throws InputError as for the data of an attack, naming the proxy.
 */
export async function loadProxies(
  proxies: readonly string[],
  { source, model, note }: { source: string; model: ModelOnDisk; note: (text: string) => void },
): Promise<ProxyTasks> {
  const datasets: LabelledDataset[] = [];
  const inputs: Record<string, string> = {};
  for (const [index, proxy] of proxies.entries()) {
    const { data } = await dataForModel(source, model, modelData.parse(readProxy(proxy)), { authorized: false });
    const { train } = await loadTask(data, note);
    if (train.size === 0) throw new InputError(`--proxies: expected training examples, found none in ${quote(proxy)}`);
    datasets.push(train);
    for (const [key, value] of Object.entries({ ...(await dataInputs(data)), ...taskInput(data) })) {
      inputs[`proxy-${index + 1}-${key}`] = value;
    }
  }
  return { datasets, inputs };
}

/** The lock methods that need tasks that an attacker may be after, in words: `trap, repnoise and tar`. */
export function methodsWithProxies(word: 'and' | 'or'): string {
  const names = lockMethods.entries().flatMap(({ name, needsAdversary }) => (needsAdversary ? [name] : []));
  return [names.slice(0, -1).join(', '), ...names.slice(-1)].filter((part) => part !== '').join(` ${word} `);
}

/** What a proxy says: name or path, and the numbers of classes. */
export function readProxy(proxy: string): { name?: string; path?: string; classes?: number[] } {
  const [, place, classes] = /^(.+?)(?::(\d+(?:\+\d+)*))?$/.exec(proxy) ?? [];
  if (!place || place.startsWith(':')) {
    throw new InputError(
      `--proxies: expected a data set or a path, and numbers of classes joined by + behind a colon, got ${quote(proxy)}`,
    );
  }
  const where = dataSources.names().includes(place) ? { name: place } : { path: place };
  return { ...where, ...(classes !== undefined && { classes: classes.split('+').map(Number) }) };
}
