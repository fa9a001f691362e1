import type { DataSpec } from '../../data/index.js';
import type { EngineOptions } from '../../engine/index.js';
import type { RunFolder } from '../../evidence/index.js';
import { initializeModel, loadModel, type Model } from '../../models/index.js';
import { WeightlockError } from '../../registry/index.js';
import type { PhaseProgress } from '../progress.js';

/** Where a model comes from. */
export type ModelSource =
  | {
      /** A new one of this architecture, drawn by the run's seed. */
      readonly architecture: string;
      /** Keys of its `config.json`; what is left out takes its default. */
      readonly config?: Readonly<Record<string, unknown>>;
    }
  | {
      /** A model directory. */
      readonly path: string;
      /** What its `config.json` would say, for one that has none or in its place. */
      readonly config?: Readonly<Record<string, unknown>>;
    };

/** What a run is computed with and on, whatever parts it has: plain data. */
export interface RunSpec {
  /** Threads and device. */
  readonly engine: EngineOptions;
  /** Processes that search side by side; default 0: none but this one. */
  readonly workers?: number;
  /** Decides first weights and all shuffles. */
  readonly seed: number;
  /**
   * Decides what locks draw into weights: 32 hexadecimal digits, or `seed` for a secret that follows from the seed of each lock, so that
   * the run can be repeated from what is published of it. Default a fresh secret for each lock, kept with its checkpoint in the run folder and nowhere else.
   */
  readonly secret?: string;
  /** The model that the run begins with; none where its parts name theirs. */
  readonly model?: ModelSource;
  /** What the model is released for, and what an attacker is after; none where the parts name theirs. */
  readonly data?: { readonly authorized?: DataSpec; readonly unauthorized?: DataSpec };
}

/** Where a run is kept and shown, and how it is ended. */
export interface RunContext {
  /** The run folder. */
  readonly folder: RunFolder;
  /** Ends the work after the current step, resumable. */
  readonly signal: AbortSignal;
  /** Shows how far it has come. */
  readonly progress: PhaseProgress;
}

/** The model of a source. */
export async function openModel(source: ModelSource | undefined, seed: number): Promise<Model> {
  if (!source) throw new WeightlockError('run: expected a model in its specification');
  if ('path' in source) return loadModel(source.path, { config: source.config });
  return initializeModel(source.architecture, source.config ?? {}, seed);
}
