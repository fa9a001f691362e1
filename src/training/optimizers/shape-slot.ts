import { InputError } from '../../registry/index.js';
import type { OptimizerState, ParameterSet, ParameterShapes } from './optimizer.js';

/**
 * A slot that holds the shape of each parameter, for optimizers that look at matrices as matrices. A scalar is a vector of one.
 *
 * @param optimizer - Whose slot it is, for error messages.
 * @throws InputError when a shape is missing or has another number of values than its parameter.
 */
export function shapeSlot(
  optimizer: string,
  params: ParameterSet,
  shapes: ParameterShapes | undefined,
): Map<string, Float32Array> {
  return new Map(
    Array.from(params, ([name, { length }]) => {
      const shape = shapes?.get(name);
      if (!shape || sizeOf(shape) !== length) {
        const found = shape ? `[${shape}]` : 'none';
        throw new InputError(`${optimizer}: expected a shape of ${length} values for ${name}, found ${found}`);
      }
      return [name, Float32Array.from(shape.length === 0 ? [1] : shape)];
    }),
  );
}

/** The shape that {@link shapeSlot} was told of a parameter of `length` values. */
export function shapeFor(state: OptimizerState, name: string, length: number): number[] {
  const shape = state.slots.shape?.get(name);
  if (shape && sizeOf(shape) === length) return [...shape];
  throw new InputError(
    `optimizer state shape of ${name}: expected ${length} values, found ${shape ? sizeOf(shape) : 'none'}`,
  );
}

/**
 * A slot with arrays of a length that follows from the shape, filled with zeros.
 *
 * @param shapes - A slot of {@link shapeSlot}.
 */
export function shapedSlot(
  shapes: ReadonlyMap<string, Float32Array>,
  lengthOf: (shape: readonly number[]) => number,
): Map<string, Float32Array> {
  return new Map(Array.from(shapes, ([name, shape]) => [name, new Float32Array(lengthOf([...shape]))]));
}

function sizeOf(shape: Iterable<number>): number {
  let size = 1;
  for (const length of shape) size *= length;
  return size;
}
