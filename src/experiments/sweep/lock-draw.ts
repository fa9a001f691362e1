import { loadData } from '../../data/index.js';
import { RunFolder } from '../../evidence/index.js';
import { type LockMethod, lockMethods, stagedLock } from '../../locks/index.js';
import { loadModel } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { taskOf, tasks } from '../../tasks/index.js';
import { silentProgress } from '../progress.js';
import { fromResultFile, toResultFile } from '../results.js';
import { type LockedInfo, Runner } from '../run/index.js';
import type { ChildRequest } from './requests.js';

/** A lock method, or several as stages. */
export function methodOf(names: readonly string[]): LockMethod {
  const methods = names.map((name) => lockMethods.get(name));
  const [only] = methods;
  return only && methods.length === 1 ? only : (stagedLock(methods) as LockMethod);
}

/**
 * Makes one draw of a lock in a run folder of its own, resuming what is there: as `weightlock lock` does.
 *
 * @throws InputError when the method has no sham and one is asked for.
 */
export async function lockDraw(
  { job, model: from, data, adversary = [], runs, digest }: Extract<ChildRequest, { kind: 'lock' }>,
  signal: AbortSignal,
): Promise<{ path: string; info: LockedInfo }> {
  const { methods, options: given, sham, seed, engine, task: name } = job;
  const method = methodOf(methods);
  const options: unknown = sham ? method.sham?.(given) : given;
  if (options === undefined) throw new InputError(`sham: expected a lock method that trains, found ${method.name}`);
  // By what it is, not where: its model and data lie elsewhere on each machine.
  const folder = await RunFolder.open({
    root: runs,
    command: 'lock',
    config: { job: digest, threads: engine.threads },
  });
  try {
    const path = folder.file('locked');
    if (folder.isDone) {
      return { path, info: fromResultFile('lock', await folder.readResult(), folder.file('result.json')) };
    }
    const parts = data && (await loadData(data));
    const proxies = await Promise.all(adversary.map(async (each) => (await loadData(each)).train));
    const released = await loadModel(from.path, { config: from.config });
    const task = name === undefined ? taskOf(released) : tasks.get(name);
    const fits = !parts || task.head === released.head.kind;
    const model = fits
      ? released
      : await loadModel(from.path, { config: from.config, head: task.headFor(parts.train), seed });
    // A draw is the same on every machine; the models of a sweep are to be measured, not to be released.
    const runner = new Runner({ engine, seed, secret: 'seed' }, { folder, signal, progress: silentProgress });
    const { info } = await runner.lock(
      { name: 'locked' },
      {
        from: model,
        data: parts && { ...parts, spec: data },
        method,
        options,
        ...(proxies.length > 0 && { adversary: proxies }),
      },
    );
    await folder.writeResult(toResultFile('lock', info));
    await folder.done();
    return { path, info };
  } finally {
    await folder.close();
  }
}
