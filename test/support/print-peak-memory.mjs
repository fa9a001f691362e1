// Preloaded into a child process: says at its end how much memory it held at most, in bytes, as the last line of stderr.
import { readFileSync } from 'node:fs';

process.on('exit', () => {
  process.stderr.write(`${peakMemory()}\n`);
});

function peakMemory() {
  // Linux counts the parent's memory at the fork into the resource usage; the high water mark is the process's own.
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
}
