import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Prints where the time of a step goes: by phase, by operator, and the costliest nodes. */
export async function printProfile(name, threads, steps) {
  const folder = mkdtempSync(join(tmpdir(), 'weightlock-bench-'));
  // ONNX Runtime writes its profile when the session ends: a process of its own makes that certain.
  const worker = join(import.meta.dirname, 'profile-worker.mjs');
  const run = spawnSync(process.execPath, [worker, name, String(threads), String(steps), join(folder, 'ort')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (run.status !== 0) throw new Error('the profiled process failed; its message is above');
  console.log(`\n${name}, ${threads} threads, milliseconds a step`);
  for (const [phase, total] of Object.entries(JSON.parse(run.stdout))) console.log(row(phase, total / steps));
  const events = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0]), 'utf8'));
  const kernels = events.filter((event) => event.cat === 'Node' && event.name.endsWith('_kernel_time'));
  const half = kernels.slice(Math.floor(kernels.length / 2));
  printTop('by operator', half, ({ args }) => args.op_name, { count: 12, steps });
  printTop('by node', half, ({ name: node, args }) => `${node.replace('_kernel_time', '')} ${shapes(args)}`, {
    count: 25,
    steps,
  });
  rmSync(folder, { recursive: true });
}

function shapes({ input_type_shape: inputs = [] }) {
  return inputs
    .map((input) => `[${Object.values(input)[0]}]`)
    .join(' ')
    .slice(0, 70);
}

function row(label, milliseconds) {
  return `  ${milliseconds.toFixed(3).padStart(9)}  ${label}`;
}

function printTop(title, kernels, keyOf, { count, steps }) {
  const totals = new Map();
  for (const kernel of kernels) totals.set(keyOf(kernel), (totals.get(keyOf(kernel)) ?? 0) + kernel.dur);
  console.log(` ${title}`);
  const sorted = [...totals].sort((a, b) => b[1] - a[1]);
  for (const [key, microseconds] of sorted.slice(0, count)) console.log(row(key, microseconds / 1000 / (steps / 2)));
}
