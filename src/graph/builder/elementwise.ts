import { type DType, GraphError, isFloat } from '../dtype.js';
import type { Tensor } from '../graph.js';

/** A tensor, or a number that becomes a scalar constant of the other operand's type. */
export type Operand = Tensor | number;

type Binary =
  | 'Add'
  | 'Sub'
  | 'Mul'
  | 'Div'
  | 'Pow'
  | 'Max'
  | 'Min'
  | 'Equal'
  | 'Less'
  | 'LessOrEqual'
  | 'Greater'
  | 'GreaterOrEqual';

function pair(op: string, a: Operand, b: Operand): [Tensor, Tensor] {
  if (typeof a !== 'number') return [a, typeof b === 'number' ? a.graph.scalar(b, a.dtype) : b];
  if (typeof b !== 'number') return [b.graph.scalar(a, b.dtype), b];
  throw new GraphError(`${op}: expected at least one tensor, got the numbers ${a} and ${b}`);
}

function binary(op: Binary, a: Operand, b: Operand): Tensor {
  const [x, y] = pair(op, a, b);
  return x.graph.apply(op, [x, y], {})[0];
}

/** `a + b`, broadcasting as NumPy does. */
export function add(a: Operand, b: Operand): Tensor {
  return binary('Add', a, b);
}

/** `a − b`, broadcasting. */
export function sub(a: Operand, b: Operand): Tensor {
  return binary('Sub', a, b);
}

/** `a · b` element by element, broadcasting. */
export function mul(a: Operand, b: Operand): Tensor {
  // A multiplication by one is left out: ONNX Runtime's optimizer breaks some graphs that hold one (its issue 32413).
  if (typeof b !== 'number' && isOneFor(a, b)) return b;
  if (typeof a !== 'number' && isOneFor(b, a)) return a;
  return binary('Mul', a, b);
}

/** Whether an operand is a constant one that changes neither values, shape nor type of another when multiplied. */
function isOneFor(one: Operand, other: Tensor): boolean {
  if (typeof one === 'number') return one === 1;
  const { source, size, rank, dtype } = one;
  return (
    source.kind === 'constant' &&
    size === 1 &&
    rank <= other.rank &&
    dtype === other.dtype &&
    Number(source.values[0]) === 1
  );
}

/** `a / b` element by element, broadcasting. */
export function div(a: Operand, b: Operand): Tensor {
  if (typeof a !== 'number' && isOneFor(b, a)) return a;
  // ONNX Runtime fuses 1 / x · y wrongly when another rewrite removed y's node (its issue 32413); 1 / x is Reciprocal.
  if (typeof b !== 'number' && isFloat(b.dtype) && isOneFor(a, b)) return reciprocal(b);
  return binary('Div', a, b);
}

/** `a ^ b` element by element, broadcasting. */
export function pow(a: Operand, b: Operand): Tensor {
  return binary('Pow', a, b);
}

/** The larger of two elements; where they are equal, the gradient is halved between them, as in PyTorch. */
export function max(a: Operand, b: Operand): Tensor {
  return binary('Max', a, b);
}

/** The smaller of two elements; where they are equal, the gradient is halved between them, as in PyTorch. */
export function min(a: Operand, b: Operand): Tensor {
  return binary('Min', a, b);
}

/** `a = b` as bool. */
export function equal(a: Operand, b: Operand): Tensor {
  return binary('Equal', a, b);
}

/** `a < b` as bool. */
export function less(a: Operand, b: Operand): Tensor {
  return binary('Less', a, b);
}

/** `a ≤ b` as bool. */
export function lessOrEqual(a: Operand, b: Operand): Tensor {
  return binary('LessOrEqual', a, b);
}

/** `a > b` as bool. */
export function greater(a: Operand, b: Operand): Tensor {
  return binary('Greater', a, b);
}

/** `a ≥ b` as bool. */
export function greaterOrEqual(a: Operand, b: Operand): Tensor {
  return binary('GreaterOrEqual', a, b);
}

/** Both of two bools. */
export function and(a: Tensor, b: Tensor): Tensor {
  return a.graph.apply('And', [a, b], {})[0];
}

/** One or both of two bools. */
export function or(a: Tensor, b: Tensor): Tensor {
  return a.graph.apply('Or', [a, b], {})[0];
}

/** The opposite of a bool. */
export function not(x: Tensor): Tensor {
  return x.graph.apply('Not', [x], {})[0];
}

/** `condition ? a : b` element by element, broadcasting all three. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const [x, y] = pair('Where', a, b);
  return condition.graph.apply('Where', [condition, x, y], {})[0];
}

/** `−x`. */
export function neg(x: Tensor): Tensor {
  return x.graph.apply('Neg', [x], {})[0];
}

/** `|x|`, gradient 0 at 0. */
export function abs(x: Tensor): Tensor {
  return x.graph.apply('Abs', [x], {})[0];
}

/** −1, 0 or 1. */
export function sign(x: Tensor): Tensor {
  return x.graph.apply('Sign', [x], {})[0];
}

/** `e ^ x`. */
export function exp(x: Tensor): Tensor {
  return x.graph.apply('Exp', [x], {})[0];
}

/** Natural logarithm. */
export function log(x: Tensor): Tensor {
  return x.graph.apply('Log', [x], {})[0];
}

/** Square root. */
export function sqrt(x: Tensor): Tensor {
  return x.graph.apply('Sqrt', [x], {})[0];
}

/** `1 / x`. */
export function reciprocal(x: Tensor): Tensor {
  return x.graph.apply('Reciprocal', [x], {})[0];
}

/** Sine of radians. */
export function sin(x: Tensor): Tensor {
  return x.graph.apply('Sin', [x], {})[0];
}

/** Cosine of radians. */
export function cos(x: Tensor): Tensor {
  return x.graph.apply('Cos', [x], {})[0];
}

/** The same numbers as another element type; the tensor itself where it has that type already. */
export function cast(x: Tensor, to: DType): Tensor {
  return x.dtype === to ? x : x.graph.apply('Cast', [x], { to })[0];
}

/** `max(x, 0)`, gradient 0 at 0. */
export function relu(x: Tensor): Tensor {
  return x.graph.apply('Relu', [x], {})[0];
}

/** `1 / (1 + e^−x)`. */
export function sigmoid(x: Tensor): Tensor {
  return x.graph.apply('Sigmoid', [x], {})[0];
}

/** Hyperbolic tangent. */
export function tanh(x: Tensor): Tensor {
  return x.graph.apply('Tanh', [x], {})[0];
}

/** Gauss error function. */
export function erf(x: Tensor): Tensor {
  return x.graph.apply('Erf', [x], {})[0];
}

/** Gaussian error linear unit, exact (`none`, by erf; the default) or by tanh. */
export function gelu(x: Tensor, { approximate = 'none' }: { approximate?: 'none' | 'tanh' } = {}): Tensor {
  return x.graph.apply('Gelu', [x], { approximate })[0];
}

/** `x · sigmoid(x)`, also called swish. */
export function silu(x: Tensor): Tensor {
  return mul(x, sigmoid(x));
}

/**
 * Dropout with a mask that is fed from outside: an input of `x`'s shape that holds 0 or 1 / (1 − p), drawn from a
 * counter-based stream so that a step can be repeated.
 */
export function dropout(x: Tensor, mask: Tensor): Tensor {
  return mul(x, mask);
}
