/** A view of a storage in elements. */
interface Strided {
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** Elements of a shape. */
export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Whether a view's elements follow one another in row-major order. */
export function isContiguous({ shape, strides }: Strided): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    // The step along an axis of one element is never taken.
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis];
  }
  return true;
}

/** First element that a view looks at and the one behind its last; the view has elements. */
export function extent({ offset, shape, strides }: Strided): { begin: number; end: number } {
  return { begin: offset, end: shape.reduce((last, length, axis) => last + (length - 1) * strides[axis], offset) + 1 };
}

/**
 * Gathers elements of a view in row-major order.
 *
 * @param storage - Bytes from the view's first element on.
 * @param first - Number of the first element that is wanted.
 * @param out - Receives them, as many as it has room for.
 * @param width - Bytes of an element.
 */
export function gather(
  storage: Uint8Array,
  { shape, strides }: Strided,
  first: number,
  out: Uint8Array,
  width: number,
): void {
  const index = shape.map(() => 0);
  let rest = first;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = rest % shape[axis];
    rest = Math.floor(rest / shape[axis]);
  }
  let from = index.reduce((sum, at, axis) => sum + at * strides[axis], 0);
  for (let to = 0; to < out.length; to += width) {
    for (let byte = 0; byte < width; byte++) out[to + byte] = storage[from * width + byte];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}
