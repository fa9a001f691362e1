/** What a file that is no safetensors file is, and what to do about it. */
export interface ForeignFile {
  /** What it is: `a GGUF file of llama.cpp`. */
  readonly what: string;
  /** What to do. */
  readonly advice: string;
}

const convert = 'save the model as safetensors in its own framework and give that';

/** First bytes of formats that models come in, as latin-1 text. */
const signatures: readonly (readonly [start: string, file: ForeignFile])[] = [
  [
    'GGUF',
    {
      what: 'a GGUF file (llama.cpp)',
      advice: 'give it under a name that ends in .gguf',
    },
  ],
  [
    'PK\x03\x04',
    {
      what: 'a zip archive (PyTorch .bin or .pt, or NumPy .npz)',
      advice: 'if torch.save wrote it, give it under the name pytorch_model.bin',
    },
  ],
  ['\x80\x02', { what: 'a Python pickle', advice: convert }],
  ['\x80\x03', { what: 'a Python pickle', advice: convert }],
  ['\x80\x04', { what: 'a Python pickle', advice: convert }],
  ['\x80\x05', { what: 'a Python pickle', advice: convert }],
  ['\x93NUMPY', { what: 'a NumPy array', advice: convert }],
  ['\x89HDF\r\n', { what: 'an HDF5 file (Keras)', advice: convert }],
  ['\x1f\x8b', { what: 'a gzip file', advice: 'unpack it first' }],
  [
    'version https://git-lfs.github.com/',
    { what: 'a pointer of Git LFS in place of the file', advice: 'fetch it with git lfs pull' },
  ],
];

/** How many bytes of a file {@link foreignFile} looks at. */
export const FOREIGN_BYTES = 512;

/**
 * Tells what a file is that cannot be a safetensors file, from its first {@link FOREIGN_BYTES} bytes.
 *
 * @returns `undefined` for unknown bytes.
 */
export function foreignFile(start: Uint8Array): ForeignFile | undefined {
  if (start.length === 0) {
    return {
      what: 'an empty file',
      advice: 'it was perhaps not written or copied to its end; make or download it again',
    };
  }
  const latin = Buffer.from(start).toString('latin1');
  const known = signatures.find(([signature]) => latin.startsWith(signature))?.[1];
  if (known) return known;
  return isText(start)
    ? { what: 'a text file', advice: 'give the model directory or its model.safetensors' }
    : undefined;
}

/** Whether bytes are UTF-8 without control characters but line ends and tabs; a character cut off at the end is none's fault. */
function isText(start: Uint8Array): boolean {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(start, { stream: true });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what text does not hold
    return !/[\0-\x08\x0e-\x1f\x7f]/.test(text);
  } catch {
    return false;
  }
}
