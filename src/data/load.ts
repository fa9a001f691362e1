import { InputError, quote } from '../registry/index.js';
import type { LabelledPart } from './collection.js';
import {
  drawSome,
  type Labelled,
  type LabelledDataset,
  type Selection,
  selectAll,
  selectClasses,
  splitTrainTest,
  subset,
} from './dataset.js';
import { sourceAt } from './detect.js';
import type { ChosenParts, DataParts } from './parts.js';
import { imagesWithTrigger, poisonParts, requirePoison, textsWithTrigger } from './poison.js';
import { presentDigits, presentImages } from './present-images.js';
import { presentTexts } from './present-texts.js';
import { type Collection, type DataSource, dataSources } from './registry.js';
import { openDigits } from './sources/digits.js';
import { type DataSpec, dataSpec, imageKeys, textKeys } from './spec.js';

/** Shares that are kept for testing and validation where none is given. */
const TEST_SHARE = 0.2;
const VALIDATION_SHARE = 0.15;

/**
 * Loads a data set, splits it into training, validation and test examples, keeps the wanted classes and number of
 * examples, gives them the trigger of a back door or flipped labels where these are wanted, and brings images into the wanted form,
 * texts into tokens. Classes, limits and form do not change which part an
 * example belongs to, so a lock never meets validation examples that the model was trained on with the same split.
 *
 * @throws InputError when files are missing or malformed, a class does not exist, a part is empty, or keys do not fit the
 *   data or one another: none is passed over.
 * @example
 * const { train, test } = await loadData(dataSpec.parse({ name: 'cifar10', path: 'data/cifar10', crop: 4, flip: true }));
 */
export async function loadData(spec: DataSpec): Promise<DataParts> {
  const source = await sourceOf(spec);
  const { name } = source;
  refuseOthers(spec, source);
  const collection = await source.open(spec.path ?? '', spec);
  requireUsed(spec, name, collection);
  const loaded =
    collection.kind === 'images'
      ? await presentImages(
          poisonParts(chooseParts(spec, name, collection), spec, (images) => imagesWithTrigger(images, spec)),
          collection.normalization,
          spec,
        )
      : await presentTexts(
          poisonParts(chooseParts(spec, name, collection), spec, (texts) => textsWithTrigger(texts, spec)),
          spec,
        );
  const notes = [...(collection.notes ?? []), ...(loaded.notes ?? [])];
  if (loaded.validation.size === 0 && spec.testShare !== 1) {
    notes.push(`${loaded.validation.name}: no examples, so nothing can be stopped by them.`);
  }
  return { ...loaded, notes };
}

/** Splits an opened data set, and chooses classes and numbers of examples. */
function chooseParts<P extends LabelledPart>(
  spec: DataSpec,
  name: string,
  { classes, train: own, validation: ownValidation, test: ownTest }: Omit<Collection, keyof PartsOf<P>> & PartsOf<P>,
): ChosenParts<P> {
  const { splitSeed, limit } = spec;
  const select = ({ labels }: LabelledPart) => selectAll({ name, labels, classes });
  const { train: learned, test } = ownTest
    ? { train: { ...select(own), name: `${name} train` }, test: select(ownTest) }
    : spec.testShare === 1
      ? // All of them, in the order of the files.
        { train: subset(select(own), []), test: select(own) }
      : splitTrainTest(select(own), spec.testShare ?? TEST_SHARE, splitSeed);
  const { validationShare = VALIDATION_SHARE } = spec;
  const holdsBack = validationShare > 0;
  const { train, test: validation } = ownValidation
    ? { train: learned, test: select(ownValidation) }
    : holdsBack
      ? splitTrainTest(learned, validationShare, splitSeed)
      : { train: learned, test: learned };
  const heldBack = holdsBack && limit !== undefined ? Math.max(1, Math.round(limit * validationShare)) : 0;
  const trainLimit = limit === undefined ? undefined : limit - heldBack;
  const validationLimit = holdsBack && limit !== undefined ? heldBack : trainLimit;
  const choose = (part: Selection & Labelled, label: string, count: number | undefined): Selection & Labelled => {
    const named = { ...part, name: `${name} ${label}` };
    const chosen =
      spec.classes.length > 0
        ? selectClasses(named, spec.classes, `${named.name}, classes ${spec.classes.join(', ')}`)
        : named;
    if (chosen.size === 0 && label !== 'validation' && !(label === 'train' && spec.testShare === 1)) {
      throw new InputError(`${chosen.name}: expected examples, found none; give more, or other shares`);
    }
    return count === undefined ? chosen : drawSome(chosen, count, splitSeed);
  };
  return {
    train: { selection: choose(train, 'train', trainLimit), part: own },
    validation: { selection: choose(validation, 'validation', validationLimit), part: ownValidation ?? own },
    test: { selection: choose(test, 'test', spec.testLimit), part: ownTest ?? own },
  };
}

/** The parts of an opened data set. */
interface PartsOf<P extends LabelledPart> {
  readonly train: P;
  readonly validation?: P;
  readonly test?: P;
}

/**
 * The source that a spec names, or that its path tells.
 *
 * @throws InputError when its path is missing, or tells none.
 */
export async function sourceOf({ name, path }: DataSpec): Promise<DataSource> {
  const source = name === undefined && path !== undefined ? await sourceAt(path) : dataSources.get(name ?? 'digits');
  if (source.needsPath && path === undefined) {
    throw new InputError(`data.path: expected the folder of the files of ${source.name}, got none`);
  }
  if (!source.needsPath && path !== undefined) {
    throw new InputError(`data.path: expected none, as ${source.name} are part of weightlock, got ${quote(path)}`);
  }
  return source;
}

/** Refuses keys that are for images where there are texts, and the other way round. */
function refuseOthers(spec: DataSpec, { name, kind }: DataSource): void {
  const usual = dataSpec.parse({});
  for (const key of kind === 'images' ? textKeys : imageKeys) {
    const value = String(spec[key]);
    if (value === String(usual[key])) continue;
    throw new InputError(`data.${key}: expected none, as ${name} has ${kind}, got ${quote(value)}`);
  }
}

/** Refuses keys that would change nothing, and classes that are not there. */
function requireUsed(spec: DataSpec, name: string, { kind, classes, validation, test }: Collection): void {
  const { testShare, validationShare, limit } = spec;
  if (test && testShare !== undefined) {
    throw new InputError(`data.testShare: expected none, as ${name} has test examples of its own, got ${testShare}`);
  }
  if (validation && validationShare !== undefined) {
    throw new InputError(
      `data.validationShare: expected none, as ${name} has validation examples of its own, got ${validationShare}`,
    );
  }
  if (testShare === 1 && (validationShare !== undefined || limit !== undefined)) {
    const key = limit === undefined ? 'validationShare' : 'limit';
    throw new InputError(`data.${key}: expected none, as data.testShare 1 leaves nothing but test examples`);
  }
  if (spec.interpolation !== undefined && spec.size === undefined) {
    throw new InputError(`data.interpolation: expected data.size beside it, as images are not resized otherwise`);
  }
  // Texts need no classes: a language model learns from what is written.
  if (classes.length < 2 && (kind === 'images' || classes.length === 1)) {
    throw new InputError(
      `${spec.path ?? name}: expected two classes or more, found ${classes.map(quote).join(', ')} alone`,
    );
  }
  requirePoison(spec, { name, classes });
  const missing = spec.classes.find((label) => label >= classes.length);
  if (missing === undefined) return;
  if (classes.length === 0)
    throw new InputError(`data.classes: expected none, as ${name} has no classes, got ${missing}`);
  throw new InputError(
    `data.classes: expected classes from 0 to ${classes.length - 1}, got ${missing}; ${name} has ${listed(classes)}`,
  );
}

/** The first names with their positions: where labels begin at 1, both differ. */
function listed(classes: readonly string[]): string {
  const shown = classes.slice(0, 10).map((name, label) => (name === String(label) ? name : `${label} ${quote(name)}`));
  return `${shown.join(', ')}${classes.length > shown.length ? ', ...' : ''}`;
}

/** All embedded digits, not split, `[1, 28, 28]`, normalized to mean 0 and deviation 1, ordered by class. */
export async function loadDigits(): Promise<LabelledDataset> {
  return presentDigits(await openDigits(), dataSpec.parse({}));
}
