import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../../registry/index.js';
import { readTable } from '../index.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-tables-'));
});
afterAll(() => rm(root, { recursive: true }));

async function read(name: string, content: string | Uint8Array, options = {}) {
  const path = join(root, name);
  await writeFile(path, content);
  const { columns, rows } = await readTable(path, options);
  return { columns, rows: rows.map((row) => [row.line, ...columns.map((column) => row.get(column))]) };
}

/** The error's one line, with the name of the file alone. */
const fails = async (name: string, content: string | Uint8Array, options = {}) =>
  read(name, content, options).then(
    () => 'read',
    (error: Error) => `${error.constructor.name} ${error.message.replaceAll(`${root}/`, '')}`,
  );

describe('a TSV file', () => {
  it('has no quoting: a quote is a character, and lines end at line feeds alone', async () => {
    const text = 'idx\ttext\n1\t"The pie doesn\'t fit.\r\n2\ta\u2028b \\t\u0085\n3\t\n';
    const rows = [
      [2, '1', '"The pie doesn\'t fit.'],
      [3, '2', 'a\u2028b \\t\u0085'],
      [4, '3', ''],
    ];
    expect(await read('a.tsv', text)).toEqual({ columns: ['idx', 'text'], rows });
    expect(await read('a.tsv.gz', gzipSync(`\ufeff${text.trimEnd()}\t`))).toEqual({ columns: ['idx', 'text'], rows });
  });

  it('with quotes is read so where it is said', async () => {
    const text = '"a"\t"b"\n"x\ty"\t"say ""hi""\nand go"\nplain\tz\n';
    expect(await fails('q.tsv', text)).toMatch(
      /^InputError q.tsv:1: expected names of columns without quotes.*data.quoting$/,
    );
    expect(await read('q.tsv', text, { quoting: true })).toEqual({
      columns: ['a', 'b'],
      rows: [
        [2, 'x\ty', 'say "hi"\nand go'],
        [4, 'plain', 'z'],
      ],
    });
    expect(await fails('q.csv', 'a\n1\n', { quoting: true })).toBe(
      'InputError data.quoting: expected a TSV file, got q.csv',
    );
  });

  it('is refused with its line where a row or its header is malformed', async () => {
    expect(await fails('b.tsv', '')).toBe(
      'InputError b.tsv: expected a line with the names of columns, found an empty file',
    );
    expect(await fails('b.tsv', 'a\tb\n1\t2\n1\t2\t3\n')).toBe(
      'InputError b.tsv:3: expected 2 fields as the header has, found 3',
    );
    expect(await fails('b.tsv', 'a\tb\n1\n')).toContain('b.tsv:2: expected 2 fields');
    expect(await fails('b.tsv', 'a\ta\n1\t2\n')).toContain(
      'b.tsv:1: expected columns of different names, found "a" twice',
    );
  });
});

describe('a CSV file', () => {
  it('has quoting as RFC 4180', async () => {
    expect(await read('a.csv', 'id,text\r\n1,"a, ""b""\nc"\r\n2,d\u2028e\r\n\r\n3,""\r\n')).toEqual({
      columns: ['id', 'text'],
      rows: [
        [2, '1', 'a, "b"\nc'],
        [4, '2', 'd\u2028e'],
        [5, '3', ''],
      ],
    });
  });

  it('is refused where quotes do not close or rows differ', async () => {
    expect(await fails('b.csv', 'a,b\n1,"x\n2,y\n')).toMatch(
      /^InputError b.csv:\d: expected a closing quote, the file ended$/,
    );
    expect(await fails('b.csv', 'a,b\n1,2\n1,x"y"\n')).toBe(
      'InputError b.csv:3: expected a quote at the beginning of a field, found it within one',
    );
    expect(await fails('b.csv', 'a,b\n"1"x,2\n')).toBe(
      'InputError b.csv:2: expected a delimiter after a closing quote, found another character',
    );
    expect(await fails('b.csv', 'a,b\n1,2,3\n')).toBe(
      'InputError b.csv:2: expected 2 fields as the header has, found 3',
    );
    expect(await fails('b.csv', '\n\n')).toContain('found an empty file');
  });
});

describe('a JSONL file', () => {
  it('has an object a line, cut at line feeds alone, and all keys as columns', async () => {
    const text = '{"a": 1, "b": "x\u2028y"}\n\n{"b": null, "__proto__": ["z"]}\n';
    expect(await read('a.jsonl', text)).toEqual({
      columns: ['a', 'b', '__proto__'],
      rows: [
        [1, 1, 'x\u2028y', undefined],
        [3, undefined, null, ['z']],
      ],
    });
  });

  it('is refused with its line where it has something else', async () => {
    expect(await fails('b.jsonl', '{"a": 1}\n[1]\n')).toBe(
      'InputError b.jsonl:2: expected a JSON object a line, found "[1]"',
    );
    expect(await fails('b.jsonl', '{"a": 1}\n{"a"\n')).toMatch(
      /^InputError b.jsonl:2: expected a JSON object a line, /,
    );
    expect(await fails('b.jsonl', '\n \n')).toBe(
      'InputError b.jsonl: expected a JSON object a line, found an empty file',
    );
  });
});

describe('any text file', () => {
  it('is refused with its line where it is no text', async () => {
    expect(await fails('n.txt', 'a\nb\0c\n')).toBe('InputError n.txt:2: expected text, found a NUL byte');
    const latin = Buffer.from('a\nb\ncaf\xe9\n', 'latin1');
    for (const name of ['n.txt', 'n.tsv', 'n.csv', 'n.jsonl']) {
      expect(await fails(name, latin)).toBe(`InputError ${name}:3: expected text in UTF-8, found other bytes`);
    }
    expect(await fails('n.txt', '')).toBe('InputError n.txt: expected text, found an empty file');
    expect(await fails('n.json', '{}')).toContain('expected a file .tsv, .csv, .jsonl, .parquet or .txt');
  });

  it('is refused where a line is huge, also compressed', async () => {
    const huge = Buffer.concat([Buffer.from('a\n'), Buffer.alloc(2 ** 24 + 9, 'x')]);
    expect(await fails('h.txt.gz', gzipSync(huge))).toBe(
      'InputError h.txt.gz:2: expected a line of at most 16777216 bytes, found 16777225',
    );
    expect(await fails('h.csv', huge)).toBe('InputError h.csv:2: expected a row of at most 16777216 bytes, found more');
  });

  it('may be plain', async () => {
    expect(await read('p.txt', 'one\n\ntwo\r\n')).toEqual({
      columns: ['text'],
      rows: [
        [1, 'one'],
        [2, ''],
        [3, 'two'],
      ],
    });
  });
});

describe('a Parquet file', () => {
  const folder = 'test/fixtures/tables';

  it.each(['none', 'snappy', 'gzip', 'zstd', 'brotli'])('has what PyArrow wrote: %s', async (codec) => {
    const { rows: expected } = JSON.parse(readFileSync(join(folder, 'rows.json'), 'utf8')) as { rows: object[] };
    const { columns, rows } = await readTable(join(folder, `${codec}.parquet`));
    expect(columns).toEqual(['text', 'label', 'tags', 'messages']);
    const found = rows.map((row) => Object.fromEntries(columns.map((column) => [column, row.get(column)])));
    expect(
      JSON.parse(JSON.stringify(found, (_, value) => (typeof value === 'bigint' ? Number(value) : value))),
    ).toEqual(expected);
    expect(rows[2].line).toBe(3);
  });

  it('with LZ4 blocks is refused: hyparquet-compressors 1.1 does not read those of PyArrow', async () => {
    await expect(readTable(join(folder, 'lz4.parquet'))).rejects.toThrow('lz4 offset out of range');
  });

  it('may be compressed again, and is refused where it is cut off', async () => {
    const bytes = readFileSync(join(folder, 'snappy.parquet'));
    expect((await read('z.parquet.gz', gzipSync(bytes))).rows).toHaveLength(23);
    for (const part of [
      bytes.subarray(40),
      bytes.subarray(0, -40),
      Buffer.concat([bytes.subarray(0, 200), bytes.subarray(300)]),
    ]) {
      expect(await fails('cut.parquet', part)).toMatch(/^InputError cut.parquet: expected/);
    }
  });

  it.each(['none', 'snappy', 'zstd'])('with changed bytes is read or refused, and ends nothing: %s', async (codec) => {
    const whole = readFileSync(join(folder, `${codec}.parquet`));
    const path = join(root, 'mutated.parquet');
    let refused = 0;
    for (let round = 0; round < 60; round++) {
      const bytes = Buffer.from(whole);
      // Half of them in what describes the columns, at the end.
      for (let i = 0; i < 2; i++) {
        const at = (round * 7919 + i * 104_729 + round * round) % (round % 2 ? bytes.length : 800);
        bytes[bytes.length - 1 - at] ^= 1 << ((round + i) % 8);
      }
      await writeFile(path, bytes);
      const failure = await readTable(path).then(
        () => undefined,
        (error: Error) => error,
      );
      if (failure) {
        expect(failure).toBeInstanceOf(InputError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(10);
  });

  it('that is damaged is refused', async () => {
    expect(await fails('d.parquet', 'PAR1 nothing PAR1')).toMatch(/^InputError d.parquet: expected a Parquet file: /);
    expect(await fails('d.parquet', '')).toMatch(/^InputError d.parquet: expected a Parquet file: /);
  });
});
