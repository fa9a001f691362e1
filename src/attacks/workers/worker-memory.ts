/** What a process holds before any model: Node.js and ONNX Runtime. */
const baseBytes = 340e6;

/** Copies of the weights that a trial holds: released, trained, gradients, two means, and those that utility is judged by. */
const copies = 6;

/** Programs hold outputs as large as the weights, the gradients among them: with less than this many of them they are compiled again and again. */
const leastPrograms = 2;

/** Share of the free memory that processes are planned with. */
export const plannedShare = 0.9;

/** Bytes that a process which attacks or locks a model takes at least. @param weightBytes - Of the model in float32. */
export function bytesOfProcess(weightBytes: number): number {
  return baseBytes + (copies + leastPrograms) * weightBytes;
}

/** How many processes work side by side, and what the compiled programs of each may hold. */
export interface WorkerShare {
  /** At least one. */
  readonly workers: number;
  /** Bytes. */
  readonly memory: number;
}

/**
 * Divides memory among processes that each attack a model, so that none is killed for want of it: as many as fit, and of what their
 * weights leave each an equal part for compiled programs.
 *
 * @param wanted - `workers`: processes at most. `programs`: bytes that all compiled programs together may hold at most. `weightBytes`: of
 *   the largest model in float32. `free`: bytes.
 */
export function shareOfMemory({
  workers,
  programs,
  weightBytes,
  free,
}: {
  workers: number;
  programs: number;
  weightBytes: number;
  free: number;
}): WorkerShare {
  const each = baseBytes + copies * weightBytes;
  const left = (count: number) => plannedShare * free - count * each;
  let count = workers;
  while (count > 1 && left(count) < count * leastPrograms * weightBytes) count--;
  const least = leastPrograms * weightBytes * count;
  return { workers: count, memory: Math.min(programs, Math.max(left(count), least)) / count };
}
