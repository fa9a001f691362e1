import { describe, expect, it, vi } from 'vitest';
import { Output } from './output.js';
import { formatDuration, formatProgress, formatRate, MovingRate, Progress } from './progress.js';

function capture({ isTTY, columns }: { isTTY: boolean; columns?: number }) {
  const written: string[] = [];
  const stream = { write: (text: string) => written.push(text), on: () => undefined, isTTY, columns };
  return { written, output: new Output({ stdout: stream, stderr: stream }) };
}

describe('formatProgress', () => {
  it('writes the whole line, and leaves out what is unknown', () => {
    expect(formatProgress({ label: 'lock', done: 123, total: 330, rate: 12.3, extra: 'loss 0.41' })).toBe(
      'lock  37 %  123/330  12.3/s  about 17 s left  loss 0.41',
    );
    expect(formatProgress({ label: 'lock', done: 5 })).toBe('lock  5');
    expect(formatProgress({ label: 'attack', done: 30, total: 300, rate: 1, count: '1 of 9 trials' })).toBe(
      'attack  10 %  1 of 9 trials  about 4 min 30 s left',
    );
    expect(formatProgress({ label: 'lock', done: 0, total: 10 })).toBe('lock  0 %  0/10');
    expect(formatProgress({ label: 'lock', done: 0, total: 0 })).toBe('lock  0/0');
  });

  it('says 100 % only at the end, and no time left then', () => {
    expect(formatProgress({ label: 'x', done: 999, total: 1000, rate: 1 })).toBe(
      'x  99 %  999/1000  1.00/s  about 1 s left',
    );
    expect(formatProgress({ label: 'x', done: 1000, total: 1000, rate: 1 })).toBe('x  100 %  1000/1000  1.00/s');
  });
});

describe('formatDuration and formatRate', () => {
  it.each([
    [0.2, '0 s'],
    [59.6, '1 min'],
    [125, '2 min 5 s'],
    [3600, '1 h'],
    [4800, '1 h 20 min'],
    [273_600, '3 d 4 h'],
  ])('%d s: %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });

  it.each([
    [1234.5, '1235/s'],
    [12.34, '12.3/s'],
    [0.5, '0.50/s'],
    [0.05, '3.00/min'],
    [0.001, '3.60/h'],
  ])('%d per second: %s', (rate, text) => {
    expect(formatRate(rate)).toBe(text);
  });
});

describe('MovingRate', () => {
  it('follows a change of speed within its window', () => {
    const rate = new MovingRate();
    for (let second = 0; second <= 100; second++) rate.add(second * 1000, second * 100);
    expect(rate.perSecond()).toBe(100);
    for (let second = 1; second <= 30; second++) rate.add((100 + second) * 1000, 10_000 + second);
    expect(rate.perSecond()).toBe(1);
  });

  it('takes the last half of the time for uneven work, where that is longer', () => {
    const rate = new MovingRate({ uneven: true });
    for (let second = 0; second <= 100; second++) rate.add(second * 1000, second * 100);
    for (let second = 1; second <= 100; second++) rate.add((100 + second) * 1000, 10_000 + second);
    // The window of 100 s holds the slow half.
    expect(rate.perSecond()).toBe(1);
    const short = new MovingRate({ uneven: true });
    for (let second = 0; second <= 40; second++) short.add(second * 1000, second <= 20 ? 0 : second - 20);
    expect(short.perSecond()).toBeCloseTo(20 / 30, 12);
  });

  it('leaves out what was done before', () => {
    const rate = new MovingRate();
    rate.add(0, 0);
    rate.skip(500);
    rate.add(10_000, 520);
    expect(rate.perSecond()).toBe(2);
  });

  it('has a rate for work slower than its window, and for many updates at once', () => {
    const slow = new MovingRate();
    for (let i = 0; i < 5; i++) slow.add(i * 100_000, i);
    expect(slow.perSecond()).toBe(0.01);
    const quick = new MovingRate();
    for (let i = 0; i <= 100_000; i++) quick.add(i / 10, i);
    expect(quick.perSecond()).toBe(10_000);
    expect(new MovingRate().perSecond()).toBeUndefined();
  });
});

describe('Progress', () => {
  it('writes a line at most every ten seconds into a log', () => {
    const { written, output } = capture({ isTTY: false });
    let time = 0;
    const progress = new Progress({ output, label: 'lock', total: 100, now: () => time });
    for (let step = 1; step <= 100; step++) {
      time += 250;
      progress.update(step);
    }
    progress.finish();
    expect(written).toEqual([
      'lock  40 %  40/100  4.00/s  about 15 s left\n',
      'lock  80 %  80/100  4.00/s  about 5 s left\n',
    ]);
  });

  it('rewrites one line on a terminal, cuts it to the width, and clears it before other text', () => {
    const { written, output } = capture({ isTTY: true, columns: 20 });
    let time = 0;
    const progress = new Progress({ output, label: 'lock', total: 10, now: () => time });
    progress.update(1, { extra: 'a long remark' });
    time = 50;
    progress.update(2);
    output.print('result');
    progress.finish();
    expect(written).toEqual(['\r\u001b[2Klock  10 %  1/10  a', '\r\u001b[2K', 'result\n']);
  });

  it('counts the rate of a resumed run from where it resumed', () => {
    const { written, output } = capture({ isTTY: false });
    let time = 0;
    const progress = new Progress({ output, label: 'lock', total: 1000, done: 900, now: () => time });
    time = 10_000;
    progress.update(910);
    expect(written).toEqual(['lock  91 %  910/1000  1.00/s  about 1 min 30 s left\n']);
  });

  it('shows the tokens a second beside the steps, where batches are of tokens', () => {
    const { written, output } = capture({ isTTY: false });
    let time = 0;
    const progress = new Progress({ output, label: 'train', total: 100, now: () => time });
    for (let step = 1; step <= 40; step++) {
      time += 500;
      progress.update(step, { extra: 'loss 0.100', tokens: step <= 20 ? 380 : 1000 });
    }
    expect(written).toEqual([
      'train  20 %  20/100  2.00/s  760 tokens/s  about 40 s left  loss 0.100\n',
      'train  40 %  40/100  2.00/s  1,380 tokens/s  about 30 s left  loss 0.100\n',
    ]);
  });

  it('shows nothing without an output', () => {
    const written = (['stdout', 'stderr'] as const).map((stream) => vi.spyOn(process[stream], 'write'));
    const progress = new Progress({ label: 'lock' });
    progress.update(1);
    progress.finish();
    const calls = written.flatMap((spy) => spy.mock.calls);
    for (const spy of written) spy.mockRestore();
    expect(calls).toEqual([]);
  });
});
