/** A record of an archive that is made for a test. */
export interface ZipRecordText {
  name: string;
  data: Uint8Array;
  /** Compression method; default 0, stored. */
  method?: number;
  flags?: number;
  /** Size that the directory names in the place of the real one. */
  unpacked?: number;
  /** Where the directory says it begins, in the place of the real one. */
  local?: number;
  /** Gives sizes and place as 64-bit numbers. */
  wide?: boolean;
}

/** The bytes of a zip archive; nothing is checked, and checksums are 0. */
export function zipFile(records: readonly ZipRecordText[], { wide = false, comment = '' } = {}): Uint8Array {
  const parts: Buffer[] = [];
  const entries: Buffer[] = [];
  let at = 0;
  for (const { name, data, method = 0, flags = 0, unpacked = data.length, local = at, wide: is64 = false } of records) {
    const text = Buffer.from(name);
    const header = Buffer.alloc(30);
    header.writeUInt32LE(0x04034b50, 0);
    header.writeUInt16LE(text.length, 26);
    parts.push(header, text, Buffer.from(data));
    const extra = Buffer.alloc(is64 ? 28 : 0);
    if (is64) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      [unpacked, data.length, local].forEach((value, i) => void extra.writeBigUInt64LE(BigInt(value), 4 + 8 * i));
    }
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(flags, 8);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(is64 ? 0xffffffff : data.length, 20);
    entry.writeUInt32LE(is64 ? 0xffffffff : unpacked, 24);
    entry.writeUInt16LE(text.length, 28);
    entry.writeUInt16LE(extra.length, 30);
    entry.writeUInt32LE(is64 ? 0xffffffff : local, 42);
    entries.push(entry, text, extra);
    at += header.length + text.length + data.length;
  }
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(wide ? 0xffff : records.length, 10);
  end.writeUInt32LE(wide ? 0xffffffff : directory.length, 12);
  end.writeUInt32LE(wide ? 0xffffffff : at, 16);
  end.writeUInt16LE(Buffer.byteLength(comment), 20);
  const end64 = Buffer.alloc(wide ? 56 + 20 : 0);
  if (wide) {
    end64.writeUInt32LE(0x06064b50, 0);
    end64.writeBigUInt64LE(BigInt(records.length), 32);
    end64.writeBigUInt64LE(BigInt(directory.length), 40);
    end64.writeBigUInt64LE(BigInt(at), 48);
    end64.writeUInt32LE(0x07064b50, 56);
    end64.writeBigUInt64LE(BigInt(at + directory.length), 64);
  }
  return new Uint8Array(Buffer.concat([...parts, directory, end64, end, Buffer.from(comment)]));
}
