import type { Dataset } from '../../src/data/index.js';
import { exactSingularValues } from '../../src/linalg/index.js';
import { eachMoments, erasable, type Moments } from '../../src/locks/erase/moments.js';
import { type EraseOptions, eraseOptions } from '../../src/locks/erase/options.js';
import { outputReading } from '../../src/locks/erase/runs.js';
import { type Model, parameterSet, weightMatrices } from '../../src/models/index.js';
import { parseOptions } from '../../src/registry/index.js';
import { taskOf } from '../../src/tasks/index.js';
import type { ParameterSet } from '../../src/training/index.js';

/** Options of the lock, its defaults where none are given. */
export const optionsOf = (options: Record<string, unknown>): EraseOptions =>
  parseOptions(eraseOptions, options, 'erase');

/** The moments of all matrices of a model by their name. */
export async function momentsOf(model: Model, dataset: Dataset): Promise<Map<string, Moments>> {
  const found = new Map<string, Moments>();
  const task = taskOf(model);
  const reading = outputReading(task);
  const { matrices } = erasable(model, reading, weightMatrices(model.weights));
  const how = { matrices, sources: [{ dataset, reading }], seed: 1, engine: { threads: 1 } };
  await eachMoments(model, parameterSet(model.weights), how, ({ name }, [moments]) => void found.set(name, moments));
  return found;
}

/** The rank of one matrix, up to rounding. */
export const rankIn = (params: ParameterSet, model: Model, name: string) => {
  const [{ rows, columns }] = weightMatrices(model.weights, { include: [name] });
  const sigma = exactSingularValues(params.get(name) ?? new Float32Array(), rows, columns);
  return sigma.filter((value) => value > 1e-5 * sigma[0]).length;
};
