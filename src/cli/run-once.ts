import type { RunFolder } from '../evidence/index.js';
import type { RunInputs } from './command.js';

/** What {@link runOnce} needs of a command's context. */
interface RunContext {
  openRunFolder(inputs?: RunInputs): Promise<RunFolder>;
  note(text: string): void;
}

/**
 * Does a command's work in its run folder, or reads back what the same configuration found before.
 *
 * @param inputs - Digests of the files that the work reads.
 * @param compute - The work; resumes what the folder holds.
 * @param write - Writes further files of a finished run, such as a report, before it is marked as done.
 */
export async function runOnce<T>(
  context: RunContext,
  {
    inputs,
    compute,
    write,
  }: {
    inputs?: RunInputs;
    compute: (folder: RunFolder) => Promise<T>;
    write?: (found: T, folder: RunFolder) => Promise<void>;
  },
): Promise<{ found: T; folder: RunFolder }> {
  const folder = await context.openRunFolder(inputs);
  if (folder.isDone) {
    context.note(`${folder.path}: this run is done; --force computes it again`);
    return { found: (await folder.readResult()) as T, folder };
  }
  const found = await compute(folder);
  await write?.(found, folder);
  await folder.writeResult(found);
  await folder.done();
  return { found, folder };
}
