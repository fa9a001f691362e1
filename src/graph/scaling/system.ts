/**
 * The factor by which a tensor is multiplied, as its logarithm: a sum of unknowns, `Σ coefficient · log c_input`.
 * `zero` is the scale of a tensor of zeros, which any factor leaves as it is.
 */
export type Scale = ReadonlyMap<string, number> | 'zero';

/** The scale of what no rescaling changes. */
export const fixed: Scale = new Map();

/** `a + factor · b`; a product with zeros is zeros. */
export function combine(a: Scale, b: Scale, factor = 1): Scale {
  if (a === 'zero' || b === 'zero') return 'zero';
  const sum = new Map(a);
  for (const [name, coefficient] of b) add(sum, name, factor * coefficient);
  return sum;
}

/** A scale times a number: that of a power. */
export function times(scale: Scale, factor: number): Scale {
  return scale === 'zero' ? scale : combine(fixed, scale, factor);
}

/** Collects linear conditions on the unknown log factors, and solves them. Coefficients are small whole numbers and halves. */
export class ScaleSystem {
  /** Reduced equations `Σ coefficient · log c = 0`, each by the unknown that it determines, which no other one holds. */
  readonly #equations = new Map<string, Map<string, number>>();

  /** Two tensors must scale alike; the scale of both. */
  equate(a: Scale, b: Scale): Scale {
    if (a === 'zero') return b;
    if (b === 'zero') return a;
    this.#require(new Map(combine(a, b, -1) as ReadonlyMap<string, number>));
    return a;
  }

  /** All of some tensors must scale alike; the scale of all. */
  equateAll(scales: readonly Scale[]): Scale {
    return scales.reduce((a, b) => this.equate(a, b), 'zero');
  }

  /** A tensor must not be rescaled. */
  fix(scale: Scale): void {
    this.equate(scale, fixed);
  }

  /**
   * A basis of all solutions: for each unknown that may be chosen, the log factors of all unknowns where it is 1 and the
   * other free ones are 0.
   */
  basis(unknowns: Iterable<string>): Map<string, ReadonlyMap<string, number>> {
    const solutions = new Map<string, Map<string, number>>();
    for (const name of unknowns) if (!this.#equations.has(name)) solutions.set(name, new Map([[name, 1]]));
    for (const [pivot, equation] of this.#equations) {
      for (const [name, coefficient] of equation) {
        if (name !== pivot) solutions.get(name)?.set(pivot, -coefficient);
      }
    }
    return solutions;
  }

  /** Adds an equation and keeps all of them reduced. */
  #require(equation: Map<string, number>): void {
    for (const [pivot, known] of this.#equations) eliminate(equation, pivot, known);
    const [pivot] = equation.keys();
    if (pivot === undefined) return;
    const leading = equation.get(pivot) ?? 1;
    for (const [name, coefficient] of equation) equation.set(name, coefficient / leading);
    for (const known of this.#equations.values()) eliminate(known, pivot, equation);
    this.#equations.set(pivot, equation);
  }
}

/** Takes the unknown that an equation determines out of another one. */
function eliminate(from: Map<string, number>, pivot: string, equation: ReadonlyMap<string, number>): void {
  const factor = from.get(pivot);
  if (factor === undefined) return;
  for (const [name, coefficient] of equation) add(from, name, -factor * coefficient);
}

/** Adds to a coefficient; one that becomes 0 is left out. */
function add(sum: Map<string, number>, name: string, value: number): void {
  const total = (sum.get(name) ?? 0) + value;
  // Whole numbers and halves cancel exactly; the margin is for the quotients of elimination.
  if (Math.abs(total) < 1e-9) sum.delete(name);
  else sum.set(name, total);
}
