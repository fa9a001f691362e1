import { add, gelu, layerNormalization, matMul, mul, reshape, softmax, transpose } from '../dist/graph/index.js';
import { linear, ones, zeros } from '../dist/nn/index.js';

function norm(scope, x) {
  const shape = [x.shape[2]];
  return layerNormalization(x, scope.parameter('weight', shape, ones), scope.parameter('bias', shape, zeros));
}

/** A pre-LayerNorm transformer block over `[batch, seq, width]`. */
export function transformerBlock(scope, x, { heads, hidden }) {
  const [batch, seq, width] = x.shape;
  const h = norm(scope.child('norm1'), x);
  const split = (name) => reshape(linear(scope.child(name), h, width), [batch, seq, heads, width / heads]);
  const query = transpose(split('query'), [0, 2, 1, 3]);
  const key = transpose(split('key'), [0, 2, 3, 1]);
  const value = transpose(split('value'), [0, 2, 1, 3]);
  const weights = softmax(mul(matMul(query, key), 1 / Math.sqrt(width / heads)));
  const mixed = reshape(transpose(matMul(weights, value), [0, 2, 1, 3]), [batch, seq, width]);
  const attended = add(x, linear(scope.child('out'), mixed, width));
  const up = gelu(linear(scope.child('up'), norm(scope.child('norm2'), attended), hidden));
  return add(attended, linear(scope.child('down'), up, width));
}
