import type { AttackTask, SearchResult, Trial } from '../../attacks/index.js';
import type { DataSpec } from '../../data/index.js';
import type { EngineOptions } from '../../engine/index.js';
import type { LockedInfo } from '../run/index.js';
import type { LockJob } from './job.js';

/** What a child process is asked to do; paths are of this machine. */
export type ChildRequest =
  | {
      readonly kind: 'search';
      readonly task: AttackTask;
      readonly engine: EngineOptions;
      /** Folder for weights that took training to make. */
      readonly prepared: string;
      /** Its trials that were done before. */
      readonly finished: readonly Trial[];
    }
  | {
      readonly kind: 'lock';
      readonly job: Omit<LockJob, 'model' | 'data' | 'adversary' | 'engine'> & { readonly engine: EngineOptions };
      readonly model: { readonly path: string; readonly config?: Readonly<Record<string, unknown>> };
      readonly data?: DataSpec;
      readonly adversary?: readonly DataSpec[];
      /** Folder of runs, where its checkpoints are kept. */
      readonly runs: string;
      /** Names its run. */
      readonly digest: string;
    };

/** What it answers: every trial of a search, then one of the others. */
export type ChildReply =
  | { readonly kind: 'trial'; readonly trial: Trial; readonly index: number; readonly seconds: number }
  | { readonly kind: 'search'; readonly result: SearchResult }
  | { readonly kind: 'lock'; readonly path: string; readonly info: LockedInfo }
  | { readonly kind: 'error'; readonly message: string; readonly isInput: boolean };
