import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { listFolder, type NewFile, readFileCapped, readJsonFile, writeFileAtomic } from '../formats/index.js';
import { inWords } from '../registry/index.js';
import type { ModelSpec } from './architecture.js';
import type { ModelCard, ReadCard } from './card.js';
import {
  type ImageShape,
  preprocessingDifferences,
  processorConfig,
  type ReadPreprocessing,
  readProcessor,
  readTimmPreprocessing,
  timmKeys,
} from './card-preprocessing.js';
import { cardSection, sectionJson, withSection } from './card-text.js';
import { withJsonKeys } from './config-text.js';
import { classNames, namingKeys } from './labels.js';
import { modelFolder } from './model-files.js';

const README = 'README.md';
const PROCESSOR = 'preprocessor_config.json';
/** The hub shows no README above 1 MiB; a larger one than this is not read, but for its section it is kept. */
const maxReadmeBytes = 16 * 2 ** 20;
const maxKeptBytes = 256 * 2 ** 20;
const maxProcessorBytes = 2 ** 20;

/** What is read back of a README's JSON; numbers that were measured are for people alone. */
const readFacts = z.object({
  version: z.string().max(100).optional(),
  data: z
    .object({
      title: z.string().max(10_000),
      options: z.record(z.string(), z.unknown()),
      trainExamples: z.int().min(0),
    })
    .optional(),
  lock: z
    .object({
      method: z.string().max(100),
      options: z.record(z.string(), z.unknown()),
      steps: z.int().min(0),
      flops: z.number().min(0).optional(),
      sigma: z.array(z.object({ name: z.string(), before: z.number(), after: z.number() })).catch([]),
    })
    .optional(),
});

/**
 * Reads what a model directory says of its model: class names and timm's preprocessing in its configuration,
 * `preprocessor_config.json`, and the weightlock section of `README.md`. The files are untrusted, and a model is complete
 * without them: what cannot be used becomes a problem, not an error. Links out of the folder are not followed.
 *
 * @param path - The directory, or its only file of weights.
 * @param spec - The model, from the directory's configuration.
 */
export async function readModelCard(path: string, spec: ModelSpec): Promise<ReadCard> {
  const folder = await modelFolder(path);
  const { files } = await listFolder(folder);
  const problems: string[] = [];
  const { config, head } = spec;
  const classes = classNames(config, head.size);
  const shape = imageShape(spec);
  const timm = shape ? timmPreprocessing(config, shape) : undefined;
  const read = timm?.preprocessing
    ? timm
    : shape && files.includes(PROCESSOR)
      ? await readPreprocessor(folder, shape)
      : timm;
  problems.push(...(read?.problems ?? []));
  const facts = files.includes(README) ? await readReadme(folder, problems) : {};
  return {
    card: { ...facts, ...(classes && { classes }), ...(read?.preprocessing && { preprocessing: read.preprocessing }) },
    problems,
  };
}

async function readPreprocessor(folder: string, shape: ImageShape): Promise<ReadPreprocessing> {
  try {
    return readProcessor(await readJsonFile(join(folder, PROCESSOR), maxProcessorBytes), shape);
  } catch (error) {
    return { problems: [`${error instanceof Error ? error.message : String(error)}; it is not used`] };
  }
}

async function readReadme(folder: string, problems: string[]): Promise<Pick<ModelCard, 'data' | 'lock' | 'version'>> {
  try {
    const json = sectionJson(await readFileCapped(join(folder, README), maxReadmeBytes));
    if (json === undefined) return {};
    const parsed = readFacts.safeParse(json, { error: inWords });
    if (parsed.success) return parsed.data;
    const [{ path, message }] = parsed.error.issues;
    problems.push(`${README}: ${path.join('.')}: ${message}; its weightlock section is not used`);
  } catch (error) {
    problems.push(`${README}: ${error instanceof Error ? error.message : String(error)}; it is not used`);
  }
  return {};
}

/**
 * The files of a card: `preprocessor_config.json`, unless the model's own says the same already, and the weightlock section
 * of `README.md`, whose other text stays; without a card, that text alone.
 *
 * @param places - `folder`: where the model's own files lie; none for a new model. `readmes`: folders whose README is
 *   taken, the first that there is.
 */
export async function cardFiles(
  { folder, readmes }: { folder?: string; readmes: readonly (string | undefined)[] },
  spec: ModelSpec,
  card: ModelCard | undefined,
): Promise<NewFile[]> {
  const result: NewFile[] = [];
  const shape = imageShape(spec);
  const { preprocessing } = card ?? {};
  if (preprocessing && shape) {
    const present = folder !== undefined && (await has(folder, PROCESSOR));
    const { preprocessing: own } = present ? await readPreprocessor(folder, shape) : {};
    if (!own || preprocessingDifferences(own, preprocessing).length > 0) {
      const text = `${JSON.stringify(processorConfig(preprocessing), null, 2)}\n`;
      result.push({ name: PROCESSOR, content: () => text });
    }
  }
  let readme: Uint8Array | undefined;
  for (const place of readmes) {
    if (readme === undefined && place !== undefined && (await has(place, README))) {
      readme = await readFileCapped(join(place, README), maxKeptBytes);
    }
  }
  const content = card ? withSection(readme ?? new Uint8Array(), cardSection(card)) : readme;
  if (content !== undefined) result.push({ name: README, content: () => content });
  return result;
}

/** Whether a folder holds a file, links out of it left aside. */
async function has(folder: string, name: string): Promise<boolean> {
  const info = await stat(folder).catch(() => undefined);
  return info?.isDirectory() === true && (await listFolder(folder)).files.includes(name);
}

/** Writes a card into a model's folder; written again, its section takes the place of the former one. */
export async function writeModelCard(folder: string, spec: ModelSpec, card: ModelCard): Promise<void> {
  for (const { name, content } of await cardFiles({ folder, readmes: [folder] }, spec, card)) {
    await writeFileAtomic(join(folder, name), await content());
  }
}

/**
 * A `config.json` with what the card adds: names of the classes where it has none, and timm's preprocessing where it has
 * none or another. What is there already stays, to the byte where nothing is changed.
 *
 * @param text - The configuration.
 * @param isNew - Whether weightlock makes the model: classes of others are named only where the card names them all.
 */
export function configWithCard(text: string, spec: ModelSpec, card: ModelCard, isNew: boolean): string {
  let result = text;
  const shape = imageShape(spec);
  const config = JSON.parse(text) as Record<string, unknown>;
  const isTimm = typeof config.pretrained_cfg === 'object' && config.pretrained_cfg !== null;
  if (isTimm && card.preprocessing && shape) {
    const { preprocessing: own } = readTimmPreprocessing(config.pretrained_cfg, shape);
    if (!own || preprocessingDifferences(own, card.preprocessing).length > 0) {
      const pretrained_cfg = { ...(config.pretrained_cfg as object), ...timmKeys(card.preprocessing) };
      result = withJsonKeys(text, { pretrained_cfg });
    }
  }
  const count = spec.head.size;
  const { classes } = card;
  const named = classes !== undefined && (isNew ? classes.length <= count : classes.length === count);
  if (!named || classNames(spec.config, count)) return result;
  const keys = namingKeys(classes, count, isTimm);
  return withJsonKeys(result, keys);
}

/** The shape of a model's examples, where they are images. */
function imageShape({ inputs }: ModelSpec): ImageShape | undefined {
  const [channels, height, width, more] = inputs.x?.shape ?? [];
  const isImage = channels && height && width && more === undefined;
  return isImage ? [channels, height, width] : undefined;
}

function timmPreprocessing(config: unknown, shape: ImageShape): ReadPreprocessing | undefined {
  const inner = (config as Record<string, unknown>).pretrained_cfg;
  return inner === undefined ? undefined : readTimmPreprocessing(inner, shape);
}
