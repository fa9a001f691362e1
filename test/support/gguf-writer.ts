/** A tensor of a file that is made for a test; `offset` where the usual one is not wanted. */
export interface TensorText {
  name: string;
  /** The fastest first, as in the file. */
  dimensions: readonly number[];
  type: number;
  data: Uint8Array;
  offset?: number;
}

/** What a GGUF file of a test holds; nothing is checked. */
export interface GgufText {
  /** Texts as such, numbers as u32, bigints as u64. */
  keys: Readonly<Record<string, string | number | bigint>>;
  /** A key that is written again at the end. */
  twice?: string;
  /** A key with its value's bytes. */
  raw?: { name: string; type: number; bytes: readonly number[] };
  tensors: readonly TensorText[];
}

/** The bytes of a GGUF file of version 3; see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. */
export function ggufFile({ keys, twice, raw, tensors }: GgufText): Uint8Array {
  const parts: Buffer[] = [];
  const u32 = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    parts.push(bytes);
  };
  const u64 = (value: number | bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    parts.push(bytes);
  };
  const text = (value: string) => {
    u64(Buffer.byteLength(value));
    parts.push(Buffer.from(value));
  };
  const entries = [...Object.entries(keys), ...(twice === undefined ? [] : [[twice, keys[twice]] as const])];
  parts.push(Buffer.from('GGUF'));
  u32(3);
  u64(tensors.length);
  u64(entries.length + (raw ? 1 : 0));
  for (const [name, value] of entries) {
    text(name);
    u32(typeof value === 'string' ? 8 : typeof value === 'bigint' ? 10 : 4);
    if (typeof value === 'string') text(value);
    else if (typeof value === 'bigint') u64(value);
    else u32(value);
  }
  if (raw) {
    text(raw.name);
    u32(raw.type);
    parts.push(Buffer.from(raw.bytes));
  }
  let offset = 0;
  for (const tensor of tensors) {
    text(tensor.name);
    u32(tensor.dimensions.length);
    for (const dimension of tensor.dimensions) u64(dimension);
    u32(tensor.type);
    u64(tensor.offset ?? offset);
    offset += Math.ceil(tensor.data.length / 32) * 32;
  }
  const padTo32 = () => parts.push(Buffer.alloc(-Buffer.concat(parts).length & 31));
  for (const { data } of tensors) {
    padTo32();
    parts.push(Buffer.from(data));
  }
  return new Uint8Array(Buffer.concat(parts));
}
