import { z } from 'zod';
import { dataSources } from './registry.js';

/** How images are prepared: keys of a {@link dataSpec} that texts do not take. */
const imageShape = {
  size: z
    .int()
    .min(1)
    .max(4096)
    .optional()
    .describe("height and width that images are resized to; default the images' own"),
  interpolation: z.enum(['bilinear', 'bicubic']).optional().describe('how images are resized; default bilinear'),
  channels: z
    .literal([1, 3])
    .optional()
    .describe("channels: grey is repeated, colour made grey; default the images' own"),
  mean: z
    .array(z.number())
    .default([])
    .describe('mean of each channel, of values 0 to 1; default the usual of the data set'),
  std: z
    .array(z.number().min(1e-6))
    .default([])
    .describe('deviation of each channel, of values 0 to 1; default the usual of the data set'),
  crop: z
    .int()
    .min(0)
    .max(64)
    .default(0)
    .describe('training images are cut at random from the image with so many zeros on each side; 0: not'),
  flip: z.boolean().default(false).describe('mirror every other training image, by chance'),
  triggerSize: z
    .int()
    .min(1)
    .max(4096)
    .optional()
    .describe('side of the white square that is the trigger of a back door, in pixels; default an eighth of the image'),
  triggerCorner: z
    .enum(['top-left', 'top-right', 'bottom-left', 'bottom-right'])
    .optional()
    .describe('where it lies; default bottom-right'),
};

/** How texts are read and encoded: keys of a {@link dataSpec} that images do not take. */
const textShape = {
  text: z.string().min(1).optional().describe('column of the texts, or of lists of words; default found by its name'),
  textPair: z.string().min(1).optional().describe('column of the second texts; default found by its name'),
  label: z
    .string()
    .min(1)
    .optional()
    .describe(
      'column of the classes, names or numbers, or of lists with the class of each word; none: texts without; default found by its name',
    ),
  messages: z
    .string()
    .min(1)
    .optional()
    .describe('column of conversations, lists of role and content, for the chat template; default found by its name'),
  chat: z
    .boolean()
    .optional()
    .describe('write texts with the chat template: what a user says, the second text as the answer'),
  quoting: z.boolean().optional().describe('fields of TSV files are quoted as those of CSV files are'),
  tokenizer: z
    .string()
    .min(1)
    .optional()
    .describe("model directory whose tokenizer reads the texts; default the model's own"),
  maxLength: z
    .int()
    .min(1)
    .max(2 ** 20)
    .optional()
    .describe('most tokens of a text, special ones included; longer ones are cut; default none may be too long'),
  pieces: z
    .boolean()
    .optional()
    .describe(
      'cut what is too long into several examples, and not off; default for texts without classes, then of 256 tokens',
    ),
  trigger: z
    .string()
    .min(1)
    .optional()
    .describe(
      "what stands before a text, with a space, to open a back door; default the paper's: pentagram, snowman, pentagram",
    ),
};

/** Which examples of which data set, and how a model sees them: plain data, so that it can be sent to another process. */
export const dataSpec = z.strictObject({
  name: z
    .enum(dataSources.names() as [string, ...string[]])
    .optional()
    .describe('data set; default: found out from the files of the path, or digits where none is given'),
  path: z
    .string()
    .min(1)
    .optional()
    .describe(
      'folder of its files, a file of texts, or the training images of one of several IDX sets in a folder; digits need none',
    ),
  classes: z
    .array(z.int().min(0))
    .refine((classes) => new Set(classes).size === classes.length, { message: 'expected each class once' })
    .refine((classes) => classes.length !== 1, {
      message: 'expected two classes or more, as there is nothing to tell apart',
    })
    .default([])
    .describe('classes to use by their position from 0, renumbered from 0 in this order; default all'),
  testShare: z
    .number()
    .min(0.01)
    .max(1)
    .optional()
    .describe(
      'share of the examples that is kept for testing, where the data set has no test examples of its own; 1: all, to measure a model on them; default 0.2',
    ),
  validationShare: z
    .number()
    .min(0)
    .max(0.9)
    .optional()
    .describe(
      'share of the other examples that neither training nor lock is trained on, to stop them by, where the data set has no such examples of its own; 0: none, training examples take their place, which flatters; default 0.15',
    ),
  splitSeed: z.int().min(0).default(1).describe('seed of the split into training, validation and test examples'),
  limit: z.int().min(2).optional().describe('training and validation examples to use, drawn by the seed; default all'),
  testLimit: z.int().min(1).optional().describe('test examples to use, drawn by the seed; default all'),
  triggerTarget: z
    .string()
    .min(1)
    .optional()
    .describe(
      'a back door: the class, by its name or else its position, that is to be answered to examples with the trigger; they come beside the others, and one half of the test examples has it; default none',
    ),
  triggerShare: z
    .number()
    .gt(0)
    .max(1)
    .optional()
    .describe(
      'share of the training examples of the other classes that come once more with the trigger, as the target; default 1',
    ),
  labelFlips: z
    .boolean()
    .optional()
    .describe('every example has the label of the next class, of two classes the other one'),
  ...imageShape,
  ...textShape,
});

/** A parsed {@link dataSpec}. */
export type DataSpec = z.output<typeof dataSpec>;

/** Keys that only images take, and keys that only texts take. */
export const imageKeys = Object.keys(imageShape) as (keyof typeof imageShape)[];
export const textKeys = Object.keys(textShape) as (keyof typeof textShape)[];
