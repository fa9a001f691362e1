import { describe, expect, it } from 'vitest';
import { Output } from './output.js';
import { phaseProgress } from './phase-progress.js';
import { Progress } from './progress.js';

/** The lines that the parts of a work leave in a log; `wait` lets seconds pass. */
function logged(run = { resumed: false }) {
  const lines: string[] = [];
  const stream = { write: (text: string) => lines.push(text.trimEnd()), on: () => undefined };
  const output = new Output({ stdout: stream, stderr: stream });
  let time = 0;
  const wait = (seconds: number) => {
    time += 1000 * seconds;
  };
  const phases = phaseProgress({ progress: (options) => new Progress({ ...options, output, now: () => time }) }, run);
  return { lines, wait, phases };
}

describe('phaseProgress', () => {
  it('leaves a line for each finished part, with its steps and its time', () => {
    const { lines, wait, phases } = logged();
    for (const [label, steps] of [['train', 1500] as const, ['lock', 1] as const]) {
      phases.begin(label, steps);
      for (let step = 1; step <= steps; step++) {
        wait(0.008);
        phases.advance(step, 'loss 0.1');
      }
      phases.end();
    }
    expect(lines).toEqual([
      'train  83 %  1250/1500  125/s  about 2 s left  loss 0.1',
      'train  1500 steps  12 s',
      'lock  1 step  0 s',
    ]);
  });

  it('does not count trials of 240 and 40 steps alike', () => {
    const { lines, wait, phases } = logged();
    phases.begin('attack', 10 * 240 + 10 * 40, { uneven: true });
    for (let trial = 1; trial <= 10; trial++) {
      wait(2.4);
      phases.advanceBy(240, `${trial} of 20 trials`);
    }
    phases.end('10 trials');
    expect(lines).toEqual([
      // 1,200 of 2,800 steps in 12 s: 16 s to go, where half of the trials have taken most of the time.
      'attack  42 %  5 of 20 trials  about 16 s left',
      'attack  85 %  10 of 20 trials  about 4 s left',
      'attack  10 trials  24 s',
    ]);
  });

  it('shows tokens a second of steps and of trials, each part from its beginning', () => {
    const { lines, wait, phases } = logged();
    phases.begin('lock', 12);
    for (let step = 1; step <= 12; step++) {
      wait(1);
      phases.advance(step, 'mean σ 1.0', 200);
    }
    phases.end();
    phases.begin('attack', 20 * 40, { uneven: true });
    for (let trial = 1; trial <= 12; trial++) {
      wait(1);
      phases.advanceBy(40, `${trial} of 20 trials`, 3000);
    }
    expect(lines).toEqual([
      'lock  83 %  10/12  1.00/s  200 tokens/s  about 2 s left  mean σ 1.0',
      'lock  12 steps  12 s',
      'attack  50 %  10 of 20 trials  3,000 tokens/s  about 10 s left',
    ]);
  });

  it('takes no time left from what an earlier run has done, whether in steps or in searches', () => {
    const { lines, wait, phases } = logged({ resumed: true });
    phases.begin('train', 2000);
    for (let step = 1001; step <= 1100; step++) {
      wait(0.1);
      phases.advance(step);
    }
    phases.end();
    phases.begin('attack', 1000, { uneven: true });
    phases.skip(500);
    wait(10);
    phases.advanceBy(100, '6 of 10 trials');
    phases.end('6 trials');
    expect(lines).toEqual([
      'train  55 %  1100/2000  10.0/s  about 1 min 30 s left',
      'train  100 steps (resumed)  10 s',
      'attack  60 %  6 of 10 trials  about 40 s left',
      'attack  6 trials (resumed)  10 s',
    ]);
  });

  it('calls nothing resumed that an earlier part of the same run has done', () => {
    const { lines, wait, phases } = logged();
    phases.begin('attack', 1000, { uneven: true });
    phases.skip(500);
    wait(10);
    phases.advanceBy(100, '6 of 10 trials');
    phases.end('6 trials');
    expect(lines).toEqual(['attack  60 %  6 of 10 trials  about 40 s left', 'attack  6 trials  10 s']);
  });

  it('counts no steps that a stage left out', () => {
    const { lines, wait, phases } = logged();
    phases.begin('lock', 3000);
    for (const step of [1, 2, 2501, 2502]) {
      wait(5);
      phases.advance(step);
    }
    phases.end();
    expect(lines.at(-1)).toBe('lock  4 steps  20 s');
    expect(lines[1]).toBe('lock  83 %  2502/3000  0.20/s  about 41 min 30 s left');
  });

  it('says nothing of a part that did not begin', () => {
    const { lines, phases } = logged();
    phases.advance(1);
    phases.end();
    expect(lines).toEqual([]);
  });
});
