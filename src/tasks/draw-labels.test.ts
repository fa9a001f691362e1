import { expect, it } from 'vitest';
import { NO_CLASS } from '../data/index.js';
import { RandomStream } from '../linalg/index.js';
import { drawLabels } from './draw-labels.js';

const stream = (seed: number) => new RandomStream(seed, 'test');

it('draws each class as often as the softmax says, whatever is added to all logits', () => {
  const rows = 4000;
  const logits = new Float32Array(rows * 3);
  for (let row = 0; row < rows; row++) logits.set([500 + Math.log(1), 500 + Math.log(2), 500 + Math.log(5)], 3 * row);
  const labels = new Int32Array(rows);
  const drawn = drawLabels(logits, { labels }, [stream(1)]).labels as Int32Array;
  const share = (label: number) => drawn.filter((own) => own === label).length / rows;
  for (const [label, expected] of [1 / 8, 2 / 8, 5 / 8].entries()) {
    expect(Math.abs(share(label) - expected)).toBeLessThan(0.03);
  }
  expect(labels.every((label) => label === 0)).toBe(true);
});

it('leaves tokens without a label as they are, and takes a number of the stream for each', () => {
  const logits = Float32Array.from({ length: 6 * 4 }, (_, i) => Math.sin(i));
  const none = BigInt(NO_CLASS);
  const all = BigInt64Array.from([0n, 1n, 2n, 3n, 0n, 1n]);
  const some = all.map((label, at) => (at % 2 === 0 ? none : label));
  // Two texts of three tokens.
  const draw = (labels: BigInt64Array) => [...drawLabels(logits, { labels }, [stream(7), stream(8)]).labels];
  const [whole, part] = [draw(all), draw(some)];
  expect(part).toEqual(whole.map((label, at) => (at % 2 === 0 ? none : label)));
  // The second text is drawn as if it were alone.
  const second = drawLabels(logits.slice(12), { labels: all.slice(3) }, [stream(8)]);
  expect([...second.labels]).toEqual(whole.slice(3));
  expect(whole.every((label) => label >= 0n && label < 4n)).toBe(true);
});
