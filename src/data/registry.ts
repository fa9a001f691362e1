import { Registry } from '../registry/index.js';
import type { ImageCollection } from './collection.js';
import type { ColumnChoice } from './columns.js';
import { CIFAR_CLASSES, cifarFiles, openCifar } from './sources/cifar.js';
import { MNIST_NORMALIZATION, openDigits } from './sources/digits.js';
import { imageFiles, openImageFolder } from './sources/folder.js';
import { idxFiles, type KnownSet, openIdx } from './sources/idx.js';
import { openPrompts, promptFiles } from './sources/prompts.js';
import { openTexts, textFiles } from './sources/table.js';
import type { TextCollection } from './texts.js';

/** How the files of a data set lie in their folder; `embedded` has none. */
export type DataLayout = 'embedded' | 'idx' | 'cifar' | 'images' | 'table' | 'prompts';

/** An opened data set. */
export type Collection = ImageCollection | TextCollection;

/** A labelled data set that weightlock can load: an entry of the registry. */
export interface DataSource {
  /** Name on the command line. */
  readonly name: string;
  /** One line for help. */
  readonly description: string;
  /** What its examples are. */
  readonly kind: 'images' | 'texts';
  /** Which files it consists of. */
  readonly layout: DataLayout;
  /** Whether it lies in a folder that has to be given. */
  readonly needsPath: boolean;
  /**
   * The files that {@link open} reads; where it is one file of a folder, that beside those that belong to it.
   *
   * @throws InputError when some are missing.
   */
  files(path: string): Promise<readonly string[]>;
  /**
   * Opens it; `path` is its folder, or its file.
   *
   * @param columns - Which columns texts are in; default found by their names.
   * @throws InputError when its files are missing or malformed.
   */
  open(path: string, columns?: ColumnChoice): Promise<Collection>;
}

const digits = Array.from({ length: 10 }, (_, digit) => String(digit));
const clothes = 'T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot'.split(',');
const characters = 'o,ki,su,tsu,na,ha,ma,ya,re,wo'.split(',');
const cifar10 = { mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] };

/** All data sets by name. */
export const dataSources = new Registry<DataSource>('data set', [
  {
    name: 'digits',
    description: '10,000 real MNIST digits, 28×28 grey, from the mnist package',
    kind: 'images',
    layout: 'embedded',
    needsPath: false,
    files: async () => [],
    open: openDigits,
  },
  {
    name: 'mnist',
    description: 'handwritten digits, 28×28 grey, IDX files',
    ...idxSet({ classes: digits, normalization: MNIST_NORMALIZATION }),
  },
  {
    name: 'fashion-mnist',
    description: 'clothing articles, 28×28 grey, IDX files',
    ...idxSet({ classes: clothes, normalization: { mean: [0.286], std: [0.353] } }),
  },
  {
    name: 'kmnist',
    description: 'cursive Japanese characters, 28×28 grey, IDX files',
    ...idxSet({ classes: characters, normalization: { mean: [0.1918], std: [0.3483] } }),
  },
  {
    name: 'cifar10',
    description: 'photos of ten classes, 32×32 colour, binary version',
    ...cifarSet({ classes: CIFAR_CLASSES, normalization: cifar10 }),
  },
  {
    name: 'idx',
    description:
      'any images in IDX files, such as EMNIST; classes, mean and deviation are those of its training images',
    ...idxSet(),
  },
  {
    name: 'cifar',
    description: "any images in CIFAR's binary version, such as CIFAR-100; mean and deviation of its training images",
    ...cifarSet(),
  },
  {
    name: 'images',
    description: 'PNG, JPEG and other images, one subfolder a class, with or without train, val and test above',
    kind: 'images',
    layout: 'images',
    needsPath: true,
    files: imageFiles,
    open: (path) => openImageFolder(path),
  },
  glue('mrpc', 'whether two sentences say the same, TSV files', ['not equivalent', 'equivalent']),
  glue('rte', 'whether a sentence follows from another, TSV files', ['entailment', 'not entailment']),
  glue('qnli', 'whether a sentence answers a question, TSV files', ['entailment', 'not entailment']),
  glue('qqp', 'whether two questions ask the same, TSV files', ['not duplicate', 'duplicate']),
  {
    name: 'prompts',
    description: 'jailbreak prompts and as many benign ones, JSONL files',
    kind: 'texts',
    layout: 'prompts',
    needsPath: true,
    files: promptFiles,
    open: openPrompts,
  },
  {
    name: 'texts',
    description: 'any texts in TSV, CSV, JSONL, Parquet or plain text files, one file or train, dev and test',
    kind: 'texts',
    layout: 'table',
    needsPath: true,
    files: textFiles,
    open: openTexts,
  },
]);

/** Images in IDX files. */
function idxSet(known?: KnownSet): Omit<DataSource, 'name' | 'description'> {
  return {
    kind: 'images',
    layout: 'idx',
    needsPath: true,
    files: (path) => idxFiles(path, known),
    open: (path) => openIdx(path, known),
  };
}

/** Images in CIFAR's binary version. */
function cifarSet(known?: KnownSet): Omit<DataSource, 'name' | 'description'> {
  return {
    kind: 'images',
    layout: 'cifar',
    needsPath: true,
    files: (path) => cifarFiles(path, known),
    open: (path) => openCifar(path, known),
  };
}

/** A task of GLUE; its classes have numbers in the files. */
function glue(name: string, description: string, classes: readonly string[]): DataSource {
  const open = (path: string, columns?: ColumnChoice) => openTexts(path, columns, classes);
  return { name, description, kind: 'texts', layout: 'table', needsPath: true, files: textFiles, open };
}
