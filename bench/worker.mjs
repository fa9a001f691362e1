// Our side of one benchmark as a process: `run N` does N steps and answers with their seconds, `end` with peak memory.
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { makeStep } from './cases.mjs';

const [threads, name, device = 'cpu'] = process.argv.slice(2);
const { step } = await makeStep(name, { threads: Number(threads), device });

function peakBytes() {
  if (!existsSync('/proc/self/status')) return process.resourceUsage().maxRSS * 1024;
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
}

const answer = (value) => console.log(JSON.stringify(value));
answer({ version: `weightlock on Node ${process.version}` });
for await (const line of createInterface({ input: process.stdin })) {
  if (line.startsWith('end')) {
    answer({ peakBytes: peakBytes() });
    process.exit(0);
  }
  const count = Number(line.split(' ')[1]);
  const start = performance.now();
  let loss;
  for (let i = 0; i < count; i++) loss = await step();
  answer({ seconds: (performance.now() - start) / 1000, loss });
}
