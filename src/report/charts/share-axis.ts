/** Ends of an axis of shares, from which the least that holds all values is taken. */
const ends = [0.2, 0.4, 1];

/** An axis of shares in percent that begins at 0, and ends at 100 % unless all values are small, which would lie in its lowest part. */
export function shareAxis(values: Iterable<number>, least = 0) {
  let largest = 0;
  for (const value of values) if (value > largest) largest = value;
  const end = ends.find((each) => each >= largest) ?? 1;
  return {
    scale: { domain: [least, end] },
    axis: {
      domain: false,
      grid: true,
      labelExpr: "format(100 * datum.value, '.0f') + ' %'",
      values: [0, 0.25, 0.5, 0.75, 1].map((share) => share * end),
    },
  };
}
