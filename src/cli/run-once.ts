import { join } from 'node:path';
import { findLost, modelState, noteModel, type RunFolder, type RunLocation } from '../evidence/index.js';
import { fromResultFile, type ResultKind, type Results, toResultFile } from '../experiments/index.js';
import { requireWritable } from '../formats/index.js';
import { type ModelOnDisk, requireApart, requireNoModel } from '../models/index.js';
import { InputError } from '../registry/index.js';
import type { RunInputs } from './command.js';

/** What {@link runOnce} needs of a command's context. */
interface RunContext {
  readonly force: boolean;
  openRunFolder(inputs?: RunInputs): Promise<RunFolder>;
  locateRunFolder(inputs?: RunInputs): Promise<RunLocation>;
  note(text: string): void;
}

/** A page that is made from a run's result and can be made again at any time. */
const REPORT = 'report.html';

/**
 * Checks, before any work, where a run's model directory is to be written: that it can be, that it is not the model that
 * is read, and that it holds no other model but one that this run may overwrite.
 *
 * @param inputs - Digests of the files that the work reads.
 * @throws InputError naming the folder.
 */
export async function requireModelOutput(
  { force, locateRunFolder }: RunContext,
  {
    inputs,
    output,
    model,
    source,
  }: { inputs: RunInputs; output: string; model: Pick<ModelOnDisk, 'weights'>; source?: string },
): Promise<RunLocation> {
  if (source !== undefined) await requireApart(source, output);
  const location = await locateRunFolder(inputs);
  const state = await modelState(location.path, output);
  if (location.state === 'done' && !force) {
    if (state === 'changed') throw replaced(output, location.path);
    if (state === 'whole') return location;
  }
  const elements = ({ shape }: { shape: readonly number[] }) => shape.reduce((product, length) => product * length, 1);
  const bytes = 4 * [...model.weights.values()].reduce((sum, weight) => sum + elements(weight), 0);
  await requireWritable(output, 'folder', { bytes });
  await requireNoModel(output, { force: force || state === 'begun' || state === 'whole' });
  return location;
}

function replaced(path: string, run: string): InputError {
  return new InputError(
    `${path}: expected what ${run} wrote there, found something else; move it away to have that written again (--force computes and overwrites all)`,
  );
}

/**
 * Does a command's work in its run folder, or reads back what the same configuration found before. Where a finished run's
 * output is gone, the run is resumed from its last checkpoint, which writes it again.
 *
 * @param kind - What its result is.
 * @param inputs - Digests of the files that the work reads.
 * @param output - Model directory that the work writes.
 * @param compute - The work; resumes what the folder holds.
 * @param write - Writes further files of a finished run, such as a report, before it is marked as done.
 * @throws InputError when something else lies where a finished run had written.
 */
export async function runOnce<Kind extends ResultKind>(
  context: RunContext,
  kind: Kind,
  {
    inputs,
    output,
    compute,
    write,
  }: {
    inputs?: RunInputs;
    output?: string;
    compute: (folder: RunFolder) => Promise<Results[Kind]>;
    write?: (found: Results[Kind], folder: RunFolder) => Promise<void>;
  },
): Promise<{ found: Results[Kind]; folder: RunFolder }> {
  const folder = await context.openRunFolder(inputs);
  if (folder.isDone) {
    const lost = await findLost(folder.path);
    const report = join(folder.path, REPORT);
    const changed = lost.changed.find((path) => path !== report);
    if (changed !== undefined) throw replaced(changed, folder.path);
    const gone = lost.gone.find((path) => path !== report);
    if (gone === undefined) {
      const found = fromResultFile(kind, await folder.readResult(), folder.file('result.json'));
      if (lost.gone.length + lost.changed.length > 0) {
        await write?.(found, folder);
        context.note(`${report}: written again from the result`);
      }
      context.note(`${folder.path}: this run is done; --force computes it again`);
      return { found, folder };
    }
    context.note(`${gone} is gone; ${folder.path} is resumed from its last checkpoint to write it again`);
    await folder.reopen();
  }
  // So that a resumed run may go on where --force had allowed it to overwrite.
  if (output !== undefined && context.force) await noteModel(folder.path, output, null);
  const found = await compute(folder).catch(async (error: unknown) => {
    if (error instanceof InputError) await folder.withdraw();
    throw error;
  });
  await write?.(found, folder);
  await folder.writeResult(toResultFile(kind, found));
  await folder.done();
  return { found, folder };
}
