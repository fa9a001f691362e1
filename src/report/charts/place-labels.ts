import { estimateTextWidth } from '../format/text.js';

/** A rectangle in pixels, y downwards. */
export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Where a label stands relative to its point, in the terms of a Vega text mark. */
export interface LabelPlace {
  align: 'left' | 'center' | 'right';
  baseline: 'top' | 'middle' | 'bottom';
  dx: number;
  dy: number;
}

/** Distance of a label from the centre of its point, in pixels. */
const GAP = 9;

/** In the order of preference. */
const PLACES: readonly LabelPlace[] = [
  { align: 'left', baseline: 'middle', dx: GAP, dy: 0 },
  { align: 'right', baseline: 'middle', dx: -GAP, dy: 0 },
  { align: 'center', baseline: 'bottom', dx: 0, dy: -GAP },
  { align: 'center', baseline: 'top', dx: 0, dy: GAP },
  { align: 'left', baseline: 'bottom', dx: GAP * 0.7, dy: -GAP * 0.6 },
  { align: 'left', baseline: 'top', dx: GAP * 0.7, dy: GAP * 0.6 },
  { align: 'right', baseline: 'bottom', dx: -GAP * 0.7, dy: -GAP * 0.6 },
  { align: 'right', baseline: 'top', dx: -GAP * 0.7, dy: GAP * 0.6 },
];

function overlap(a: Box, b: Box): number {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return width > 0 && height > 0 ? width * height : 0;
}

function boxOf(x: number, y: number, width: number, height: number, place: LabelPlace): Box {
  const left = x + place.dx - { left: 0, center: width / 2, right: width }[place.align];
  const top = y + place.dy - { top: 0, middle: height / 2, bottom: height }[place.baseline];
  return { left, right: left + width, top, bottom: top + height };
}

/**
 * Chooses for each labelled point, in order, the place at which its label covers least: other points, labels placed
 * before it, `obstacles`, or the outside of the plot.
 */
export function placeLabels(
  points: readonly { x: number; y: number; text: string }[],
  { width, height, fontSize, obstacles = [] }: { width: number; height: number; fontSize: number; obstacles?: Box[] },
): LabelPlace[] {
  const taken: Box[] = [
    ...obstacles,
    ...points.map(({ x, y }) => ({ left: x - 6, right: x + 6, top: y - 6, bottom: y + 6 })),
  ];
  return points.map(({ x, y, text }) => {
    const size = { width: estimateTextWidth(text, fontSize), height: fontSize * 1.25 };
    const area = size.width * size.height;
    const candidates = PLACES.map((place) => {
      const box = boxOf(x, y, size.width, size.height, place);
      const outside = area - overlap(box, { left: 0, right: width, top: 0, bottom: height });
      return { place, box, cost: 4 * outside + taken.reduce((sum, other) => sum + overlap(box, other), 0) };
    });
    const best = candidates.reduce((a, b) => (b.cost < a.cost - 1e-9 ? b : a));
    taken.push(best.box);
    return best.place;
  });
}
