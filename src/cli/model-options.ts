import { z } from 'zod';
import { digestOf } from '../evidence/index.js';
import { readJsonFile } from '../formats/index.js';
import { architectures } from '../models/index.js';
import type { RunInputs } from './command.js';

const names = architectures.names() as [string, ...string[]];

/** Options of every command that loads a model directory. */
export const modelOptions = z.strictObject({
  architecture: z.enum(names).optional().describe('architecture of a model directory without config.json'),
  modelConfig: z
    .string()
    .optional()
    .describe('JSON file in place of config.json, or with its keys beside architecture'),
});

/** The configuration that the options give, for `loadModel`; none where the directory's own counts. */
export async function givenConfig({
  architecture,
  modelConfig,
}: z.output<typeof modelOptions>): Promise<Record<string, unknown> | undefined> {
  if (architecture === undefined && modelConfig === undefined) return undefined;
  const keys = modelConfig === undefined ? {} : ((await readJsonFile(modelConfig)) as Record<string, unknown>);
  return architecture === undefined ? keys : { ...keys, architecture };
}

/** The digest of the file that `modelConfig` names, for the run folder: another content is another run. */
export async function modelConfigInput(path: string | undefined): Promise<RunInputs> {
  return path === undefined ? {} : { modelConfig: await digestOf(path) };
}
