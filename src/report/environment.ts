import { stringify } from 'yaml';
import type { Environment, RunOrigin } from '../evidence/index.js';
import type { ReportOrigin } from './attack-report.js';
import { count } from './format/numbers.js';

/** An environment as the rows of a report. */
export function environmentRows(environment: Environment): Record<string, string> {
  return {
    weightlock: environment.weightlock,
    'Node.js': environment.node,
    'ONNX Runtime': environment.onnxruntime ?? 'not installed',
    platform: environment.platform,
    processor: `${environment.cpu}, ${count(environment.cores, 'core')}`,
    memory: `${(environment.memoryBytes / 2 ** 30).toFixed(0)} GiB`,
    threads: String(environment.threads),
    started: environment.started,
  };
}

/** What a report says of where a run's numbers come from. */
export function reportOrigin({ config, environment }: RunOrigin): ReportOrigin {
  return { environment: environmentRows(environment), config: stringify(config) };
}
