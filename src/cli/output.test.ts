import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Output } from './output.js';

class Pipe extends EventEmitter {
  readonly written: string[] = [];
  write(text: string): void {
    this.written.push(text);
  }
}

describe('Output', () => {
  it('keeps stdout and stderr apart and ends each text with one newline', () => {
    const [stdout, stderr] = [new Pipe(), new Pipe()];
    const output = new Output({ stdout, stderr });
    output.print('result');
    output.print('table\n');
    output.note('remark');
    expect([stdout.written, stderr.written]).toEqual([['result\n', 'table\n'], ['remark\n']]);
  });

  it('goes quiet when the reader is gone, and only then', () => {
    const [stdout, stderr] = [new Pipe(), new Pipe()];
    const output = new Output({ stdout, stderr });
    stdout.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    output.print('lost');
    output.note('heard');
    expect([stdout.written, stderr.written]).toEqual([[], ['heard\n']]);
    const full = Object.assign(new Error('disk full'), { code: 'ENOSPC' });
    expect(() => stderr.emit('error', full)).toThrow('disk full');
  });
});
