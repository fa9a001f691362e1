import { describe, expect, it } from 'vitest';
import { distance, doubled, doubleForward, drawn, drawnNames } from '../../test/support/drawn-models.js';
import { RandomStream } from '../linalg/index.js';
import { jointsOf, multiplyBlock, scaleUnit, type Unit, unitsOf } from './index.js';

/** A matrix and its inverse: products of a few shears. */
function invertible(d: number, stream: RandomStream) {
  const identity = () => Float64Array.from({ length: d * d }, (_, at) => Number(at % (d + 1) === 0));
  const [matrix, inverse] = [identity(), identity()];
  for (let shear = 0; shear < 3 * d; shear++) {
    const [i, j, by] = [stream.integer(d), stream.integer(d), stream.normal()];
    if (i === j) continue;
    for (let c = 0; c < d; c++) matrix[i * d + c] += by * matrix[j * d + c];
    for (let r = 0; r < d; r++) inverse[r * d + j] -= by * inverse[r * d + i];
  }
  return { matrix, inverse };
}

describe.each(drawnNames)('%s', (name) => {
  const model = drawn(name);
  const joints = jointsOf(model, model.weights);

  it('what stands at a joint together with its inverse changes no output, in double precision; one side of it alone does', async () => {
    const forward = await doubleForward(model);
    const before = await forward.outputs(model.weights);
    const moved = async (change: (weights: ReturnType<typeof doubled>) => void) => {
      const changed = doubled(model.weights);
      change(changed);
      return distance(before, await forward.outputs(changed));
    };
    for (const joint of joints) {
      const stream = new RandomStream(5, joint.name);
      const units = unitsOf(joint);
      const factors = units.map(() => Math.exp(stream.normal()));
      const scaled = (part: (unit: Unit) => Unit) =>
        moved((weights) => units.forEach((unit, at) => void scaleUnit(weights, part(unit), factors[at])));
      expect(await scaled((unit) => unit), joint.name).toBeLessThan(1e-11);
      // A batch norm takes the scale of its convolution from its statistics: these are on the same side.
      const one = (unit: Unit) =>
        unit.over.length > 0 ? { ...unit, over: [] } : { ...unit, times: unit.times.slice(0, 1) };
      expect(await scaled(one), joint.name).toBeGreaterThan(1e-4);
      if (joint.form !== 'matrix') continue;
      const mixed = moved((weights) => {
        for (const block of joint.blocks) multiplyBlock(weights, block, invertible(joint.width, stream));
      });
      expect(await mixed, joint.name).toBeLessThan(1e-9);
    }
    await forward.release();
  });

  it('its joints have names of their own', () => {
    expect(joints.length).toBeGreaterThan(0);
    expect(new Set(joints.map((joint) => joint.name)).size).toBe(joints.length);
  });
});
