/** A number with a minus, and none before what rounds to 0. */
export function signed(value: number, digits: number): string {
  return value
    .toFixed(digits)
    .replace(/^-(?=[0.]*$)/, '')
    .replace('-', '−');
}

/** `−13.5`, of a share that may be below 0: its hundredths, which are points of accuracy. */
export function hundredths(share: number): string {
  return signed(100 * share, 1);
}
