import { join } from 'node:path';
import { z } from 'zod';
import {
  listFolder,
  locateInside,
  type NewFile,
  readFileCapped,
  readJsonFile,
  writeFileAtomic,
} from '../formats/index.js';
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
import { classNames, namingKeys } from './labels.js';

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
      sigma: z.array(z.object({ name: z.string(), before: z.number(), after: z.number() })).catch([]),
    })
    .optional(),
});

/**
 * Reads what a model directory says of its model: class names and timm's preprocessing in its configuration,
 * `preprocessor_config.json`, and the weightlock section of `README.md`. The files are untrusted, and a model is complete
 * without them: what cannot be used becomes a problem, not an error. Links out of the folder are not followed.
 *
 * @param spec - The model, from the directory's configuration.
 */
export async function readModelCard(folder: string, { architecture, config }: ModelSpec): Promise<ReadCard> {
  const { files } = await listFolder(folder);
  const problems: string[] = [];
  const classes = classNames(config, architecture.classes(config));
  const shape = imageShape({ architecture, config });
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
    const parsed = readFacts.safeParse(json);
    if (parsed.success) return parsed.data;
    const [{ path, message }] = parsed.error.issues;
    problems.push(`${README}: ${path.join('.')}: ${message}; its weightlock section is not used`);
  } catch (error) {
    problems.push(`${README}: ${error instanceof Error ? error.message : String(error)}; it is not used`);
  }
  return {};
}

/**
 * The files of a card beside a model: `preprocessor_config.json`, unless the one there says the same already, and `README.md`
 * with the weightlock section in the place of a former one; its other text stays.
 *
 * @param folder - Where the files are that the card is added to; none for a new model.
 */
export async function cardFiles(folder: string | undefined, spec: ModelSpec, card: ModelCard): Promise<NewFile[]> {
  const files = folder === undefined ? [] : (await listFolder(folder)).files;
  const shape = imageShape(spec);
  const found: NewFile[] = [];
  if (card.preprocessing && shape) {
    const present =
      folder !== undefined && files.includes(PROCESSOR) ? await readPreprocessor(folder, shape) : undefined;
    if (!present?.preprocessing || preprocessingDifferences(present.preprocessing, card.preprocessing).length > 0) {
      const text = `${JSON.stringify(processorConfig(card.preprocessing), null, 2)}\n`;
      found.push({ name: PROCESSOR, content: async () => text });
    }
  }
  const readme =
    folder !== undefined && files.includes(README)
      ? await readFileCapped((await locateInside(folder, README)) ?? join(folder, README), maxKeptBytes)
      : new Uint8Array();
  return [...found, { name: README, content: async () => withSection(readme, cardSection(card)) }];
}

/** Writes a card into a model's directory, see {@link cardFiles}. */
export async function writeModelCard(folder: string, spec: ModelSpec, card: ModelCard): Promise<void> {
  for (const { name, content } of await cardFiles(folder, spec, card)) {
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
      config.pretrained_cfg = { ...(config.pretrained_cfg as object), ...timmKeys(card.preprocessing) };
      result = `${JSON.stringify(config, null, 2)}\n`;
    }
  }
  const count = spec.architecture.classes(spec.config);
  const { classes } = card;
  const named = classes !== undefined && (isNew ? classes.length <= count : classes.length === count);
  if (!named || classNames(spec.config, count)) return result;
  const keys = namingKeys(classes, count, isTimm);
  if (Object.keys(keys).some((key) => Object.hasOwn(config, key))) {
    return `${JSON.stringify({ ...config, ...keys }, null, 2)}\n`;
  }
  // Put in as text: reading and writing would turn 1.0 into 1, which transformers' strict configurations refuse.
  const body = result.trimEnd().slice(0, -1).trimEnd();
  const inserted = JSON.stringify(keys, null, 2).slice(1).trimEnd();
  return `${body}${Object.keys(config).length > 0 ? ',' : ''}${inserted}\n`;
}

/** The shape of a model's examples, where they are images. */
function imageShape({ architecture, config }: ModelSpec): ImageShape | undefined {
  const shape = architecture.inputShape(config);
  return shape.length === 3 ? [shape[0], shape[1], shape[2]] : undefined;
}

function timmPreprocessing(config: unknown, shape: ImageShape): ReadPreprocessing | undefined {
  const inner = (config as Record<string, unknown>).pretrained_cfg;
  return inner === undefined ? undefined : readTimmPreprocessing(inner, shape);
}
