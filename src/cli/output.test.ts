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

  const hostile = 'a\u001b]0;b\u0007\r\u009b2Jc\u202ed\u2028e\ud800';
  const harmless = 'a�]0;b� �2Jc�d e�';

  it('shows unprintable characters of any text, and keeps its lines', () => {
    const [stdout, stderr] = [new Pipe(), new Pipe()];
    const output = new Output({ stdout, stderr });
    output.print(`one\n${hostile}`);
    output.note(`${hostile}\nσ₁ 漢字 👩‍🔬\n`);
    expect(stdout.written).toEqual([`one\n${harmless}\n`]);
    expect(stderr.written).toEqual([`${harmless}\nσ₁ 漢字 👩‍🔬\n`]);
  });

  it('keeps the live line one harmless line within the terminal, wide characters counted', () => {
    const [stdout, stderr] = [new Pipe(), Object.assign(new Pipe(), { isTTY: true, columns: 11 })];
    const output = new Output({ stdout, stderr });
    output.live('\u001b[31mx\ny');
    output.live('漢字漢字漢字');
    expect(stderr.written).toEqual(['\r\u001b[2K�[31mx y', '\r\u001b[2K漢字漢字漢']);
    output.live(hostile);
    output.note('done');
    expect(stderr.written.slice(2)).toEqual([`\r\u001b[2K${harmless.slice(0, 10)}`, '\r\u001b[2K', 'done\n']);
  });

  it('escapes JSON without a change of its values', () => {
    const [stdout, stderr] = [new Pipe(), new Pipe()];
    const value = { [hostile]: [hostile, '漢字 🔒'] };
    new Output({ stdout, stderr }).json(JSON.stringify(value, null, 2));
    expect(JSON.parse(stdout.written[0])).toEqual(value);
    expect(stdout.written[0].replaceAll('\n', '')).toMatch(/^[ -~漢字🔒]+$/u);
  });
});
