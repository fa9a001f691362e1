/** Width of a letter of a legend's labels, of the mark before one, and of the gap between two columns, in pixels. */
const [letter, mark, gap] = [6.5, 24, 20];

/**
 * Columns of a legend above a chart: as many as leave it no wider than the chart, which would be scaled down for its sake.
 *
 * @param labels - All of them; columns are as wide as their longest one.
 * @param width - Of the chart, in pixels.
 * @param most - Columns at most; at least one there is in any case.
 */
export function legendColumns(labels: readonly string[], width: number, most = 5): number {
  const widthOf = (columns: number) => {
    const longest = Array.from({ length: columns }, () => 0);
    for (const [i, { length }] of labels.entries())
      longest[i % columns] = Math.max(longest[i % columns], mark + letter * length);
    return longest.reduce((sum, each) => sum + each, gap * (columns - 1));
  };
  let columns = Math.max(1, Math.min(most, labels.length));
  while (columns > 1 && widthOf(columns) > width) columns--;
  return columns;
}
