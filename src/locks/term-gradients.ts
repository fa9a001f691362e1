import type { Results } from '../engine/index.js';
import { gradients, type Tensor } from '../graph/index.js';
import type { Scope } from '../nn/index.js';

/** Gradients of a term of a loss by parameter, whose arrays belong to a program. */
export type TermGradients = readonly (readonly [string, Float32Array])[];

const prefix = 'grad ';

/**
 * The gradient of a term by every parameter that it depends on, as outputs of a program: `grad <name>`.
 *
 * @param slope - What the term's gradient begins with where it is no number.
 */
export function gradientOutputs(scope: Scope, term: Tensor, slope?: Tensor): Record<string, Tensor> {
  const parameters = [...scope.parameterInputs];
  const found = gradients(
    term,
    parameters.map(([, input]) => input),
    slope,
  );
  return Object.fromEntries(
    parameters.flatMap(([name], index) => (found[index] ? [[`${prefix}${name}`, found[index]]] : [])),
  );
}

/** The outputs of {@link gradientOutputs} among results. */
export function gradientsIn(results: Results): TermGradients {
  return Object.entries(results).flatMap(([name, values]) =>
    name.startsWith(prefix) ? [[name.slice(prefix.length), values as Float32Array] as const] : [],
  );
}

/** Adds `factor` times some gradients to others, in place, where they are finite numbers; says whether they are. */
export function addGradients(
  to: ReadonlyMap<string, Float32Array>,
  found: Iterable<TermGradients[number]>,
  factor = 1,
): boolean {
  const all = [...found];
  if (all.some(([, values]) => values.some((value) => !Number.isFinite(value)))) return false;
  for (const [name, values] of all) {
    const total = to.get(name);
    if (!total) continue;
    for (let i = 0; i < values.length; i++) total[i] += factor * values[i];
  }
  return true;
}
