/** Two places of one example. */
export interface DuplicatePair {
  /** Where it was seen first. */
  readonly first: string;
  /** Where it was seen again. */
  readonly second: string;
  /** Whether both places have the same label. */
  readonly sameLabel: boolean;
}

/** Exact copies of examples: of images by their pixels, of texts by their letters. */
export interface Duplicates {
  /** Examples of each split that repeat an earlier one of it, by the split's name. */
  readonly within: Readonly<Record<string, number>>;
  /** Examples of later splits that occur in an earlier one. */
  readonly between: number;
  /** Copies, within or between, whose labels differ. */
  readonly otherLabel: number;
  /** The first ten pairs, those between splits before the others. */
  readonly pairs: readonly DuplicatePair[];
}

/** An example, as it is looked at. */
export interface SeenExample {
  /** Number of its split. */
  readonly split: number;
  /** Its class. */
  readonly label: number;
  /** What it is called in messages. */
  readonly name: () => string;
}

const SHOWN_PAIRS = 10;

/** Counts examples that repeat earlier ones. */
export class DuplicateFinder {
  readonly #seen = new Map<string, SeenExample>();
  readonly #within: Record<string, number>;
  readonly #pairs = { between: [] as DuplicatePair[], within: [] as DuplicatePair[] };
  #between = 0;
  #otherLabel = 0;

  /** @param splits - Names of the splits. */
  constructor(readonly splits: readonly string[]) {
    this.#within = Object.fromEntries(splits.map((name) => [name, 0]));
  }

  /** Looks at the next example; `key`: the same for copies alone. */
  add(key: string, example: SeenExample): void {
    const earlier = this.#seen.get(key);
    if (!earlier) {
      this.#seen.set(key, example);
      return;
    }
    const sameLabel = earlier.label === example.label;
    if (!sameLabel) this.#otherLabel++;
    const isBetween = earlier.split !== example.split;
    if (isBetween) this.#between++;
    else this.#within[this.splits[example.split]]++;
    const pairs = isBetween ? this.#pairs.between : this.#pairs.within;
    if (pairs.length < SHOWN_PAIRS) pairs.push({ first: earlier.name(), second: example.name(), sameLabel });
  }

  /** What was found so far. */
  get found(): Duplicates {
    const { between, within } = this.#pairs;
    return {
      within: { ...this.#within },
      between: this.#between,
      otherLabel: this.#otherLabel,
      pairs: [...between, ...within].slice(0, SHOWN_PAIRS),
    };
  }
}
