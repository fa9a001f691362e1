import { z } from 'zod';
import { locateInside, readJsonFile } from '../formats/index.js';
import type { Model } from '../models/index.js';
import { InputError } from '../registry/index.js';

const FILE = 'generation_config.json';

const config = z.looseObject({
  eos_token_id: z.union([z.int().min(0), z.array(z.int().min(0))]).nullish(),
});

/**
 * The tokens that end a model's texts: `eos_token_id` of the folder's generation_config.json, or else of its config.json, one
 * number or several, as transformers' `generate` takes them.
 *
 * @throws InputError when one of them is no token.
 */
export async function endTokens({ source, config: own }: Pick<Model, 'source' | 'config'>): Promise<number[]> {
  const path = source === undefined ? undefined : await locateInside(source, FILE);
  const [ofFile, ofModel] = [
    path === undefined ? undefined : parse(await readJsonFile(path), path),
    parse(own, 'config'),
  ];
  return [ofFile ?? ofModel ?? []].flat();
}

function parse(object: unknown, source: string): number | number[] | undefined {
  const parsed = config.safeParse(object);
  if (parsed.success) return parsed.data.eos_token_id ?? undefined;
  throw new InputError(`${source}: eos_token_id: expected a token or several, found something else`);
}
