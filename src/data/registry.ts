import { Registry } from '../registry/index.js';
import type { ImageCollection } from './collection.js';
import { CIFAR_CLASSES, openCifar } from './sources/cifar.js';
import { MNIST_NORMALIZATION, openDigits } from './sources/digits.js';
import { openImageFolder } from './sources/folder.js';
import { openIdx } from './sources/idx.js';

/** How the files of a data set lie in their folder; `embedded` has none. */
export type DataLayout = 'embedded' | 'idx' | 'cifar' | 'images';

/** A labelled data set that weightlock can load: an entry of the registry. */
export interface DataSource {
  /** Name on the command line. */
  readonly name: string;
  /** One line for help. */
  readonly description: string;
  /** Which files it consists of. */
  readonly layout: DataLayout;
  /** Whether it lies in a folder that has to be given. */
  readonly needsPath: boolean;
  /**
   * Opens it; `path` is its folder.
   *
   * @throws InputError when its files are missing or malformed.
   */
  open(path: string): Promise<ImageCollection>;
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
    layout: 'embedded',
    needsPath: false,
    open: openDigits,
  },
  {
    name: 'mnist',
    description: 'handwritten digits, 28×28 grey, IDX files',
    layout: 'idx',
    needsPath: true,
    open: (path) => openIdx(path, { classes: digits, normalization: MNIST_NORMALIZATION }),
  },
  {
    name: 'fashion-mnist',
    description: 'clothing articles, 28×28 grey, IDX files',
    layout: 'idx',
    needsPath: true,
    open: (path) => openIdx(path, { classes: clothes, normalization: { mean: [0.286], std: [0.353] } }),
  },
  {
    name: 'kmnist',
    description: 'cursive Japanese characters, 28×28 grey, IDX files',
    layout: 'idx',
    needsPath: true,
    open: (path) => openIdx(path, { classes: characters, normalization: { mean: [0.1918], std: [0.3483] } }),
  },
  {
    name: 'cifar10',
    description: 'photos of ten classes, 32×32 colour, binary version',
    layout: 'cifar',
    needsPath: true,
    open: (path) => openCifar(path, { classes: CIFAR_CLASSES, normalization: cifar10 }),
  },
  {
    name: 'idx',
    description:
      'any images in IDX files, such as EMNIST; classes, mean and deviation are those of its training images',
    layout: 'idx',
    needsPath: true,
    open: (path) => openIdx(path),
  },
  {
    name: 'cifar',
    description: "any images in CIFAR's binary version, such as CIFAR-100; mean and deviation of its training images",
    layout: 'cifar',
    needsPath: true,
    open: (path) => openCifar(path),
  },
  {
    name: 'images',
    description: 'PNG, JPEG and other images, one subfolder a class, with or without train, val and test above',
    layout: 'images',
    needsPath: true,
    open: openImageFolder,
  },
]);
