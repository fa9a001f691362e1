import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseOptions, withChoices } from '../registry/index.js';
import { courseSchedule, courseSteps, createSchedule, scheduleOptions } from './course.js';

describe('courseSteps', () => {
  it('counts epochs in batches, a part of one as a whole step, and ignores steps then', () => {
    expect(courseSteps({ steps: 7 }, 100, 32)).toBe(7);
    expect(courseSteps({ steps: 7, epochs: 1 }, 100, 32)).toBe(4);
    expect(courseSteps({ steps: 7, epochs: 10 }, 60_000, 32)).toBe(18_750);
    expect(courseSteps({ steps: 7, epochs: 0.5 }, 100, 25)).toBe(2);
    expect(courseSteps({ steps: 7, epochs: 2 }, 5, 64)).toBe(2);
  });
});

describe('createSchedule', () => {
  it('falls with every epoch where it is step', () => {
    const { factor } = createSchedule({ name: 'step', options: { gamma: 0.5 } }, 10);
    expect([0, 9, 10, 19, 20].map((step) => factor(step, 100))).toEqual([1, 1, 0.5, 0.5, 0.25]);
  });

  it('is the one of the registry otherwise', () => {
    expect(createSchedule({ name: 'linear' }, 10).factor(50, 100)).toBe(0.5);
    expect(() => createSchedule({ name: 'steps' }, 10)).toThrow('did you mean "step"');
  });
});

describe('scheduleOptions', () => {
  const schema = withChoices(z.strictObject(scheduleOptions('cosine')));
  const factors = (options: unknown, steps: readonly number[]) => {
    const schedule = courseSchedule(parseOptions(schema, options, 'train'), 10);
    return steps.map((step) => schedule.factor(step, 100));
  };

  it('gives each schedule its own options, the warm-up among them', () => {
    expect(factors({}, [0, 50, 100])).toEqual([1, expect.closeTo(0.5, 12), 0]);
    expect(factors({ cosine: { minFactor: 0.2, warmupSteps: 4 } }, [0, 1, 4, 52, 100])).toEqual([
      0,
      0.25,
      1,
      expect.closeTo(0.6, 12),
      0.2,
    ]);
    expect(factors({ schedule: 'constant', constant: { warmupSteps: 2, warmupStart: 0.5 } }, [0, 1, 2])).toEqual([
      0.5, 0.75, 1,
    ]);
  });

  it('lets step fall by 0.7 with every epoch, or as it is told', () => {
    expect(factors({ schedule: 'step' }, [9, 10, 20])).toEqual([1, 0.7, expect.closeTo(0.49, 12)]);
    expect(factors({ schedule: 'step', step: { stepSize: 3, gamma: 0.5 } }, [2, 3, 6])).toEqual([1, 0.5, 0.25]);
  });

  it('refuses options of a schedule that is not chosen', () => {
    expect(() => factors({ step: { gamma: 0.5 } }, [])).toThrow(
      'train.step: expected options of cosine alone, the chosen schedule',
    );
  });
});
