import { type Decoder, type DecoderSequence, library } from './library.js';

/**
 * Puts a decoder of byte tokens that does as the Rust library `tokenizers` in the place of that of `@huggingface/tokenizers`,
 * which swallows U+FEFF and writes one U+FFFD for several bytes that are no character.
 */
export function mendDecoder(decoder: Decoder | null): Decoder | null {
  switch (decoder?.config.type) {
    case 'Sequence': {
      const sequence = decoder as DecoderSequence;
      sequence.decoders = sequence.decoders.map((each) => mendDecoder(each) ?? each);
      return sequence;
    }
    case 'ByteFallback':
      return new ByteFallback(decoder?.config);
    default:
      return decoder;
  }
}

/** `decoders/byte_fallback.rs`: a run of byte tokens is a text, or one U+FFFD a token where it is none. */
class ByteFallback extends library.Decoder {
  override decode_chain(tokens: string[]): string[] {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const found: string[] = [];
    let run: number[] = [];
    const finish = () => {
      if (run.length === 0) return;
      try {
        found.push(decoder.decode(Uint8Array.from(run)));
      } catch {
        found.push(...run.map(() => '\ufffd'));
      }
      run = [];
    };
    for (const token of tokens) {
      const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
      if (byte !== undefined) run.push(Number.parseInt(byte, 16));
      else {
        finish();
        found.push(token);
      }
    }
    finish();
    return found;
  }
}
