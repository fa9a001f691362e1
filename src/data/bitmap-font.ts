/** Rows of a letter, and its columns with the gap to the next. */
const [HEIGHT, WIDTH] = [7, 6];

/**
 * The visible characters of ASCII in 5×7 pixels, from the space on: five columns each, the lowest bit is the top row. With
 * letters of its own a contact sheet is labelled on any machine, also where no fonts are installed.
 */
const GLYPHS: readonly string[] = `
0000000000 00005f0000 0007000700 147f147f14 242a7f2a12 2313086462 3649562050 0000070000 001c224100 0041221c00 2a1c7f1c2a
08083e0808 0050300000 0808080808 0060600000 2010080402 3e5149453e 00427f4000 4261514946 2141454b31 1814127f10 2745454539
3c4a494930 0171090503 3649494936 064949291e 0036360000 0056360000 0814224100 1414141414 0041221408 0201510906 324979413e
7e1111117e 7f49494936 3e41414122 7f4141221c 7f49494941 7f09090901 3e4149497a 7f0808087f 00417f4100 2040413f01 7f08142241
7f40404040 7f020c027f 7f0408107f 3e4141413e 7f09090906 3e4151215e 7f09192946 4649494931 01017f0101 3f4040403f 1f2040201f
3f4038403f 6314081463 0708700807 6151494543 007f414100 0204081020 0041417f00 0402010204 4040404040 0001020400 2054545478
7f48444438 3844444420 384444487f 3854545418 087e090102 0c5252523e 7f08040478 00447d4000 2040443d00 7f10284400 00417f4000
7c04180478 7c08040478 3844444438 7c14141408 081414187c 7c08040408 4854545420 043f444020 3c4040207c 1c2040201c 3c4030403c
4428102844 0c5050503c 4464544c44 0008364100 00007f0000 0041360800 0804081008
`
  .trim()
  .split(/\s+/);
/** What other characters are shown as: a box. */
const UNKNOWN = '7f4141417f';

/** A grey canvas of one byte a pixel. */
export interface Canvas {
  /** `[height, width]`. */
  readonly pixels: Uint8Array;
  /** Columns. */
  readonly width: number;
}

/** Rows that text takes. */
export function textHeight(scale: number): number {
  return HEIGHT * scale;
}

/** Columns that a text takes. */
export function textWidth(text: string, scale: number): number {
  return [...plain(text)].length * WIDTH * scale;
}

/** Writes a text in white, each pixel of a letter as a square of `scale` pixels, its upper left corner at (top, left). */
export function drawText(
  { pixels, width }: Canvas,
  text: string,
  { top, left, scale }: { top: number; left: number; scale: number },
): void {
  for (const [position, character] of [...plain(text)].entries()) {
    const glyph = GLYPHS[(character.codePointAt(0) ?? 0) - 0x20] ?? UNKNOWN;
    for (let column = 0; column < WIDTH - 1; column++) {
      const bits = Number.parseInt(glyph.slice(2 * column, 2 * column + 2), 16);
      for (let row = 0; row < HEIGHT; row++) {
        if (((bits >> row) & 1) === 0) continue;
        const x = left + (position * WIDTH + column) * scale;
        for (let y = top + row * scale; y < top + (row + 1) * scale; y++)
          pixels.fill(255, y * width + x, y * width + x + scale);
      }
    }
  }
}

/** Letters without their accents, which the table lacks. */
function plain(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/\p{Cc}/gu, '\u007f');
}
