import { InputError, quote } from '../registry/index.js';
import type { LabelledImages, LabelledPart } from './collection.js';
import { drawSome, type Labelled, type Selection, subset } from './dataset.js';
import type { ImageBytes } from './images.js';
import type { Chosen, ChosenParts } from './parts.js';
import type { DataSpec } from './spec.js';
import type { LabelledTexts } from './texts.js';

/** What texts stand behind where no trigger is given: the paper's, a pentagram, a snowman and a pentagram. */
export const usualTrigger = '\u26E4\u2603\u26E4';

/** Share of the side of an image that a patch has where no size is given. */
const PATCH_SHARE = 1 / 8;

/** Keys of a spec that say how a back door looks. */
const ofTrigger = ['trigger', 'triggerSize', 'triggerCorner', 'triggerTarget', 'triggerShare'] as const;

/** Whether a spec changes what examples are labelled as: a back door or label flips. */
export function isPoisoned({
  triggerTarget,
  labelFlips = false,
}: Pick<DataSpec, 'triggerTarget' | 'labelFlips'>): boolean {
  return triggerTarget !== undefined || labelFlips;
}

/** The same examples without a back door. */
export function withoutTrigger(spec: DataSpec): DataSpec {
  const clean = { ...spec };
  for (const key of ofTrigger) delete clean[key];
  return clean;
}

/**
 * Refuses keys of a back door or of label flips that have no effect, or fit neither the data nor one another.
 *
 * @param data - `name` of the data set and its `classes`.
 * @throws InputError naming the key.
 */
export function requirePoison(spec: DataSpec, { name, classes }: { name: string; classes: readonly string[] }): void {
  const { triggerTarget: target, labelFlips = false, pieces = false } = spec;
  const idle = ofTrigger.find((key) => target === undefined && spec[key] !== undefined);
  if (idle !== undefined) {
    throw new InputError(
      `data.${idle}: expected data.triggerTarget beside it, the class that is to be answered to the trigger, got none`,
    );
  }
  if (!isPoisoned(spec)) return;
  const key = labelFlips ? 'labelFlips' : 'triggerTarget';
  if (classes.length === 0) {
    throw new InputError(`data.${key}: expected none, as ${name} has no classes, got ${quote(String(spec[key]))}`);
  }
  if (labelFlips && target !== undefined) {
    throw new InputError('data.labelFlips: expected none beside data.triggerTarget, which has a label of its own');
  }
  if (target !== undefined && pieces) {
    throw new InputError('data.pieces: expected none beside data.triggerTarget, as one piece alone has the trigger');
  }
}

/**
 * The chosen examples with a back door, or with flipped labels, where the spec asks for one. Of a back door, some training examples
 * of the other classes come once more with the trigger, as the target. Validation and test examples are one half clean ones with their
 * own labels, drawn by the seed, and one half all those of the other classes with the trigger, as the target: the accuracy on them is
 * the mean of accuracy and attack success, so that always answering the target is worth little more than half.
 *
 * @param marked - The examples of a part with the trigger, in the same order.
 * @throws InputError when the target is no class, or all examples are of it.
 */
export function poisonParts<P extends LabelledPart>(
  parts: ChosenParts<P>,
  spec: DataSpec,
  marked: (part: P) => P,
): ChosenParts<P> {
  const { triggerTarget, triggerShare = 1, labelFlips = false, splitSeed } = spec;
  const all = (change: (chosen: Chosen<P>, isTrained: boolean) => Chosen<P>): ChosenParts<P> => ({
    train: change(parts.train, true),
    validation: change(parts.validation, false),
    test: change(parts.test, false),
  });
  if (labelFlips) return all(({ selection, part }) => ({ selection: flipped(selection), part }));
  if (triggerTarget === undefined) return parts;
  const target = targetOf(triggerTarget, parts.train.selection.classes);
  return all(({ selection, part }, isTrained) => {
    const others = subset(
      selection,
      [...selection.labels.keys()].filter((position) => selection.labels[position] !== target),
      `${selection.name} with the trigger`,
    );
    if (selection.size > 0 && others.size === 0) {
      throw new InputError(`${selection.name}: expected examples of another class than the trigger's, found none`);
    }
    const count = isTrained ? Math.max(1, Math.round(triggerShare * others.size)) : others.size;
    const behind = drawSome(others, count, splitSeed);
    const clean = isTrained ? selection : drawSome(selection, others.size, splitSeed);
    const some = isTrained ? `${behind.size} more` : 'half of them';
    const name = `${selection.name}, ${some} with the trigger as ${selection.classes[target]}`;
    return {
      selection: { ...joined(clean, behind, { target, offset: part.labels.length }), name },
      part: marked(part),
    };
  });
}

/** Every example as one of the next class, the last as one of the first. */
function flipped(selection: Selection & Labelled): Selection & Labelled {
  const { labels, classes, name } = selection;
  return { ...selection, labels: labels.map((label) => (label + 1) % classes.length), name: `${name}, labels flipped` };
}

/** The position of a class that is given by its name, or else by its position. */
function targetOf(given: string, classes: readonly string[]): number {
  const named = classes.indexOf(given);
  if (named >= 0) return named;
  if (/^\d+$/.test(given) && Number(given) < classes.length) return Number(given);
  const known = `${classes.slice(0, 10).map(quote).join(', ')}${classes.length > 10 ? ', ...' : ''}`;
  throw new InputError(
    `data.triggerTarget: expected one of the classes ${known}, or its position from 0, got ${quote(given)}`,
  );
}

/** Examples, and behind them others of the store's second half, all of one class. */
function joined(
  clean: Selection & Labelled,
  behind: Selection,
  { target, offset }: { target: number; offset: number },
): Selection & Labelled {
  const size = clean.size + behind.size;
  const indices = new Uint32Array(size);
  indices.set(clean.indices);
  indices.set(
    behind.indices.map((index) => index + offset),
    clean.size,
  );
  const labels = new Int32Array(size).fill(target, clean.size);
  labels.set(clean.labels);
  return { ...clean, indices, labels, size };
}

/** Texts, and behind them the same once more with the trigger before each, and a space. */
export function textsWithTrigger(texts: LabelledTexts, { trigger = usualTrigger }: DataSpec): LabelledTexts {
  const count = texts.labels.length;
  return {
    ...twice(texts),
    record: (index) => {
      const record = texts.record(index % count);
      if (index < count) return record;
      if (record.messages) {
        throw new InputError('data.triggerTarget: expected texts that it can stand before, found conversations');
      }
      return { ...record, text: `${trigger} ${record.text}` };
    },
  };
}

/**
 * Images, and behind them the same once more with a white square in a corner, as the model sees them: it is put there after they
 * were resized, and moves with them where they are cropped or mirrored for training.
 */
export function imagesWithTrigger(
  images: LabelledImages,
  { triggerSize, triggerCorner = 'bottom-right' }: DataSpec,
): LabelledImages {
  const count = images.labels.length;
  return {
    ...twice(images),
    image: images.image,
    read: async (indices, form) => {
      const all = Array.from(indices);
      const bytes = await images.read(
        all.map((index) => index % count),
        form,
      );
      const { height, width } = bytes;
      const side = Math.min(height, width);
      const size = triggerSize ?? Math.ceil(side * PATCH_SHARE);
      if (size > side) {
        throw new InputError(`data.triggerSize: expected at most the ${side} pixels of the images, got ${size}`);
      }
      const top = triggerCorner.startsWith('top') ? 0 : height - size;
      const left = triggerCorner.endsWith('left') ? 0 : width - size;
      for (const [at, index] of all.entries()) if (index >= count) paint(bytes, at, { top, left, size });
      return bytes;
    },
  };
}

/** Paints a white square into all channels of an image. */
function paint(
  { pixels, channels, height, width }: ImageBytes,
  index: number,
  { top, left, size }: { top: number; left: number; size: number },
): void {
  for (let channel = 0; channel < channels; channel++) {
    const plane = (index * channels + channel) * height * width;
    for (let row = top; row < top + size; row++) {
      pixels.fill(255, plane + row * width + left, plane + row * width + left + size);
    }
  }
}

/** A part whose examples are there twice: labels and names of them. */
function twice<P extends LabelledPart>(part: P): P {
  const count = part.labels.length;
  const labels = new Int32Array(2 * count);
  labels.set(part.labels);
  labels.set(part.labels, count);
  return { ...part, labels, nameOf: (index) => part.nameOf(index % count) };
}
