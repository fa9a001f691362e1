import { Registry } from '../registry/index.js';
import { allWeights, hiddenLayers, noWeights, type TrainedPart, trainedParts } from './trained/index.js';
import { clipTransform, rescaleTransform, resetTransform, type Transform, transforms } from './transforms/index.js';

/** An attack: an entry of the registry, a composition of transforms of the weights and of what is trained then. */
export interface Attack {
  /** Name on the command line and in tables. */
  readonly name: string;
  /** One line for help. */
  readonly description: string;
  /** Whether it is what anyone would try first: all weights trained, as they were released. Of one entry. */
  readonly plain?: boolean;
  /** Whether random weights are tried as well: what it gives without a released model. Default as `plain`. */
  readonly alsoFromRandom?: boolean;
  /** Whether it knows of the lock. */
  readonly adaptive: boolean;
  /** What is done to the released weights first, in this order. */
  readonly transforms: readonly Transform[];
  /** What is trained. */
  readonly trained: TrainedPart;
  /** Options of the trained part; what is left out takes its default. */
  readonly trainedOptions?: Readonly<Record<string, unknown>>;
}

/** Attacks by name; the transforms and parts that an entry is made of become known with it. */
class AttackRegistry extends Registry<Attack> {
  override register(attack: Attack): void {
    // Before the attack itself: of a part whose name is taken there is no attack.
    for (const transform of attack.transforms) {
      if (!transforms.entries().includes(transform)) transforms.register(transform);
    }
    if (!trainedParts.entries().includes(attack.trained)) trainedParts.register(attack.trained);
    super.register(attack);
  }
}

const [clip, rescale, reset] = [clipTransform, rescaleTransform, resetTransform] as Transform[];
const [all, none, hidden] = [allWeights, noWeights, hiddenLayers] as TrainedPart[];

/** Fine-tuning after some transforms. */
function transformed(steps: readonly Transform[], description: string): Attack {
  const name = steps.map((transform) => transform.name).join('-');
  return { name, description, adaptive: true, transforms: steps, trained: all };
}

/** All attacks by name. */
export const attacks: Registry<Attack> = new AttackRegistry('attack', [
  {
    name: 'fine-tune',
    description: 'fine-tune all weights at the best learning rate of a search',
    plain: true,
    adaptive: false,
    transforms: [],
    trained: all,
  },
  transformed([rescale], 'rescale the layers without changing a decision, then fine-tune'),
  transformed([clip], 'clip the raised singular values of each matrix to the first one below them, then fine-tune'),
  transformed([clip, rescale], 'clip the raised singular values, rescale the layers, then fine-tune'),
  transformed([reset], 'draw some layers anew, by default all linear ones, and fine-tune with what is left'),
  transformed([rescale, reset], 'rescale the layers, draw some anew, and fine-tune with what is left'),
  transformed([clip, reset], 'clip the raised singular values, draw some layers anew, and fine-tune'),
  transformed([clip, rescale, reset], 'clip, rescale, draw some layers anew, and fine-tune'),
  {
    name: 'frozen',
    description: 'leave the weights alone and fit a small classifier on the outputs (a part of the floor)',
    adaptive: false,
    transforms: [],
    trained: none,
  },
  {
    name: 'white-box',
    description: 'leave the weights alone and fit a small classifier on what all hidden layers hold',
    // The hidden layers of random weights are random features, which a regression can do much with.
    alsoFromRandom: true,
    adaptive: false,
    transforms: [],
    trained: hidden,
  },
]);
