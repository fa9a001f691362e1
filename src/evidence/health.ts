import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rmdir, stat, statfs } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Graph, mul } from '../graph/index.js';
import { onnxruntimeVersion } from './environment.js';

const GIB = 2 ** 30;
const OLDEST_NODE = [20, 19] as const;
/** A small run with its checkpoints takes tens of megabytes; below this a pretrained model's checkpoint fails. */
const LEAST_DISK_GIB = 1;
/** The smallest pretrained model with gradients, optimizer state and activations peaks near this. */
const ADVISED_MEMORY_GIB = 2;

/** One thing weightlock needs from the machine. */
export interface HealthCheck {
  /** What was looked at. */
  name: string;
  /** `failed`: weightlock cannot work; `note`: it can, with what `detail` says. */
  status: 'ok' | 'note' | 'failed';
  /** What was found, in a few words. */
  detail: string;
}

/**
 * Checks that this machine can run weightlock.
 *
 * @param options - `runs`: folder of all runs, default `runs`; `data`: folder of real data sets, if the user names one.
 */
export async function checkHealth({
  runs = 'runs',
  data,
}: {
  runs?: string;
  data?: string;
} = {}): Promise<HealthCheck[]> {
  return [
    checkNode(process.versions.node),
    await checkOnnxruntime(),
    { name: 'cores', status: 'ok', detail: `${availableParallelism()} usable` },
    checkMemory(),
    await checkDisk(runs),
    await checkRuns(runs),
    await checkData(data),
  ];
}

/** Checks a Node.js version, such as `20.19.0`. */
export function checkNode(version: string): HealthCheck {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const ok = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
  return { name: 'Node.js', status: ok ? 'ok' : 'failed', detail: ok ? version : `${version}, needs 20.19 or newer` };
}

async function checkOnnxruntime(): Promise<HealthCheck> {
  const name = 'ONNX Runtime';
  try {
    // Loaded only now: where the native library is missing, doctor has to say so instead of failing to start.
    const { compile } = await import('../engine/index.js');
    const graph = new Graph();
    const program = await compile({ y: mul(graph.input('x', [2]), 3) });
    const { y } = await program.run({ x: Float32Array.of(1, 2) });
    await program.release();
    const right = y?.[0] === 3 && y[1] === 6;
    const detail = `${onnxruntimeVersion() ?? 'unknown version'}, computes ${right ? 'right' : `wrong: 3·[1, 2] = [${y}]`}`;
    return { name, status: right ? 'ok' : 'failed', detail };
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return { name, status: 'failed', detail: `onnxruntime-node does not work: ${reason}` };
  }
}

function checkMemory(): HealthCheck {
  // In a container the limit counts, not the machine; 0 or a number beyond the machine means that there is no limit.
  const limit = process.constrainedMemory();
  const total = limit > 0 && limit < totalmem() ? limit : totalmem();
  const detail = `${gib(total)} in all, ${gib(process.availableMemory())} free`;
  const enough = total >= ADVISED_MEMORY_GIB * GIB;
  return {
    name: 'memory',
    status: enough ? 'ok' : 'note',
    detail: enough ? detail : `${detail}; pretrained models need ${ADVISED_MEMORY_GIB} GiB`,
  };
}

async function checkDisk(runs: string): Promise<HealthCheck> {
  const { bavail, bsize } = await statfs(await nearestFolder(runs));
  const free = bavail * bsize;
  const enough = free >= LEAST_DISK_GIB * GIB;
  const detail = `${gib(free)} free${enough ? '' : `, needs ${LEAST_DISK_GIB} GiB`}`;
  return { name: 'disk', status: enough ? 'ok' : 'failed', detail };
}

/** Makes and removes a folder: permission bits alone say too little (read-only mounts, quotas, root). */
async function checkRuns(runs: string): Promise<HealthCheck> {
  const name = 'runs folder';
  const found = await stat(runs).catch(() => undefined);
  if (found && !found.isDirectory()) return { name, status: 'failed', detail: `${runs} is not a folder` };
  const probe = join(await nearestFolder(runs), `.weightlock-probe-${randomBytes(4).toString('hex')}`);
  try {
    await mkdir(probe);
    await rmdir(probe);
    return { name, status: 'ok', detail: found ? `${runs} can be written` : `${runs} can be made` };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return { name, status: 'failed', detail: `${runs} cannot be written (${code})` };
  }
}

async function checkData(data: string | undefined): Promise<HealthCheck> {
  const name = 'data folder';
  if (!data)
    return {
      name,
      status: 'note',
      detail: 'WEIGHTLOCK_DATA is not set; the embedded digits need no folder, other data sets need it or a path',
    };
  const entries = await readdir(data).catch(() => undefined);
  if (!entries) return { name, status: 'failed', detail: 'WEIGHTLOCK_DATA is set and not a readable folder' };
  return { name, status: 'ok', detail: `WEIGHTLOCK_DATA is set, ${entries.length} entries` };
}

/** The folder itself, or the nearest one above it that exists. */
async function nearestFolder(path: string): Promise<string> {
  const full = resolve(path);
  const found = await stat(full).catch(() => undefined);
  return found?.isDirectory() || dirname(full) === full ? full : nearestFolder(dirname(full));
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}
