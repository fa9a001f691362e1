import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { InputError } from '../registry/index.js';
import {
  encodeSafetensors,
  parseSafetensors,
  placedSafetensors,
  readSafetensors,
  type StoredTensor,
  toFloat32,
  writeFileAtomic,
  writeSafetensors,
} from './index.js';

const fixtures = new URL('../../test/fixtures/safetensors/', import.meta.url);
const values: {
  files: Record<
    string,
    { metadata: Record<string, string> | null; tensors: Record<string, [string, number[], string[]]> }
  >;
} = JSON.parse(readFileSync(new URL('values.json', fixtures), 'utf8'));
const { cases }: { cases: { name: string; parts: [string, number][]; reference: boolean; reason: string }[] } =
  JSON.parse(readFileSync(new URL('verdicts.json', fixtures), 'utf8'));
const folder = mkdtempSync(join(tmpdir(), 'weightlock-safetensors-'));
afterAll(() => rmSync(folder, { recursive: true }));

const fixture = (name: string) => new Uint8Array(readFileSync(new URL(`${name}.safetensors`, fixtures)));
const tensor = (name: string, count = 1): StoredTensor => ({
  name,
  dtype: 'F32',
  shape: [count],
  bytes: new Uint8Array(4 * count),
});

function malformed(name: string): Uint8Array {
  const found = cases.find((one) => one.name === name);
  if (!found) throw new Error(`no case ${name}`);
  return Buffer.concat(found.parts.flatMap(([text, count]) => Array<Buffer>(count).fill(Buffer.from(text, 'base64'))));
}

function messageOf(name: string): string {
  try {
    parseSafetensors(malformed(name), 'f');
    return 'accepted';
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return error.message;
  }
}

describe('files the reference wrote', () => {
  it.each(Object.keys(values.files))('%s: same values, and the same bytes when written back', async (name) => {
    const bytes = fixture(name);
    const file = parseSafetensors(bytes, name);
    const { metadata, tensors } = values.files[name];
    expect(Object.entries(file.metadata).sort()).toEqual(Object.entries(metadata ?? {}).sort());
    expect(file.tensors.map((found) => found.name).sort()).toEqual(Object.keys(tensors).sort());
    for (const found of file.tensors) {
      const floats = toFloat32(found);
      expect([found.dtype, found.shape, Array.from(new Uint32Array(floats.buffer), String)]).toEqual(
        Object.entries(tensors).find(([key]) => key === found.name)?.[1],
      );
    }
    expect(encodeSafetensors(file)).toEqual(bytes);

    const path = join(folder, `${name}.safetensors`);
    writeFileSync(path, bytes);
    const read = await readSafetensors(path);
    expect(read).toEqual(file);

    await writeSafetensors(path, read);
    expect(new Uint8Array(readFileSync(path))).toEqual(bytes);
  });

  it('keeps names and keys that are traps on plain objects', () => {
    const file = parseSafetensors(fixture('everything'), 'everything');
    expect(file.tensors.some((found) => found.name === '__proto__')).toBe(true);
    expect(Object.getPrototypeOf(file.metadata)).toBeNull();
    expect(Object.keys(file.metadata)).toContain('__proto__');
    expect(({} as Record<string, unknown>).text).toBeUndefined();
  });
});

describe('malformed files', () => {
  // What the reference accepts and we refuse, each on purpose: the file means two things, or more than we would write back.
  const stricter = [
    'dtype C64', // not a dtype weightlock computes with
    'duplicate by escape',
    'duplicate metadata',
    'duplicate tensor',
    'entry as array',
    'leading space', // the format's own text asks for "{" first
    'metadata null',
    'shape 2^53',
    'shape 65 ones',
    'unknown field',
  ];

  it('are accepted only where the reference accepts them, and refused beyond that only on purpose', () => {
    const accepted = cases.filter(({ name }) => messageOf(name) === 'accepted').map(({ name }) => name);
    const byReference = cases.filter(({ reference }) => reference).map(({ name }) => name);
    expect(accepted.filter((name) => !byReference.includes(name))).toEqual([]);
    expect(byReference.filter((name) => !accepted.includes(name)).sort()).toEqual(stricter);
    expect(cases.length).toBeGreaterThan(90);
  });

  it('get one line that names the file, the tensor, what was expected and what was found', () => {
    for (const { name } of cases) {
      const message = messageOf(name);
      if (message !== 'accepted') expect(message).toMatch(/^f: (tensor ".*": )?expected \P{C}+, found \P{C}+$/u);
      expect(message.length).toBeLessThan(300);
    }
    expect(Object.fromEntries(cases.map(({ name }) => [name, messageOf(name)]))).toMatchSnapshot();
  });

  it('of more than 262,144 keys are refused, because each costs far more memory than it has bytes', () => {
    const keys = (count: number) =>
      encodeSafetensors({
        tensors: [],
        metadata: Object.fromEntries(Array.from({ length: count }, (_, i) => [i, ''])),
      });
    expect(parseSafetensors(keys(2 ** 18), 'f').metadataKeys).toHaveLength(2 ** 18);
    expect(() => parseSafetensors(keys(2 ** 18 + 1), 'f')).toThrow(
      'f: expected at most 262144 keys in one object, found more',
    );
  });

  it('cannot fake lines or terminal codes in messages', () => {
    const header = '{"a\\nb\\u001b[31m\\u2028\\u202e":{"dtype":"F32"}}';
    const bytes = Buffer.concat([Buffer.from([header.length, 0, 0, 0, 0, 0, 0, 0]), Buffer.from(header)]);
    expect(() => parseSafetensors(bytes, 'f')).toThrow('tensor "a\\nb\\u001b[31m\\u{2028}\\u{202e}": expected');
  });

  it('are refused by size before anything is read', async () => {
    const path = join(folder, 'capped.safetensors');
    writeFileSync(path, fixture('everything'));
    const size = fixture('everything').length;
    await expect(readSafetensors(path, { maxBytes: size })).resolves.toBeDefined();
    await expect(readSafetensors(path, { maxBytes: size - 1 })).rejects.toThrow(
      `capped.safetensors: expected at most ${size - 1} bytes, found ${size}`,
    );
    await expect(readSafetensors(path, { maxHeaderBytes: 100 })).rejects.toThrow(
      'expected a header of at most 100 bytes, found a header length of',
    );
  });

  it('that are no files at all are refused', async () => {
    await expect(readSafetensors(join(folder, 'missing'))).rejects.toThrow('missing: expected a file, found nothing');
    await expect(readSafetensors(folder)).rejects.toThrow('expected a regular file, found a folder or device');
  });
});

describe('writing', () => {
  it('keeps a byte order mark at the start of a name', () => {
    const file = parseSafetensors(encodeSafetensors({ tensors: [tensor('\ufeffa')], metadata: {} }), 'f');
    expect(file.tensors[0].name).toBe('\ufeffa');
  });

  it('keeps the order given, ignores keys that left the metadata, and writes new ones last', () => {
    const file = parseSafetensors(
      encodeSafetensors({
        tensors: [tensor('z'), { ...tensor('a'), dtype: 'U8', shape: [4] }, tensor('m', 0)],
        metadata: { 1: 'one', b: 'x' },
        metadataKeys: ['gone', 'b'],
      }),
      'f',
    );
    expect(file.tensors.map(({ name }) => name)).toEqual(['z', 'a', 'm']);
    expect(file.metadataKeys).toEqual(['b', '1']);
  });

  it('asks tensors for their bytes one after another, and writes the file that all of them together give', async () => {
    const file = parseSafetensors(fixture('everything'), 'f');
    let asked = -1;
    const pending = file.tensors.map(({ bytes, ...header }, index) => ({
      ...header,
      read: async () => {
        expect(++asked).toBe(index);
        // What was asked for before is written, beside the file that there will be.
        const [begun] = readdirSync(join(folder, 'lazy'));
        expect(begun).toMatch(/^\.x\..+\.tmp$/);
        const before = file.tensors.slice(0, index).reduce((sum, each) => sum + each.bytes.length, 0);
        expect(readFileSync(join(folder, 'lazy', begun)).length - headerBytes).toBe(before);
        return bytes;
      },
    }));
    const headerBytes = fixture('everything').length - file.tensors.reduce((sum, { bytes }) => sum + bytes.length, 0);
    await writeSafetensors(join(folder, 'lazy', 'x'), { ...file, tensors: pending });
    expect(asked).toBe(file.tensors.length - 1);
    expect(new Uint8Array(readFileSync(join(folder, 'lazy', 'x')))).toEqual(fixture('everything'));
  });

  it('leaves nothing behind where a tensor gives other bytes than it said, or none', async () => {
    const write = (read: () => Uint8Array) =>
      writeSafetensors(join(folder, 'broken', 'x'), {
        tensors: [tensor('a'), { name: 'b', dtype: 'F32', shape: [2], read }],
        metadata: {},
      });
    await expect(write(() => new Uint8Array(7))).rejects.toThrow(
      'x: tensor "b": expected 8 bytes for F32 [2], found 7',
    );
    const fail = () => {
      throw new InputError('gone');
    };
    await expect(write(fail)).rejects.toThrow('gone');
    expect(readdirSync(join(folder, 'broken'))).toEqual([]);
  });

  it('refuses what it would refuse to read, and leaves no file behind', async () => {
    const write = (...tensors: StoredTensor[]) => writeSafetensors(join(folder, 'bad', 'x'), { tensors, metadata: {} });
    await expect(write(tensor('a'), tensor('a'))).rejects.toThrow(
      'tensor "a": expected each name once, found it twice',
    );
    await expect(write(tensor('__metadata__'))).rejects.toThrow('expected a tensor name other than __metadata__');
    await expect(write(tensor('\ud800'))).rejects.toThrow('expected text of whole characters, found "\\ud800"');
    await expect(write({ ...tensor('a'), shape: [2] })).rejects.toThrow(
      'tensor "a": expected 8 bytes for F32 [2], found 4',
    );
    await expect(write({ ...tensor('a'), shape: [-1] })).rejects.toThrow(InputError);
    await expect(write({ ...tensor('a'), shape: Array<number>(65).fill(1) })).rejects.toThrow(
      'expected at most 64 dimensions, found 65',
    );
    expect(readdirSync(folder)).not.toContain('bad');
  });
});

describe('tensors that are written to their places', () => {
  const tensors = ['a', 'b', 'none', 'c'].map((name, index) => {
    const count = name === 'none' ? 0 : index + 2;
    return { ...tensor(name, count), bytes: new Uint8Array(4 * count).fill(index + 1) };
  });
  const path = join(folder, 'placed.safetensors');
  const write = async (given: readonly { name: string; bytes: Uint8Array }[]) => {
    const file = { tensors, metadata: { format: 'pt' } };
    await writeFileAtomic(
      path,
      placedSafetensors(
        file,
        'f',
        (async function* () {
          yield* given;
        })(),
      ),
    );
  };

  it('are the same file in any order', async () => {
    const expected = encodeSafetensors({ tensors, metadata: { format: 'pt' } });
    for (const given of [tensors, tensors.toReversed(), [2, 0, 3, 1].map((index) => tensors[index])]) {
      await write(given);
      expect(new Uint8Array(readFileSync(path))).toEqual(expected);
    }
  });

  it('come once each, of the size that the header says', async () => {
    const before = readFileSync(path);
    const [a, b, none, c] = tensors;
    await expect(write([a, b, none])).rejects.toThrow('f: expected the bytes of "c", got none');
    await expect(write([a, b, none, c, a])).rejects.toThrow('f: expected each tensor of the file once, got "a"');
    await expect(write([{ ...a, bytes: c.bytes }])).rejects.toThrow(
      'f: tensor "a": expected 8 bytes for F32 [2], found 20',
    );
    expect(readFileSync(path)).toEqual(before);
    expect(readdirSync(folder).filter((name) => name.includes('placed'))).toEqual(['placed.safetensors']);
  });
});
