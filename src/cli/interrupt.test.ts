import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { InterruptedError } from '../formats/index.js';
import { handleInterrupts } from './interrupt.js';

describe('handleInterrupts', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('%s: first aborts, second exits with 130', (name) => {
    const source = new EventEmitter();
    const notes: string[] = [];
    const exits: number[] = [];
    const { signal, dispose } = handleInterrupts({
      source,
      exit: (code) => exits.push(code),
      note: (text) => notes.push(text),
    });
    expect(signal.aborted).toBe(false);
    source.emit(name);
    expect([signal.aborted, exits, notes.length]).toEqual([true, [], 1]);
    expect(() => signal.throwIfAborted()).toThrow(InterruptedError);
    source.emit('SIGINT');
    expect(exits).toEqual([130]);
    dispose();
    expect(source.listenerCount('SIGINT') + source.listenerCount('SIGTERM')).toBe(0);
  });
});
