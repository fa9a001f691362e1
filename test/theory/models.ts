import { type Model, readConfig, type StateDict } from '../../src/models/index.js';

/** A model in memory, from its configuration and weights. */
export function loadModelFromConfig(config: Record<string, unknown>, weights: StateDict): Model {
  const { architecture, ...rest } = config;
  const keys = architecture === 'vit' ? { model_type: 'vit', ...rest } : config;
  return { ...readConfig(keys, 'fixture'), weights };
}
