import type { z } from 'zod';
import { type DataSource, type DataSpec, dataSources, dataSpec, sourceAt, withPreprocessing } from '../data/index.js';
import { canonicalJson } from '../evidence/index.js';
import { type ModelCard, type ModelOnDisk, modelFolder, readModelCard } from '../models/index.js';
import { InputError, inWords } from '../registry/index.js';
import { printable } from '../report/index.js';
import type { RunInputs } from './command.js';
import { taskData } from './data-folder.js';

const {
  name,
  testShare,
  validationShare,
  splitSeed,
  text,
  textPair,
  label,
  messages,
  quoting,
  chat,
  maxLength,
  pieces,
} = dataSpec.shape;

/** The data options of a command on a model: what is not given is taken from the model's card, then the usual default. */
export const modelData = dataSpec.extend({
  name: name.unwrap().optional().describe(`${name.description}; default the model's, or digits`),
  testShare: testShare.unwrap().optional().describe(`${testShare.description}; default the model's, or 0.2`),
  validationShare: validationShare
    .unwrap()
    .optional()
    .describe(`${validationShare.description}; default the model's, or 0.15`),
  splitSeed: splitSeed.unwrap().optional().describe(`${splitSeed.description}; default the model's, or 1`),
});

/** Options that a card may remember, with the schemas of their values. */
const remembered = {
  name: name.unwrap(),
  classes: dataSpec.shape.classes,
  testShare: testShare.unwrap(),
  validationShare: validationShare.unwrap(),
  splitSeed: splitSeed.unwrap(),
  text: text.unwrap(),
  textPair: textPair.unwrap(),
  label: label.unwrap(),
  messages: messages.unwrap(),
  chat: chat.unwrap(),
  quoting: quoting.unwrap(),
  maxLength: maxLength.unwrap(),
  pieces: pieces.unwrap(),
};
/** Of these, what says how examples are split, and which columns of which files are read: other files have others. */
const ofSplit = ['testShare', 'validationShare', 'splitSeed'] as const;
const ofColumns = ['text', 'textPair', 'label', 'messages', 'quoting'] as const;

/** Data for a model, and the model's card. */
export interface ModelTask {
  /** Which examples, and how they are prepared. */
  readonly data: DataSpec;
  /** What the model directory says. */
  readonly card: ModelCard;
  /** What of it could not be used, one line each. */
  readonly problems: readonly string[];
}

/**
 * Fills in what the user left open with what the model directory says: the data set and its split, the model's classes by
 * their names, height, width, channels, mean, deviation and interpolation. What the user gave stays.
 *
 * @param folder - The model directory.
 * @param options - `authorized`: whether the data are of the task that the model is for; others keep all their classes.
 * @throws InputError when the data cannot be found.
 */
export async function dataForModel(
  folder: string,
  model: ModelOnDisk,
  given: z.output<typeof modelData>,
  { authorized = true }: { authorized?: boolean } = {},
): Promise<ModelTask> {
  const { card, problems } = await readModelCard(folder, model);
  const { options, problems: unread } = rememberedOptions(card);
  const chosen = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const { name: known, classes, ...usual } = options;
  // What lies at a path is found out there; the card's data set lies elsewhere.
  const named = given.path === undefined && known !== undefined ? { name: known } : {};
  // Another data set has a split and columns of its own.
  const isOther = given.name !== undefined && given.name !== known;
  const remembered = withoutKeys(
    usual,
    isOther ? [...ofSplit, ...ofColumns] : given.path === undefined ? [] : ofColumns,
  );
  // A model of texts reads them with its own tokenizer.
  const reads = readsTexts(model) && given.tokenizer === undefined ? { tokenizer: await modelFolder(folder) } : {};
  const parsed = taskData.safeParse({ ...remembered, ...named, ...reads, ...chosen }, { error: inWords });
  if (!parsed.success) throw new InputError(parsed.error.issues.map(({ message }) => message).join('; '));
  await requireKind(folder, model, parsed.data);
  const { preprocessing } = card;
  const data = preprocessing ? withPreprocessing(parsed.data, preprocessing) : parsed.data;
  const found = { card, problems: [...problems, ...unread] };
  if (!authorized || data.classes.length > 0) return { data, ...found };
  const same = given.path === undefined && !isOther;
  return { data: { ...data, classes: same && classes ? classes : await classesByName(data, card.classes) }, ...found };
}

/**
 * The same examples as another model reads them: texts with its own tokenizer, images in the form that its directory says.
 *
 * @param folder - The other model's directory.
 * @param data - As the first one reads them.
 * @param given - What the user said of them, which stays but for the tokenizer.
 * @throws InputError where the model takes no such data.
 */
export async function dataReadBy(
  folder: string,
  model: ModelOnDisk,
  data: DataSpec,
  given: z.output<typeof modelData>,
): Promise<DataSpec> {
  await requireKind(folder, model, data);
  if (readsTexts(model)) return { ...data, tokenizer: await modelFolder(folder) };
  const { preprocessing } = (await readModelCard(folder, model)).card;
  const { size, channels, mean, std, interpolation } = given;
  const open = { ...data, size, channels, mean, std, interpolation };
  return preprocessing ? withPreprocessing(open, preprocessing) : open;
}

function readsTexts(model: ModelOnDisk): boolean {
  return 'input_ids' in model.inputs;
}

/** @throws InputError for texts where a model takes images, and the other way round. */
async function requireKind(folder: string, model: ModelOnDisk, data: DataSpec): Promise<void> {
  const { name: called, kind } = await sourceOf(data);
  if (readsTexts(model) === (kind === 'texts')) return;
  const wanted = readsTexts(model) ? 'texts' : 'images';
  throw new InputError(`${folder}: expected data of ${wanted}, as the model takes, got ${called}, which has ${kind}`);
}

function withoutKeys(options: object, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).filter(([key]) => !keys.includes(key)));
}

/**
 * The resolved data options, for the run folder: what a card fills in is part of the configuration. Files count by their
 * content (`dataInputs`), not by their path.
 */
export function taskInput({ path: _, tokenizer: __, ...data }: DataSpec): RunInputs {
  return { task: canonicalJson(data) };
}

/**
 * What to give an option of data so that they are those that a model was made for, as flags: `--retain.name digits --retain.classes 0,1,2`.
 * None where the card does not say.
 */
export function flagsOfCard(card: ModelCard, option: string): string | undefined {
  if (!card.data) return undefined;
  const { name: known, classes = [] } = rememberedOptions(card).options;
  const flags = [
    ...(known === undefined ? [] : [`name ${known}`]),
    ...(known === undefined || dataSources.get(known).needsPath ? ['path PATH'] : []),
    ...(classes.length > 0 ? [`classes ${classes.join(',')}`] : []),
  ];
  return flags.map((flag) => `--${option}.${flag}`).join(' ');
}

/** Says warnings on stderr, one line each. */
export function warn({ note }: { note(text: string): void }, warnings: readonly string[]): void {
  for (const text of warnings) note(`warning: ${printable(text)}`);
}

/** What a card says of its data, each value checked: it is from an untrusted file. */
function rememberedOptions({ data }: ModelCard): {
  options: { [Key in keyof typeof remembered]?: z.output<(typeof remembered)[Key]> };
  problems: string[];
} {
  const problems: string[] = [];
  const entries = Object.entries(remembered).flatMap(([key, schema]) => {
    const value = data?.options[key];
    if (value === undefined) return [];
    const parsed = schema.safeParse(value, { error: inWords });
    if (parsed.success) return [[key, parsed.data]];
    problems.push(`README.md: data ${key}: ${parsed.error.issues[0]?.message ?? 'not valid'}; it is not used`);
    return [];
  });
  return { options: Object.fromEntries(entries), problems };
}

/** The source of a spec: by its name, or what lies at its path. */
async function sourceOf({ name, path }: DataSpec): Promise<DataSource> {
  return name === undefined && path !== undefined ? sourceAt(path) : dataSources.get(name ?? 'digits');
}

/** The numbers of the model's classes in a data set that has all of them; none where it has not, or they are all it has. */
async function classesByName(data: DataSpec, own: readonly string[] | undefined): Promise<number[]> {
  // Outputs that no class was trained for stand at the end, without a name.
  const names = own?.filter((text, label) => text !== `LABEL_${label}`) ?? [];
  if (names.length === 0 || names.some((text, label) => own?.[label] !== text)) return [];
  const { classes } = await (await sourceOf(data)).open(data.path ?? '', data);
  const numbers = names.map((text) => classes.indexOf(text));
  const isAll = numbers.length === classes.length && numbers.every((number, label) => number === label);
  return isAll || numbers.includes(-1) || new Set(numbers).size < numbers.length ? [] : numbers;
}
