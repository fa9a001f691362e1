import { InputError } from '../../registry/index.js';
import type { Optimizer, ParameterSet } from './optimizer.js';

/** Parameters that are moved alike. */
export interface ParameterGroup {
  /** Their names. */
  readonly names: ReadonlySet<string>;
  /** Moves them; its state has the same slots as that of the other groups. */
  readonly optimizer: Optimizer;
  /** Factor of their learning rate. */
  readonly rateFactor: number;
}

/**
 * One optimizer made of several that move different parameters: PyTorch's parameter groups. For optimizers that need the gradient
 * alone and move each parameter by itself. The state is that of one optimizer over all parameters.
 *
 * @param groups - At least one; each parameter is in one of them.
 */
export function grouped(groups: readonly ParameterGroup[]): Optimizer {
  const [first] = groups;
  return {
    name: first.optimizer.name,
    idleFactor:
      first.optimizer.idleFactor &&
      ((parameter, learningRate) => {
        const group = groups.find(({ names }) => names.has(parameter));
        return group?.optimizer.idleFactor?.(parameter, group.rateFactor * learningRate);
      }),
    init: (params, shapes) => first.optimizer.init(params, shapes),
    prepare:
      first.optimizer.prepare &&
      ((state, params) => {
        for (const { names, optimizer } of groups) optimizer.prepare?.(state, only(params, names));
      }),
    async update(grads, state, params, learningRate) {
      for (const name of grads.keys()) {
        if (!groups.some(({ names }) => names.has(name))) {
          throw new InputError(`gradient ${name}: expected a parameter of one of the groups, found none of this name`);
        }
      }
      const { step } = state;
      for (const { names, optimizer, rateFactor } of groups) {
        // Each of them counts the step.
        state.step = step;
        await optimizer.update(only(grads, names), state, only(params, names), rateFactor * learningRate);
      }
    },
  };
}

function only(values: ParameterSet, names: ReadonlySet<string>): ParameterSet {
  return new Map([...values].filter(([name]) => names.has(name)));
}
