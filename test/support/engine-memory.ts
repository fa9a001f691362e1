import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Growth of resident memory in MiB, in a process of its own, by training steps and by compiling and releasing programs. */
export function memoryGrowth(steps: number, cycles: number): { bySteps: number; byCycles: number } {
  const script = fileURLToPath(new URL('engine-memory.mjs', import.meta.url));
  const output = execFileSync(process.execPath, ['--expose-gc', script, String(steps), String(cycles)], {
    encoding: 'utf8',
  });
  return JSON.parse(output);
}
