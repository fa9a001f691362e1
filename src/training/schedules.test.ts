import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { InputError } from '../registry/index.js';
import { cosineSchedule, linearSchedule, schedules } from './index.js';

interface Fixture {
  cases: { schedule: string; options: Record<string, unknown>; totalSteps: number; factors: number[] }[];
}

const fixture: Fixture = JSON.parse(
  readFileSync(new URL('../../test/fixtures/schedules.json', import.meta.url), 'utf8'),
);

describe('schedules equal torch.optim.lr_scheduler', () => {
  it.each(fixture.cases)('$schedule $options', ({ schedule: name, options, totalSteps, factors }) => {
    const schedule = schedules.get(name).create(options);
    // torch's cosine rises again past the end; see the test below.
    const compared = name === 'cosine' ? factors.slice(0, totalSteps + 1) : factors;
    const errors = compared.map((factor, step) => Math.abs(schedule.factor(step, totalSteps) - factor));
    expect(errors.length).toBeGreaterThanOrEqual(totalSteps);
    const worst = Math.max(...errors);
    const where = errors.indexOf(worst);
    expect(worst <= 1e-6, `error ${worst} at step ${where}, for ${factors[where]}`).toBe(true);
  });

  it('covers every schedule', () => {
    expect(new Set(fixture.cases.map(({ schedule }) => schedule))).toEqual(new Set(schedules.names()));
  });

  it('still differs where it means to: a cosine stays at its end, torch rises again', () => {
    const { totalSteps, factors, options } =
      fixture.cases.find(({ schedule }) => schedule === 'cosine') ?? fixture.cases[0];
    expect(factors[totalSteps + 4]).toBeGreaterThan(0.02);
    expect(
      schedules
        .get('cosine')
        .create(options)
        .factor(totalSteps + 4, totalSteps),
    ).toBe(0);
  });
});

describe.each(schedules.entries())('schedule $name', (entry) => {
  it('has a strict schema with defaults and a description for each key', () => {
    const defaults = entry.options.parse({});
    expect(Object.keys(defaults)).toEqual(Object.keys(entry.options.shape));
    expect(entry.options.parse(defaults)).toEqual(defaults);
    expect(entry.options.safeParse({ nonsense: 1 }).success).toBe(false);
    expect(() => entry.create({ nonsense: 1 })).toThrow(InputError);
    expect(() => entry.create({ warmupSteps: 1.5 })).toThrow(`${entry.name}.warmupSteps`);
    expect(entry.description).not.toBe('');
    for (const [key, option] of Object.entries(entry.options.shape)) {
      expect((option as { description?: string }).description, key).toMatch(/^\S.*\S$/);
    }
    expect(entry.create().name).toBe(entry.name);
  });

  it('starts at 1 without warmup, stays within 0 and 1, and says the same twice', () => {
    const schedule = entry.create();
    expect(schedule.factor(0, 100)).toBe(1);
    for (const totalSteps of [0, 1, 7, 3000]) {
      for (const step of [0, 1, 6, 7, 2999, 3000, 1e6]) {
        const factor = schedule.factor(step, totalSteps);
        expect(factor >= 0 && factor <= 1, `${factor} at ${step} of ${totalSteps}`).toBe(true);
        expect(entry.create().factor(step, totalSteps)).toBe(factor);
      }
    }
  });

  it('rises in a line during the warmup, then begins', () => {
    const schedule = entry.create({ warmupSteps: 4 });
    expect([0, 1, 2, 3, 4].map((step) => schedule.factor(step, 50))).toEqual([0, 0.25, 0.5, 0.75, 1]);
    // A warmup longer than the run only rises.
    expect(entry.create({ warmupSteps: 100 }).factor(9, 10)).toBeCloseTo(0.09, 12);
  });
});

describe('has a unique name and known ends', () => {
  it('has unique names', () => {
    expect(new Set(schedules.names()).size).toBe(schedules.entries().length);
  });

  it('ends where the options say', () => {
    expect(linearSchedule({ endFactor: 0.25 }).factor(80, 80)).toBe(0.25);
    expect(cosineSchedule({ minFactor: 0.25, warmupSteps: 10 }).factor(80, 80)).toBe(0.25);
  });
});
