import { EventEmitter } from 'node:events';
import { expect, it, vi } from 'vitest';
import type { SearchResult } from '../search/search.js';
import { runAttackTasks } from './pool.js';
import type { AttackTask } from './task.js';
import type { WorkerReply, WorkerRequest } from './worker.js';

const { asked, fork } = vi.hoisted(() => ({ asked: [] as WorkerRequest[], fork: vi.fn() }));
vi.mock('node:child_process', () => ({ fork }));

/** A process that finds the same for every task, at once. */
class Found extends EventEmitter {
  exitCode = null;
  signalCode = null;
  kill = vi.fn();
  send(request: WorkerRequest) {
    asked.push(request);
    const reply: WorkerReply = { kind: 'result', result: { search: [], learningRate: 1, trials: [] } };
    queueMicrotask(() => this.emit('message', reply));
  }
}

it('processes that work side by side share the memory that compiled programs may hold', async () => {
  fork.mockImplementation(() => new Found());
  const tasks = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id }) as AttackTask);
  const found: Record<string, SearchResult> = {};
  const onResult = async ({ id }: AttackTask, result: SearchResult) => {
    found[id] = result;
  };
  await runAttackTasks(tasks, { workers: 4, engine: { threads: 1, memory: 4e6 }, onResult });
  expect(Object.keys(found).toSorted()).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(fork).toHaveBeenCalledTimes(4);
  expect(asked.map(({ engine }) => engine)).toEqual(Array(5).fill({ threads: 1, memory: 1e6 }));
  // No more than there are tasks share it.
  asked.length = 0;
  await runAttackTasks(tasks.slice(0, 2), { workers: 4, engine: { memory: 4e6 }, onResult });
  expect(asked.map(({ engine }) => engine)).toEqual(Array(2).fill({ memory: 2e6 }));
});

it('starts no more processes than memory holds with the weights of the model, and says so', async () => {
  fork.mockReset();
  fork.mockImplementation(() => new Found());
  const tasks = ['a', 'b', 'c'].map((id) => ({ id }) as AttackTask);
  const [onFewer, onResult] = [vi.fn(), vi.fn()];
  await runAttackTasks(tasks, { workers: 3, weightBytes: 1e15, onFewer, onResult });
  expect(fork).toHaveBeenCalledTimes(1);
  expect(onResult).toHaveBeenCalledTimes(3);
  expect(onFewer.mock.calls).toEqual([[1]]);
  fork.mockClear();
  await runAttackTasks(tasks, { workers: 3, weightBytes: 1e3, engine: { memory: 1e6 }, onFewer, onResult });
  expect(fork).toHaveBeenCalledTimes(3);
  expect(onFewer).toHaveBeenCalledTimes(1);
});
