import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type DataSpec, dataSources, dataSpec } from '../data/index.js';
import { digestOfFolder } from '../evidence/index.js';
import type { RunInputs } from './command.js';

/** Folder of the data sets that commands find by name: `WEIGHTLOCK_DATA`, or `../shared/data`. */
export function dataFolder(): string {
  // An empty variable is one that is not set.
  return process.env.WEIGHTLOCK_DATA || '../shared/data';
}

/** `dataSpec` as the command line has it: without a path, a data set lies in the {@link dataFolder} under its name. */
export const taskData = dataSpec.transform((spec, { issues }): DataSpec => {
  if (spec.path !== undefined || !dataSources.get(spec.name).needsPath) return spec;
  const path = join(dataFolder(), spec.name);
  if (!existsSync(path)) {
    const message = `expected the folder ${path} of ${spec.name}, found nothing; set WEIGHTLOCK_DATA to the folder that holds it, or give --data.path`;
    issues.push({ code: 'custom', message, input: spec.path });
  }
  return { ...spec, path };
});

/** The digest of a task's files, for the run folder: other files under the same path are another run. */
export async function dataInputs({ path }: DataSpec): Promise<RunInputs> {
  return path === undefined ? {} : { data: await digestOfFolder(path) };
}
