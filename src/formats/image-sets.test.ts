import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cifarFile, idxFile, write } from '../../test/support/image-data.js';
import { InputError } from '../registry/index.js';
import { listFolder, parseCifar, parseIdx, readCifar, readCifarNames, readIdx } from './index.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weightlock-formats-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Writes bytes and gives the path. */
async function file(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await write(path, bytes);
  return path;
}

const images = idxFile([2, 2, 3], Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));
const labels = idxFile([3], Uint8Array.from([0, 9, 4]));

describe('IDX', () => {
  it('is read as it lies there, plain or gzip, whatever the name says', async () => {
    for (const bytes of [images, gzipSync(images)]) {
      const { shape, data } = await readIdx(await file('a.gz', bytes));
      expect(shape).toEqual([2, 2, 3]);
      expect([...data]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    }
    expect(parseIdx(Uint8Array.from(labels), 'l')).toEqual({ shape: [3], data: Uint8Array.from([0, 9, 4]) });
  });

  const with32 = (at: number, value: number) => {
    const changed = Buffer.from(images);
    changed.writeUInt32BE(value, at);
    return changed;
  };
  it.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(), 'expected an IDX header, found 0 bytes'],
    ['a cut header', images.subarray(0, 11), 'expected an IDX header of 16 bytes, found 11 bytes'],
    ['cut data', images.subarray(0, 27), 'expected 28 bytes for unsigned bytes of shape [2,2,3], found 27'],
    [
      'trailing bytes',
      Buffer.concat([images, Buffer.of(0)]),
      'expected 28 bytes for unsigned bytes of shape [2,2,3], found 29',
    ],
    [
      'floats',
      with32(0, 0x0d03),
      'magic 0x00000801 (labels) or 0x00000803 (images), 0x00000804 with channels, found 0x00000d03',
    ],
    ['two dimensions', with32(0, 0x0802), 'found 0x00000802'],
    ['an empty dimension', with32(8, 0), 'expected no empty dimension, found [2,0,3]'],
    ['a product of 96 bits', with32(4, 0xffffffff), 'found 28'],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => parseIdx(bytes, 'f')).toThrow(InputError);
    expect(() => parseIdx(bytes, 'f')).toThrow(message);
  });

  it('refuses damaged gzip, and decompresses no more than the header says', async () => {
    const gzip = gzipSync(images);
    await expect(readIdx(await file('cut', gzip.subarray(0, 30)))).rejects.toThrow(/cut: expected gzip data/);
    await expect(readIdx(await file('more', Buffer.concat([gzip, Buffer.from('more')])))).rejects.toThrow(InputError);
    // A gigabyte of zeros in a megabyte, behind the header of twelve pixels.
    const bomb = gzipSync(Buffer.concat([images, Buffer.alloc(2 ** 30)]), { level: 9 });
    const before = process.memoryUsage().rss;
    await expect(readIdx(await file('bomb', bomb))).rejects.toThrow(
      'expected at most 28 bytes when decompressed, found more',
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 27);
    await expect(readIdx(await file('huge', gzipSync(with32(4, 0xffffffff))))).rejects.toThrow('its header says');
    await expect(readIdx(await file('large', images), { maxBytes: 20 })).rejects.toThrow('expected at most 20 bytes');
    await expect(readIdx(join(folder, 'none'))).rejects.toThrow('none: expected a file, found nothing');
  });
});

describe('CIFAR-10', () => {
  const pixels = Uint8Array.from({ length: 2 * 3072 }, (_, i) => i & 0xff);
  const batch = cifarFile([3, 7], pixels);

  it('is read as it lies there, plain or gzip', async () => {
    for (const bytes of [batch, gzipSync(batch)]) {
      expect(await readCifar(await file('b.bin', bytes))).toEqual({ labels: Uint8Array.from([3, 7]), pixels });
    }
  });

  it.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(), 'expected CIFAR records of 3073 bytes, found 0 bytes'],
    ['a part of a record', batch.subarray(0, 6000), 'found 6000 bytes'],
    ['trailing bytes', Buffer.concat([batch, Buffer.of(1)]), 'found 6147 bytes'],
    ['a label that is no class', cifarFile([3, 10], pixels), 'expected labels from 0 to 9, found 10 in record 1'],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => parseCifar(bytes, 'f')).toThrow(new RegExp(`^f: .*${message}`));
  });

  it('refuses more than the cap, decompressed', async () => {
    const bomb = gzipSync(Buffer.alloc(3073 * 1000));
    await expect(readCifar(await file('bomb.bin', bomb), { maxBytes: 3073 * 999 })).rejects.toThrow('found more');
  });

  it('reads the names of the classes, and refuses what is none', async () => {
    const names = (text: string | Uint8Array) => file('names', Buffer.from(text)).then(readCifarNames);
    expect(await names('airplane\nT-shirt/top\r\nÖl\n\n')).toEqual(['airplane', 'T-shirt/top', 'Öl']);
    for (const bad of [
      '',
      'a\n\nb',
      'a\na',
      'a\u001b[2J',
      'x'.repeat(81),
      Array.from({ length: 257 }, (_, i) => i).join('\n'),
    ]) {
      await expect(names(bad)).rejects.toThrow(InputError);
    }
    await expect(names(Buffer.of(0xff, 0xfe))).rejects.toThrow('expected UTF-8 text');
    await expect(names('x\n'.repeat(2 ** 16))).rejects.toThrow('expected at most 65536 bytes');
  });
});

describe('listFolder', () => {
  it('sorts, leaves hidden entries out, and follows no link out of the folder', async () => {
    const inside = join(folder, 'list');
    for (const name of ['b.png', 'a.png', 'sub/c.png', '.hidden']) await write(join(inside, name), Buffer.of(1));
    await write(join(folder, 'list-beside'), Buffer.of(1));
    await symlink(join(inside, 'a.png'), join(inside, 'within'));
    await symlink(join(folder, 'list-beside'), join(inside, 'away'));
    await symlink('/', join(inside, 'root'));
    await symlink(join(inside, 'missing'), join(inside, 'broken'));
    expect(await listFolder(inside)).toEqual({
      files: ['a.png', 'b.png', 'within'],
      folders: ['sub'],
      outside: ['away', 'broken', 'root'],
    });
    await expect(listFolder(join(inside, 'a.png'))).rejects.toThrow('expected a folder, found a file or device');
  });
});
