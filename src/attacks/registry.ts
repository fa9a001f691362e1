import { Registry } from '../registry/index.js';
import {
  allWeights,
  attentionAlone,
  besideTop,
  dora,
  emaPart,
  hiddenLayers,
  lora,
  newHead,
  normsAndBiases,
  noWeights,
  preconditioned,
  type TrainedPart,
  tailAverage,
  topLayers,
  trainedParts,
  weightsByName,
} from './trained/index.js';
import {
  canonicalizeTransform,
  clipEdgeTransform,
  clipProfileTransform,
  clipTransform,
  distilTransform,
  healTransform,
  interpolateTransform,
  noiseTransform,
  partialClipTransform,
  plainMlpTransform,
  pretrainTransform,
  pruneTransform,
  quantizeTransform,
  redistilBlocksTransform,
  rescaleTransform,
  resetDormantTransform,
  resetTransform,
  subtractTransform,
  type Transform,
  transforms,
  unmixTransform,
  wordVectorsTransform,
} from './transforms/index.js';

/** Suites of attacks, each with those of the ones before it. */
export const suites = ['quick', 'standard', 'full'] as const;

/** Name of a suite. */
export type Suite = (typeof suites)[number];

/** An attack: an entry of the registry, a composition of transforms of the weights and of what is trained then. */
export interface Attack {
  /** Name on the command line and in tables. */
  readonly name: string;
  /** One line for help. */
  readonly description: string;
  /** Whether it is what anyone would try first: all weights trained, as they were released. Of one entry. */
  readonly plain?: boolean;
  /**
   * Whether random weights are tried as well: what it gives without a released model. Whoever has none can do all that asks nothing of
   * one, so a floor without it would be too low. Default as `plain`.
   */
  readonly alsoFromRandom?: boolean;
  /** Whether it knows of the lock. */
  readonly adaptive: boolean;
  /** What is done to the released weights first, in this order. */
  readonly transforms: readonly Transform[];
  /** What is trained. */
  readonly trained: TrainedPart;
  /** Options of the transforms by their names, whatever is given of these; what is left out is as in other attacks. */
  readonly transformOptions?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Options of the trained part, whatever is given of these; what is left out is as in other attacks. */
  readonly trainedOptions?: Readonly<Record<string, unknown>>;
  /** Names of the optimizers that it is tried with, of those of a plan; default all that its part can use. */
  readonly optimizers?: readonly string[];
  /**
   * The first suite that it belongs to; default `quick`, which is what is tried unless attacks are named. `none`: it needs
   * options, so it is tried only where it is named.
   */
  readonly suite?: Suite | 'none';
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

/**
 * Whether an attack knows of the lock: it changes the released weights first in a way that nobody else would, or trains them by what a lock does to them.
 * Who uses what the model gives alone need not know.
 */
export function isAdaptive({ transforms: steps, trained }: Pick<Attack, 'transforms' | 'trained'>): boolean {
  return steps.some(({ outputsAlone, ofAnyone }) => !outputsAlone && !ofAnyone) || trained.knows !== undefined;
}

/** Fine-tuning after some transforms. */
function transformed(steps: readonly Transform[], description: string, suite?: Attack['suite']): Attack {
  const name = steps.map((transform) => transform.name).join('-');
  const alsoFromRandom = steps.every(({ alsoOnRandom = false }) => alsoOnRandom);
  return {
    name,
    description,
    alsoFromRandom,
    adaptive: isAdaptive({ transforms: steps, trained: all }),
    transforms: steps,
    trained: all,
    ...(suite && { suite }),
  };
}

/** Fine-tuning after one transform. */
const after = (step: Transform, suite: Attack['suite']) =>
  transformed([step], `${step.description}, then fine-tune`, suite);

/** Fine-tuning of a part of the weights as they were released. */
function partly(part: TrainedPart, suite: Suite | 'none'): Attack {
  return { name: part.name, description: part.description, adaptive: false, transforms: [], trained: part, suite };
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
  transformed([reset], `${reset.description}, and fine-tune with what is left`),
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
  partly(lora as TrainedPart, 'standard'),
  partly(topLayers as TrainedPart, 'standard'),
  partly(normsAndBiases as TrainedPart, 'standard'),
  partly(newHead as TrainedPart, 'full'),
  partly(attentionAlone as TrainedPart, 'full'),
  partly(dora as TrainedPart, 'full'),
  partly(weightsByName as TrainedPart, 'none'),
  { ...partly(emaPart as TrainedPart, 'standard'), alsoFromRandom: true },
  { ...partly(tailAverage as TrainedPart, 'full'), alsoFromRandom: true },
  { ...partly(besideTop as TrainedPart, 'standard'), alsoFromRandom: true, adaptive: true },
  { ...partly(preconditioned as TrainedPart, 'standard'), alsoFromRandom: true, adaptive: true },
  after(canonicalizeTransform as Transform, 'standard'),
  after(clipEdgeTransform as Transform, 'standard'),
  after(partialClipTransform as Transform, 'standard'),
  after(clipProfileTransform as Transform, 'full'),
  after(subtractTransform as Transform, 'full'),
  transformed(
    [canonicalizeTransform as Transform, clipEdgeTransform as Transform],
    'canonicalize the weights, clip them to the edge of noise, then fine-tune',
    'full',
  ),
  after(quantizeTransform as Transform, 'full'),
  after(pruneTransform as Transform, 'full'),
  transformed(
    [quantizeTransform as Transform, pruneTransform as Transform],
    'round the weights to a few bits, set the smallest to 0, then fine-tune',
    'full',
  ),
  after(noiseTransform as Transform, 'full'),
  after(interpolateTransform as Transform, 'none'),
  after(wordVectorsTransform as Transform, 'none'),
  {
    name: 'word-vectors-white-box',
    description:
      'take rare words from the table of a public model, then fit a classifier on what all hidden layers hold',
    alsoFromRandom: true,
    adaptive: false,
    transforms: [wordVectorsTransform as Transform],
    trained: hidden,
    suite: 'none',
  },
  after(resetDormantTransform as Transform, 'full'),
  after(redistilBlocksTransform as Transform, 'full'),
  {
    name: distilTransform.name,
    description: 'train a fresh student to give what the released model gives, then fine-tune it (a part of the floor)',
    adaptive: false,
    transforms: [distilTransform as Transform],
    trained: all,
    suite: 'standard',
  },
  after(pretrainTransform as Transform, 'full'),
  after(unmixTransform as Transform, 'standard'),
  after(plainMlpTransform as Transform, 'standard'),
  after(healTransform as Transform, 'standard'),
  transformed(
    [clip, healTransform as Transform],
    'clip the raised singular values, train for the authorized task, then fine-tune',
    'standard',
  ),
  transformed(
    [clip, reset, healTransform as Transform],
    'clip, draw some layers anew, train for the authorized task, then fine-tune',
    'standard',
  ),
  transformed(
    [reset, healTransform as Transform],
    'draw some layers anew, train for the authorized task, then fine-tune',
    'full',
  ),
]);

/** Names of the attacks of a suite, those of the suites before it included. */
export function attacksOfSuite(suite: Suite): string[] {
  const most = suites.indexOf(suite);
  return attacks
    .entries()
    .flatMap(({ name, suite: own = 'quick' }) => (own !== 'none' && suites.indexOf(own) <= most ? [name] : []));
}
