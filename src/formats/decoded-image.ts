/** What an image's header says. */
export interface ImageHeader {
  /** 1 grey, 3 red, green, blue. */
  readonly channels: 1 | 3;
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
}

/** An image as bytes, channel by channel. */
export interface DecodedImage extends ImageHeader {
  /** `[channels, height, width]`, 0 black to 255. */
  readonly pixels: Uint8Array;
}
