import { type DataSpec, dataSources, type LabelledDataset } from '../data/index.js';
import { type LockMethod, lockMethods } from '../locks/index.js';
import type { ModelOnDisk } from '../models/index.js';
import { InputError, inWords, quote } from '../registry/index.js';
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

/** The model that proxies are for, and who hears what is to be said of them. */
interface ForModel {
  readonly source: string;
  readonly model: ModelOnDisk;
  note(text: string): void;
}

/**
 * Loads tasks that an attacker may be after.
 *
 * @param proxies - Each the name of a data set, or a folder or file, and behind a colon its classes, joined by `+`: `digits:5+6+7`.
 * @throws InputError as for the data of an attack, naming the proxy.
 */
export async function loadProxies(proxies: readonly string[], given: ForModel): Promise<ProxyTasks> {
  const datasets: LabelledDataset[] = [];
  const inputs: Record<string, string> = {};
  for (const [index, proxy] of proxies.entries()) {
    const { data, train } = await loadProxy(proxy, given);
    datasets.push(train);
    for (const [key, value] of Object.entries({ ...(await dataInputs(data)), ...taskInput(data) })) {
      inputs[`proxy-${index + 1}-${key}`] = value;
    }
  }
  return { datasets, inputs };
}

/** Loads one of them, see {@link loadProxies}. */
export async function loadProxy(
  proxy: string,
  { source, model, note }: ForModel,
): Promise<{ data: DataSpec; train: LabelledDataset }> {
  const parsed = modelData.safeParse(readProxy(proxy), { error: inWords });
  if (!parsed.success)
    throw new InputError(`${quote(proxy)}: ${parsed.error.issues[0]?.message ?? parsed.error.message}`);
  const { data } = await dataForModel(source, model, parsed.data, { authorized: false });
  const { train } = await loadTask(data, note);
  if (train.size === 0) throw new InputError(`expected training examples, found none in ${quote(proxy)}`);
  return { data, train };
}

/** The lock methods that take tasks that an attacker may be after, in words: `trap, repnoise and tar need; erase may use`. */
export function methodsWithProxies(): string {
  const namesOf = (which: LockMethod['proxies']) =>
    joined(lockMethods.entries().flatMap(({ name, proxies }) => (proxies === which ? [name] : [])));
  return `${namesOf('required')} need and ${namesOf('optional')} may use`;
}

/**
 * Refuses proxies that nothing would use, and a method that lacks them.
 *
 * @param option - What they are given by, for the message.
 * @throws InputError saying which.
 */
export function requireProxies({ name, proxies: use }: LockMethod, given: readonly string[], option: string): void {
  if (use === 'required' && given.length === 0) {
    throw new InputError(`${name}: expected tasks that an attacker may be after, got none; give ${option}`);
  }
  if (use === undefined && given.length > 0) {
    throw new InputError(
      `${option}: expected a lock method that takes tasks of an attacker, which ${methodsWithProxies()}, got ${name}`,
    );
  }
}

function joined(names: readonly string[]): string {
  return [names.slice(0, -1).join(', '), ...names.slice(-1)].filter((part) => part !== '').join(' and ');
}

/** What a proxy says: name or path, and the numbers of classes. */
function readProxy(proxy: string): { name?: string; path?: string; classes?: number[] } {
  const [, place = '', classes] = /^(.+?)(?::(\d+(?:\+\d+)*))?$/.exec(proxy) ?? [];
  const names = dataSources.names();
  // A path may have a colon in it, what begins with the name of a data set is none.
  if (place === '' || place.startsWith(':') || names.some((name) => place.startsWith(`${name}:`))) {
    throw new InputError(
      `expected a data set or a path, and numbers of classes joined by + behind a colon, got ${quote(proxy)}`,
    );
  }
  const where = names.includes(place) ? { name: place } : { path: place };
  return { ...where, ...(classes !== undefined && { classes: classes.split('+').map(Number) }) };
}
