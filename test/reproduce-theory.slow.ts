import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reproduceSmoke } from './support/reproduce-smoke.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-theory-'));
});
afterAll(() => rm(root, { recursive: true }));

describe('reproduce, at scale smoke, without data sets', () => {
  it('fig2: all networks, both rows, and the bounds hold', () => {
    const { claims, series } = reproduceSmoke('fig2', root);
    const found = new Map(claims.map(({ text, verdict }) => [text.slice(0, 30), verdict]));
    expect(found.get('The bound by σ_max of a weight')).toBe('holds');
    expect(found.get('The bound as the proof of Theo')).toBe('fails');
    expect(series?.map(({ name }) => name)).toEqual([
      'steps',
      'ratio',
      'sharpness',
      'outputs',
      'blocks-mlp',
      'blocks-cnn',
      'blocks-transformer',
    ]);
    expect(found.get('With sums of the k largest sin')).toBe('fails');
    // What keeps every output takes no steps away, what shrinks them does.
    expect(found.get('Balancing that keeps every out')).toBe('fails');
    const findings = claims.map(({ finding }) => finding).join('\n');
    expect(findings).toMatch(/mlp: [\d.]+× as set, [\d.]+× balanced, outputs apart by \de-1[2-6]/);
    expect(findings).toMatch(/mlp: [\d.]+× as set, [\d.]+× rescaled, outputs times 0\.036 to 0\.036/);
    const steps = (label: string) =>
      (series ?? [])
        .find(({ name }) => name === 'steps')
        ?.lines.find((line) => line.panel === 'mlp' && line.label.startsWith(label))
        ?.points.find(({ x }) => x === 4)?.values[0] ?? 0;
    expect(steps('balanced') / steps('as set')).toBeGreaterThan(0.8);
    expect(steps('rescaled') / steps('as set')).toBeLessThan(0.1);
    const ratios = (series ?? []).find(({ name }) => name === 'ratio')?.lines.flatMap(({ points }) => points) ?? [];
    expect(ratios.length).toBe(6);
    for (const { values } of ratios) for (const value of values) expect(value).toBeGreaterThanOrEqual(1);
  });

  it('prediction: stable rates and slowdowns of networks of all kinds, foreseen and measured', () => {
    const { claims, scatters = [] } = reproduceSmoke('prediction', root);
    expect(claims).toHaveLength(6);
    const [rate, slowdown] = scatters;
    expect(rate.pairs.filter(({ form }) => form === 'locked')).toHaveLength(2 * 4);
    expect(new Set(rate.pairs.map(({ label }) => label))).toEqual(new Set(['mlp', 'cnn', 'transformer', 'small CNN']));
    for (const { predicted } of rate.pairs) expect(predicted).toBeGreaterThan(0);
    expect(new Set(slowdown.pairs.map(({ panel }) => panel)).size).toBe(3);
  });
});
