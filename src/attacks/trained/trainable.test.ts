import { expect, it } from 'vitest';
import { type Objective, optimizers } from '../../training/index.js';
import { type MakeTrainable, partRun } from './trainable.js';

it('takes the gradient of a part where its optimizer wants it, and shows the part that is meant to be used', async () => {
  const optimizer = optimizers.get('schedule-free-adamw').create({ betas: [0.5, 0.9] });
  const weights = new Map([['w', Float32Array.of(2)]]);
  const seen: number[] = [];
  const objective: Objective = {
    stepsPerEpoch: 1,
    shapes: new Map([['w', [1]]]),
    compute: async (params) => {
      const [w] = params.get('w') ?? [];
      seen.push(w);
      return { loss: w * w, gradients: new Map([['w', Float32Array.of(2 * w)]]) };
    },
    release: async () => undefined,
  };
  const half = new Map([['half', Float32Array.of(1)]]);
  const make: MakeTrainable = () => ({
    params: half,
    shapes: new Map([['half', [1]]]),
    gradients: (ofModel) => new Map([['half', Float32Array.of(2 * (ofModel.get('w')?.[0] ?? 0))]]),
    write: () => void weights.set('w', Float32Array.of(2 * (half.get('half')?.[0] ?? 0))),
  });
  const part = partRun(objective, weights, optimizer, { make, seed: 1 });
  const state = optimizer.init(part.params, part.shapes);
  const between: number[] = [];
  for (let step = 0; step < 4; step++) {
    optimizer.prepare?.(state, part.params);
    between.push(2 * (half.get('half')?.[0] ?? 0));
    const { gradients } = await part.compute(part.params, step, {});
    await optimizer.update(gradients, state, part.params, 0.1);
    await part.write();
    expect(weights.get('w')).toEqual(Float32Array.of(2 * (half.get('half')?.[0] ?? 0)));
    expect(weights.get('w')).not.toEqual(Float32Array.of(between[step]));
  }
  expect(seen).toEqual(between);
  expect(seen[2]).toBeLessThan(seen[1]);
});
