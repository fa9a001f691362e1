import { describe, expect, it } from 'vitest';
import { type LabelPlace, placeLabels } from './place-labels.js';

const plot = { width: 400, height: 300, fontSize: 12 };

/** The label's rectangle with every character as wide as the widest usual one, half an em. */
function rectangle(point: { x: number; y: number; text: string }, place: LabelPlace) {
  const width = point.text.length * 6;
  const left = point.x + place.dx - (place.align === 'left' ? 0 : place.align === 'right' ? width : width / 2);
  const top = point.y + place.dy - (place.baseline === 'top' ? 0 : place.baseline === 'bottom' ? 12 : 6);
  return { left, right: left + width, top, bottom: top + 12 };
}

describe('placeLabels', () => {
  it('stands to the right of a point by itself', () => {
    expect(placeLabels([{ x: 100, y: 100, text: 'alone' }], plot)).toEqual([
      { align: 'left', baseline: 'middle', dx: 9, dy: 0 },
    ]);
  });

  it('turns inwards at the right edge, and away from an obstacle', () => {
    expect(placeLabels([{ x: 395, y: 100, text: 'edge' }], plot)[0].align).toBe('right');
    const obstacles = [{ left: 60, right: 160, top: 98, bottom: 102 }];
    expect(placeLabels([{ x: 100, y: 100, text: 'range' }], { ...plot, obstacles })[0].baseline).toBe('bottom');
  });

  it('keeps the labels of a cluster apart and inside the plot', () => {
    const points = [0, 1, 2, 3, 4].map((index) => ({
      x: 200 + 14 * index,
      y: 150 + 9 * (index % 2),
      text: `k ${index}`,
    }));
    const boxes = placeLabels(points, plot).map((place, index) => rectangle(points[index], place));
    boxes.forEach((a, i) => {
      expect(a.left).toBeGreaterThanOrEqual(0);
      expect(a.right).toBeLessThanOrEqual(plot.width);
      boxes.slice(i + 1).forEach((b, j) => {
        const apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
        expect(apart, `labels ${i} and ${i + 1 + j}`).toBe(true);
      });
    });
  });
});
