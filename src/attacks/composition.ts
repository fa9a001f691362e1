import type { Attack } from './registry.js';
import type { CountsAs, StartingPoint } from './starts.js';
import type { Transform } from './transforms/index.js';
import type { AttackTask } from './workers/task.js';

/** What an attack is made of, as plain data: everything that decides its numbers but seeds and budget. */
export interface Composition extends Required<Pick<AttackTask, 'transforms' | 'trained'>> {
  /** Optimizer and schedule with their options. */
  readonly optimizer: AttackTask['optimizer'];
  /**
   * The unauthorized task, the harmless examples that are trained on in its place, if any, and how many labelled examples of each class the attacker has, without a number all; examples like those
   * of the authorized task, and such without labels, where the attacker has some. Not in old results.
   */
  readonly data?: Pick<AttackTask, 'benign' | 'perClass' | 'retain' | 'unlabelled'> & {
    readonly spec: AttackTask['data'];
  };
}

/** What a row says of its attack. */
export interface AttackFacts {
  /** Name of the starting point. */
  readonly start: string;
  /** Name of the attack. */
  readonly kind: string;
  /** What it did to the weights first, in tables: `clipped`, `clip + rescale`; none where they were taken as they were. */
  readonly label?: string;
  /** The same in a sentence, one step after another: `rescaling the layers`. */
  readonly first: readonly string[];
  /** What was trained, in tables: `fine-tuning`, `frozen use`, `white-box use`. */
  readonly use: string;
  /** Whether the model itself was trained, and not only a classifier on what it gives. */
  readonly trains: boolean;
  /** Whether it is what anyone would try first: all weights trained, as they were released. */
  readonly plain: boolean;
  /** Whether it knows of the lock. */
  readonly adaptive: boolean;
  /** What the attacker must know, beside the released files. */
  readonly knows: readonly string[];
  /** What it counts as in the attacker's advantage. */
  readonly countsAs: CountsAs;
}

/** What a row says of an attack from a starting point. */
export function factsOf(
  { name, transforms, trained, plain = false, adaptive }: Attack,
  start: StartingPoint,
): AttackFacts {
  const known = [...transforms, trained].flatMap(({ knows }) => knows ?? []);
  // Outputs of the released model are what everybody has without its weights; those of the unlocked one nobody has.
  const unused = start.countsAs === 'locked' || start.countsAs === 'floor' ? 'floor' : 'nothing';
  return {
    start: start.name,
    kind: name,
    label: labelOf(transforms),
    first: transforms.map((transform) => transform.doing ?? transform.name),
    use: trained.label,
    trains: trained.trains,
    plain,
    adaptive,
    knows: adaptive ? ['that there is a lock', ...known] : known,
    countsAs: [...transforms, trained].some(({ outputsAlone }) => outputsAlone) ? unused : start.countsAs,
  };
}

/** What transforms did to the weights, in tables; undefined for none. */
export function labelOf(transforms: readonly Pick<Transform, 'name' | 'label'>[]): string | undefined {
  if (transforms.length === 0) return undefined;
  if (transforms.length === 1) return transforms[0].label?.alone ?? transforms[0].name;
  return transforms.map(({ name, label }) => label?.joined ?? name).join(' + ');
}
