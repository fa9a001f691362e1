import { Registry } from '../models/index.js';
import type { ImageCollection, Normalization } from './collection.js';
import { openCifar } from './sources/cifar.js';
import { openDigits } from './sources/digits.js';
import { openImageFolder } from './sources/folder.js';
import { openIdx } from './sources/idx.js';

/** A labelled data set that weightlock can load: an entry of the registry. */
export interface DataSource {
  /** Name on the command line. */
  readonly name: string;
  /** One line for help. */
  readonly description: string;
  /** Whether it lies in a folder that has to be given. */
  readonly needsPath: boolean;
  /** Normalization in common use, for the source's own channels. */
  readonly normalization: Normalization;
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

/** All data sets by name. */
export const dataSources = new Registry<DataSource>('data set', [
  {
    name: 'digits',
    description: '10,000 real MNIST digits, 28×28 grey, from the mnist package',
    needsPath: false,
    normalization: { mean: [0.1307], std: [0.3081] },
    open: openDigits,
  },
  {
    name: 'mnist',
    description: 'handwritten digits, 28×28 grey, IDX files',
    needsPath: true,
    normalization: { mean: [0.1307], std: [0.3081] },
    open: (path) => openIdx(path, digits),
  },
  {
    name: 'fashion-mnist',
    description: 'clothing articles, 28×28 grey, IDX files',
    needsPath: true,
    normalization: { mean: [0.286], std: [0.353] },
    open: (path) => openIdx(path, clothes),
  },
  {
    name: 'kmnist',
    description: 'cursive Japanese characters, 28×28 grey, IDX files',
    needsPath: true,
    normalization: { mean: [0.1918], std: [0.3483] },
    open: (path) => openIdx(path, characters),
  },
  {
    name: 'cifar10',
    description: 'photos of ten classes, 32×32 colour, binary version',
    needsPath: true,
    normalization: { mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] },
    open: openCifar,
  },
  {
    name: 'images',
    description: 'PNG or JPEG images, one subfolder a class, with or without train and test above',
    needsPath: true,
    // ImageNet's, which pretrained models expect.
    normalization: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    open: openImageFolder,
  },
]);
