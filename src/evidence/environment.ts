import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { versionOf, weightlockVersion } from '../formats/index.js';

/** What a run was computed with. Holds no path, host or user name, so that it can be published. */
export interface Environment {
  /** Version of weightlock. */
  weightlock: string;
  /** Version of Node.js, without the leading v. */
  node: string;
  /** Version of onnxruntime-node, or null when it is not installed. */
  onnxruntime: string | null;
  /** Operating system, its release, and the processor architecture: `linux 6.1.0 x64`. */
  platform: string;
  /** Model name of the first processor. */
  cpu: string;
  /** Logical processors this process may use. */
  cores: number;
  /** Physical memory in bytes. */
  memoryBytes: number;
  /** Threads the engine was told to use. */
  threads: number;
  /** When the process opened the run folder, ISO 8601 in UTC. */
  started: string;
}

/** Describes this process and machine. `threads` defaults to the number of usable cores. */
export function describeEnvironment({
  threads = availableParallelism(),
  now = new Date(),
}: {
  threads?: number;
  now?: Date;
} = {}): Environment {
  return {
    weightlock: weightlockVersion(),
    node: process.versions.node,
    onnxruntime: onnxruntimeVersion() ?? null,
    platform: `${platform()} ${release()} ${arch()}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    threads,
    started: now.toISOString(),
  };
}

/** The installed version of onnxruntime-node, read without loading its native library; undefined when absent. */
export function onnxruntimeVersion(): string | undefined {
  try {
    return versionOf(readFileSync(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'), 'utf8'));
  } catch {
    return undefined;
  }
}
