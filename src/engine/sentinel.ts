import type * as ort from 'onnxruntime-node';
import { add, Graph, toOnnx } from '../graph/index.js';

/**
 * Name of the output that keeps onnxruntime-node from copying all others. After a run it copies every output into a new
 * array, also one that was written to an array of the caller; it converts them in order and stops at one that it can't
 * convert, which is this one. Of 47 MB the copies cost 20 ms a run (two threads), mostly for fresh memory.
 */
export const sentinel = '#sentinel';

let known: Promise<string | undefined> | undefined;

/**
 * The message with which onnxruntime-node ends a run that has a {@link sentinel} output after it wrote all results to the
 * arrays of the caller. Found by a trial once a process, since it is what one version does and not a promise.
 *
 * @returns `undefined` where it does something else: then sentinels are of no use.
 */
export function refusalOf(runtime: typeof ort): Promise<string | undefined> {
  known ??= trial(runtime);
  return known;
}

async function trial({ InferenceSession, Tensor }: typeof ort): Promise<string | undefined> {
  const graph = new Graph();
  const model = toOnnx({ y: add(graph.input('x', [2]), 1) }, { sentinel });
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const y = new Float32Array(2);
  try {
    const x = new Tensor('float32', Float32Array.of(1, 2), [2]);
    await session.run({ x }, { [sentinel]: null, y: new Tensor('float32', y, [2]) });
    return undefined;
  } catch (error) {
    return error instanceof Error && y[0] === 2 && y[1] === 3 ? error.message : undefined;
  } finally {
    await session.release();
  }
}
