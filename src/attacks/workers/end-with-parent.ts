import { Worker } from 'node:worker_threads';

/** Runs in a thread of its own, since a step of an attack keeps the main one busy for as long as it takes. */
const WATCH = `
const { workerData } = require('node:worker_threads');
setInterval(() => { if (process.ppid !== workerData) process.kill(process.pid, 'SIGKILL'); }, 250);`;

/**
 * Ends this process when its parent is gone, however it ended and whatever this process is doing. (On Windows, where an
 * orphan keeps its parent's number, the closed channel alone does it, after the step.)
 */
export function endWithParent(): void {
  new Worker(WATCH, { eval: true, execArgv: [], workerData: process.ppid }).unref();
}
