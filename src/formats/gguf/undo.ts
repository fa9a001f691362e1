import type { Change } from './families.js';

/**
 * Undoes what llama.cpp did to the values of one unit: of a head, of a whole matrix, or of any part where values stay in place.
 *
 * @param unit - The values' bytes; may be changed and returned.
 * @param shape - Of the whole tensor, as transformers has it.
 * @param width - Bytes of one value.
 */
export function undone(unit: Uint8Array, change: Change, shape: readonly number[], width: number): Uint8Array {
  switch (change.kind) {
    case 'none':
      return unit;
    case 'interleaved':
      return halvesApart(unit, (unit.length * change.heads) / shape[0]);
    case 'transposed':
      return transposed(unit, shape, width);
    case 'plus-one': {
      const values = new Float32Array(unit.buffer, unit.byteOffset, unit.length / 4);
      for (let i = 0; i < values.length; i++) values[i] -= 1;
      return unit;
    }
  }
}

/** Rows 0, half, 1, half + 1, ... of a head put back in order: its rotary embedding pairs row i with row half + i. */
function halvesApart(head: Uint8Array, rowBytes: number): Uint8Array {
  const result = new Uint8Array(head.length);
  const half = head.length / rowBytes / 2;
  for (let row = 0; row < 2 * half; row++) {
    const to = (row % 2) * half + (row >> 1);
    result.set(head.subarray(row * rowBytes, (row + 1) * rowBytes), to * rowBytes);
  }
  return result;
}

/** `[columns, rows]` as it lies there to `[rows, columns]`. */
function transposed(matrix: Uint8Array, [rows, columns]: readonly number[], width: number): Uint8Array {
  const result = new Uint8Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const from = (column * rows + row) * width;
      const to = (row * columns + column) * width;
      for (let byte = 0; byte < width; byte++) result[to + byte] = matrix[from + byte];
    }
  }
  return result;
}
