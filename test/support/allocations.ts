import { type HeapProfiler, Session } from 'node:inspector';

/** What an allocation profile needs to be summed; Node's types lack the two flags for collected objects. */
interface SamplingOptions extends HeapProfiler.StartSamplingParameterType {
  includeObjectsCollectedByMajorGC: boolean;
  includeObjectsCollectedByMinorGC: boolean;
}

/**
 * Bytes that a function allocates on the JavaScript heap, garbage included, and in array buffers that are still alive.
 *
 * V8 samples about one allocation in 16 KiB, so the number is an estimate: good to a few percent above a megabyte.
 */
export function allocatedBytes(run: () => void): number {
  const session = new Session();
  session.connect();
  const options: SamplingOptions = {
    samplingInterval: 16384,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  };
  session.post('HeapProfiler.startSampling', options);
  const before = process.memoryUsage().arrayBuffers;
  run();
  const buffers = Math.max(0, process.memoryUsage().arrayBuffers - before);
  let heap = 0;
  // In its own thread, a session answers before post() returns.
  session.post('HeapProfiler.stopSampling', (_, { profile }) => {
    const open = [profile.head];
    for (let node = open.pop(); node; node = open.pop()) {
      heap += node.selfSize;
      open.push(...node.children);
    }
  });
  session.disconnect();
  return heap + buffers;
}
