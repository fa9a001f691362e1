/** Values of a tensor that are NaN or infinite. */
export interface NotFinite {
  /** The first of them. */
  readonly value: number;
  /** Where it is, one number an axis. */
  readonly index: readonly number[];
  /** How many there are. */
  readonly count: number;
}

/** Finds NaN and infinities among the values of a tensor, row-major; `undefined` where there are none. */
export function findNotFinite(values: Float32Array, shape: readonly number[]): NotFinite | undefined {
  let first = -1;
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    if (first < 0) first = i;
    count++;
  }
  return first < 0 ? undefined : { value: values[first], index: placeOf(first, shape), count };
}

/** In words: `NaN at [3, 17], 2 of such values`. */
export function describeNotFinite({ value, index, count }: NotFinite): string {
  const place = index.length === 0 ? '' : ` at [${index.join(', ')}]`;
  return `${value}${place}, ${count === 1 ? 'one such value' : `${count} such values`}`;
}

function placeOf(position: number, shape: readonly number[]): number[] {
  const place: number[] = [];
  let rest = position;
  for (const length of shape.toReversed()) {
    place.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return place;
}
