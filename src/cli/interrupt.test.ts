import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { InterruptedError } from '../registry/index.js';
import { handleInterrupts } from './interrupt.js';

describe('handleInterrupts', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    '%s: the first aborts, the next in the same turn ends the process by its signal',
    (name) => {
      const source = new EventEmitter();
      const notes: string[] = [];
      const ends: string[] = [];
      const { signal, dispose } = handleInterrupts({
        source,
        end: (signal) => ends.push(signal),
        terminal: false,
        note: (text) => notes.push(text),
      });
      expect(signal.aborted).toBe(false);
      source.emit(name);
      expect([signal.aborted, ends, notes.length]).toEqual([true, [], 1]);
      expect(() => signal.throwIfAborted()).toThrow(InterruptedError);
      source.emit('SIGINT');
      expect(ends).toEqual(['SIGINT']);
      dispose();
      expect(source.listenerCount('SIGINT') + source.listenerCount('SIGTERM')).toBe(0);
    },
  );

  it('does not listen any more from the next turn on', async () => {
    const source = new EventEmitter();
    handleInterrupts({ source, terminal: false, note: () => undefined });
    source.emit('SIGTERM');
    await new Promise((turn) => setImmediate(turn));
    expect(source.listenerCount('SIGINT') + source.listenerCount('SIGTERM')).toBe(0);
  });

  /** A process that listens, says that it does, and then does what never ends; each line it writes is awaited once. */
  async function stuck(options: string, work: string) {
    const module = JSON.stringify(pathToFileURL(resolve('dist/cli/interrupt.js')).href);
    const script = `
import { handleInterrupts } from ${module};
import { writeSync } from 'node:fs';
const note = () => writeSync(1, 'heard');
const { signal } = handleInterrupts({ note, ${options} });
${work}`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = once(child, 'exit');
    await once(child.stdout, 'data');
    // The child leads a group of its own, so that its number stands for the group, as it does for a terminal.
    const group = -(child.pid ?? 0);
    return { child, exit, group };
  }

  it.each([
    ['an endless loop', 'for (;;);'],
    [
      'a file call that holds a thread, for which process.exit would wait',
      `const { execFileSync } = await import('node:child_process');
       const { open } = await import('node:fs');
       execFileSync('mkfifo', [process.env.FIFO]);
       open(process.env.FIFO, 'r', () => undefined);`,
    ],
  ])('the second ends a process whose work went into %s after the first', async (_, work) => {
    process.env.FIFO = `/tmp/weightlock-fifo-${process.pid}`;
    const { child, exit } = await stuck(
      '',
      `signal.addEventListener('abort', () => setTimeout(async () => { ${work} }, 50));
       setInterval(() => undefined, 1000);
       writeSync(1, 'ready');`,
    );
    child.kill('SIGINT');
    await once(child.stdout, 'data');
    await new Promise((later) => setTimeout(later, 500));
    child.kill('SIGTERM');
    expect(await exit).toEqual([null, 'SIGTERM']);
    rmSync(process.env.FIFO, { force: true });
  });

  it('two of a terminal end a process that was busy before the first', async () => {
    const { exit, group } = await stuck(
      'terminal: true',
      // The guard needs its time to start, as it does before a person's hand reaches Ctrl-C.
      `setTimeout(() => { writeSync(1, 'busy'); for (;;); }, 3000);`,
    );
    process.kill(group, 'SIGINT');
    await new Promise((later) => setTimeout(later, 300));
    process.kill(group, 'SIGINT');
    expect(await exit).toEqual([null, 'SIGKILL']);
  });

  it('two that came while a call held the thread end the process when it returns', async () => {
    const { child, exit } = await stuck(
      'terminal: false',
      `writeSync(1, 'busy');
       const end = Date.now() + 1500;
       while (Date.now() < end);
       setInterval(() => undefined, 1000);`,
    );
    child.kill('SIGINT');
    await new Promise((later) => setTimeout(later, 300));
    child.kill('SIGTERM');
    expect((await exit)[0]).toBe(null);
  });
});
