import { describe, expect, it } from 'vitest';
import { courseSchedule, courseSteps } from './course.js';

describe('courseSteps', () => {
  it('counts epochs in batches, a part of one as a whole step, and ignores steps then', () => {
    expect(courseSteps({ steps: 7 }, 100, 32)).toBe(7);
    expect(courseSteps({ steps: 7, epochs: 1 }, 100, 32)).toBe(4);
    expect(courseSteps({ steps: 7, epochs: 10 }, 60_000, 32)).toBe(18_750);
    expect(courseSteps({ steps: 7, epochs: 0.5 }, 100, 25)).toBe(2);
    expect(courseSteps({ steps: 7, epochs: 2 }, 5, 64)).toBe(2);
  });
});

describe('courseSchedule', () => {
  it('falls with every epoch where it is step', () => {
    const { factor } = courseSchedule({ schedule: 'step', gamma: 0.5 }, 10);
    expect([0, 9, 10, 19, 20].map((step) => factor(step, 100))).toEqual([1, 1, 0.5, 0.5, 0.25]);
  });

  it('is the one of the registry otherwise', () => {
    expect(courseSchedule({ schedule: 'linear', gamma: 0.5 }, 10).factor(50, 100)).toBe(0.5);
    expect(() => courseSchedule({ schedule: 'steps', gamma: 0.5 }, 10)).toThrow('did you mean "step"');
  });
});
