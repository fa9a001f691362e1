import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../test/support/safetensors-mutations.js';
import { pickle } from '../../../test/support/torch-writer.js';
import { type ZipRecordText, zipFile } from '../../../test/support/zip-writer.js';
import { InputError } from '../../registry/index.js';
import { openTensors, readSafetensors, type StoredTensor } from '../index.js';

const fixture = (name: string) => new URL(`../../../test/fixtures/torch/${name}`, import.meta.url).pathname;
const root = mkdtempSync(join(tmpdir(), 'weightlock-torch-'));
afterAll(() => rmSync(root, { recursive: true }));

async function all(path: string): Promise<StoredTensor[]> {
  const tensors: StoredTensor[] = [];
  for await (const tensor of await openTensors(path)) tensors.push(tensor);
  return tensors.sort((a, b) => (a.name < b.name ? -1 : 1));
}

describe('what torch.save wrote', () => {
  it.each(['module', 'types', 'views', 'wrapped'])(
    '%s: names, types, shapes and bytes as PyTorch says',
    async (name) => {
      const { tensors } = await readSafetensors(fixture(`${name}.safetensors`));
      const expected = tensors.sort((a, b) => (a.name < b.name ? -1 : 1));
      expect(await all(fixture(`${name}.bin`))).toEqual(expected);
    },
  );
  it.each([
    [
      'legacy',
      'expected a file of PyTorch 1.6 or newer, found an older one or another pickle; load it there and save it again',
    ],
    ['expanded', 'expected at most the 1 elements of its storage, found a view of 4'],
    ['sparse', 'found a pickle that asks for "torch._utils._rebuild_sparse_tensor", which is not executed'],
    ['complex', 'found a pickle that asks for "torch.ComplexFloatStorage", which is not executed'],
    [
      'whole-module',
      'found a pickle that asks for "__main__.Net", which is not executed; save model.state_dict() or safetensors',
    ],
  ])('%s: is refused', async (name, expected) => {
    const opening = openTensors(
      name === 'legacy' ? folderOf({ 'pytorch_model.bin': 'legacy.bin' }) : fixture(`${name}.bin`),
    );
    await expect(opening).rejects.toThrow(expected);
    await expect(opening).rejects.toThrow(InputError);
  });
});
let folders = 0;
function folderOf(files: Record<string, string>): string {
  const folder = join(root, `folder-${folders++}`);
  mkdirSync(folder);
  for (const [name, from] of Object.entries(files)) copyFileSync(fixture(from), join(folder, name));
  return folder;
}

describe('a folder', () => {
  const index = (shardOf: Record<string, string>) => JSON.stringify({ metadata: {}, weight_map: shardOf });

  it('of pytorch_model.bin, or of one file of any name', async () => {
    const expected = await all(fixture('module.bin'));
    expect(await all(folderOf({ 'pytorch_model.bin': 'module.bin' }))).toEqual(expected);
    expect(await all(folderOf({ 'resnet.pth': 'module.bin' }))).toEqual(expected);
  });

  it('of other files too: what a training leaves is no model', async () => {
    const folder = folderOf({ 'net.pt': 'module.bin', 'optimizer.pt': 'views.bin', 'rng_state_0.pth': 'views.bin' });
    expect(await all(folder)).toEqual(await all(fixture('module.bin')));
  });

  it('of shards, which the index names', async () => {
    const folder = folderOf({ 'a.bin': 'module.bin', 'b.bin': 'views.bin' });
    const { tensors } = await readSafetensors(fixture('module.safetensors'));
    const views = (await readSafetensors(fixture('views.safetensors'))).tensors;
    const map = Object.fromEntries([
      ...tensors.map(({ name }) => [name, 'a.bin']),
      ...views.map(({ name }) => [name, 'b.bin']),
    ]);
    writeFileSync(join(folder, 'pytorch_model.bin.index.json'), index(map));
    const opened = await openTensors(folder);
    expect([opened.format, ...opened.shards.map(({ name }) => name)]).toEqual(['torch', 'a.bin', 'b.bin']);
    expect(await all(folder)).toHaveLength(tensors.length + views.length);
    writeFileSync(join(folder, 'pytorch_model.bin.index.json'), index({ ...map, 'norm.bias': '../a.bin' }));
    await expect(openTensors(folder)).rejects.toThrow('expected a file name inside this folder, found "../a.bin"');
  });

  it('of safetensors beside them: those are taken', async () => {
    const folder = folderOf({ 'pytorch_model.bin': 'module.bin', 'model.safetensors': 'views.safetensors' });
    expect((await openTensors(folder)).format).toBe('safetensors');
  });
});

const { text, int, dict, storage, tensor, bytes: pickled } = pickle;
const plain = () => dict(text('x'), tensor(int(0), `${int(2)}${int(3)}\x86`, `${int(3)}${int(1)}\x86`));
const record = (name: string, data: Uint8Array | string): ZipRecordText => ({
  name,
  data: typeof data === 'string' ? Buffer.from(data, 'latin1') : data,
});
const archive = (body: Uint8Array, ...more: ZipRecordText[]) =>
  zipFile([record('m/data.pkl', body), record('m/data/0', new Uint8Array(24).fill(1)), ...more]);

let files = 0;
function file(bytes: Uint8Array): string {
  const path = join(root, `${files++}.bin`);
  writeFileSync(path, bytes);
  return path;
}

async function refusal(bytes: Uint8Array): Promise<string> {
  const path = file(bytes);
  const error: unknown = await openTensors(path).then(
    () => 'opened',
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(InputError);
  const { message } = error as InputError;
  expect(message).toMatch(/^[^\n]{1,600}$/);
  expect(message.startsWith(path)).toBe(true);
  return message;
}

describe('pickles that no state dict has', () => {
  it('opens the plain one that the others are made of, also with 64-bit places and a comment', async () => {
    const expected = [{ name: 'x', dtype: 'F32', shape: [2, 3] }];
    expect((await openTensors(file(archive(pickled(plain()))))).headers).toEqual(expected);
    const records = [record('m/data.pkl', pickled(plain())), record('m/data/0', new Uint8Array(24))];
    const wide = zipFile(
      records.map((each) => ({ ...each, wide: true })),
      { wide: true, comment: 'PK\x05\x06 said the comment, which is long enough to hold a directory' },
    );
    expect((await openTensors(file(wide))).headers).toEqual(expected);
  });

  it.each([
    ['os.system', `cos\nsystem\n(${text('touch pwned')}tR`],
    ['posix.system', `cposix\nsystem\n${text('touch pwned')}\x85R`],
    ['builtins.eval', `cbuiltins\neval\n${text('1')}\x85R`],
    ['builtins.getattr', `cbuiltins\ngetattr\n(ctorch\nSize\n${text('__class__')}tR`],
    ['subprocess.Popen', `csubprocess\nPopen\n(${text('sh')}tR`],
    ['torch.load', `ctorch\nload\n(${text('x')}tR`],
    ['torch._utils.__builtins__', 'ctorch._utils\n__builtins__\n'],
    ['collections.OrderedDict.__reduce__', 'ccollections\nOrderedDict.__reduce__\n'],
    ['constructor.', 'cconstructor\n\n'],
    ['.', 'c\n\n'],
    ['__proto__.toString', 'c__proto__\ntoString\n'],
    ['torch.FloatStorage.os.system', 'ctorch\nFloatStorage.os.system\n'],
  ])('%s is named and nothing of it is run', async (name, body) => {
    const expected = `expected the weights alone, found a pickle that asks for ${JSON.stringify(name)}, which is not executed`;
    expect(await refusal(archive(pickled(body)))).toContain(expected);
    // Deep inside, behind a good tensor, as well.
    expect(await refusal(archive(pickled(dict(text('x'), plain(), text('y'), body))))).toContain(expected);
  });

  it.each([
    ['INST', '(ios\nsystem\n', 'expected opcodes of a state dict, found 0x69'],
    ['OBJ', '(cos\nsystem\no', 'asks for "os.system"'],
    ['NEWOBJ', 'ccollections\nOrderedDict\n)\x81', 'found 0x81'],
    ['STACK_GLOBAL', `${text('os')}${text('system')}\x93`, 'found 0x93'],
    ['EXT1', '\x82\x01', 'found 0x82'],
    ['PERSID', 'P0\n', 'found 0x50'],
    ['DUP', '}2', 'found 0x32'],
    ['FRAME', '\x95\0\0\0\0\0\0\0\0', 'found 0x95'],
    ['a call of a storage', `${storage(6)})R`, 'expected a function of state dicts, found a storage'],
    ['a call of a dtype', 'ctorch\nfloat8_e5m2\n)R', 'expected a function of state dicts, found torch.float8_e5m2'],
    [
      'a call with a list',
      'ccollections\nOrderedDict\n]R',
      'expected arguments of collections.OrderedDict, found a list',
    ],
    [
      'attributes of a tensor',
      `${tensor(int(0), ')', ')')}}b`,
      'expected attributes of an OrderedDict, found a dict for a tensor',
    ],
    ['an empty stack', '0', 'found 0x30'],
    ['a pop of nothing', '\x85', 'expected a value, found none'],
    ['a pop of a mark', '(\x85', 'expected a value, found none'],
    ['a tuple without a mark', 't', 'expected a mark, found none'],
    ['a memo that is empty', 'h\x07', 'expected a value that was kept, found number 7, which was not'],
    ['a key without a value', `}(${text('x')}u`, 'expected a value for each key, found none'],
    ['a key twice', `}(${text('x')}N${text('x')}Nu`, 'expected each key once, found "x" twice'],
    ['a tensor as a key', `}(${tensor(int(0), ')', ')')}Nu`, 'expected texts and numbers as keys, found a tensor'],
    ['items of a list', '](NNu', 'expected a dict, found a list'],
    ['an item for a dict', '}Na', 'expected a list, found a dict'],
    ['a huge number', `\x8a\xff${'\xff'.repeat(254)}\x7f`, 'expected whole numbers up to 2^53, found a larger one'],
    ['a text that goes on', 'X\xff\xff\xff\xffx', 'expected a pickle that ends with STOP, found its end before that'],
    ['a text of other bytes', 'X\x01\0\0\0\xff', 'expected texts of valid UTF-8, found other bytes'],
    ['a name without an end', `c${'x'.repeat(2000)}`, 'expected a name on a line of its own, found none'],
    ['a list', ']', 'expected a dict of tensors, found a list'],
    ['a number as a key', dict(int(3), 'N'), 'expected a dict of tensors, found the number 3 as a key'],
    ['a number among tensors', dict(text('epoch'), int(3)), 'expected a dict of tensors, found a number as "epoch"'],
    ['a storage', dict(text('x'), storage(6)), 'expected a dict of tensors, found a storage as "x"'],
    ['a name of no tuple', 'NQ', 'expected a tuple that names a storage, found None'],
    ['another name', `${text('module')}\x85Q`, 'expected a tuple that names a storage, found another one'],
  ])('%s', async (_, body, expected) => {
    expect(await refusal(archive(pickled(body)))).toContain(expected);
  });

  it.each([
    ['protocol 4', '\x80\x04}.', 'expected a pickle of protocol 2, as torch.save writes it, found another one'],
    ['no end', '\x80\x02}', 'expected a pickle that ends with STOP'],
    ['nothing', '', 'expected a pickle that ends with STOP'],
  ])('%s', async (_, bytes, expected) => {
    expect(await refusal(archive(Buffer.from(bytes, 'latin1')))).toContain(expected);
  });

  it.each([
    [
      'a view beyond its storage',
      tensor(int(1), `${int(6)}\x85`, `${int(1)}\x85`),
      'expected a view within a storage of 6 elements, found one up to 7',
    ],
    ['strides beyond it', tensor(int(0), `${int(2)}${int(2)}\x86`, `${int(5)}${int(1)}\x86`), 'found one up to 7'],
    [
      'a stride of 0',
      tensor(int(0), `${int(2 ** 30)}\x85`, `${int(0)}\x85`),
      'expected at most the 6 elements of its storage, found a view of 1073741824',
    ],
    [
      'a negative stride',
      tensor(int(5), `${int(2)}\x85`, `${int(-1)}\x85`),
      'expected a tensor with offset, size and strides',
    ],
    ['a negative offset', tensor(int(-1), ')', ')'), 'expected a tensor with offset, size and strides'],
    [
      'a size of texts',
      tensor(int(0), `${text('2')}\x85`, `${int(1)}\x85`),
      'expected a tensor with offset, size and strides',
    ],
    [
      'more strides than sizes',
      tensor(int(0), ')', `${int(1)}\x85`),
      'expected a tensor with offset, size and strides',
    ],
    [
      '65 dimensions',
      tensor(int(0), `(${int(1).repeat(65)}t`, `(${int(1).repeat(65)}t`),
      'expected a tensor with offset',
    ],
    [
      'a size that overflows',
      tensor(int(0), `(${int(2 ** 30).repeat(40)}t`, `(${int(0).repeat(40)}t`),
      'expected at most the 6 elements',
    ],
    ['no storage', tensor(int(0), ')', ')', 'N'), 'expected a storage, found None'],
    [
      'another size of storage',
      tensor(int(0), ')', ')', storage(7)),
      'tensor "x": expected 28 bytes of storage "0", found 24',
    ],
    [
      'a storage that is not there',
      tensor(int(0), ')', ')', storage(6, '1')),
      'expected 24 bytes of storage "1", found no such record',
    ],
    [
      'a storage elsewhere',
      tensor(int(0), ')', ')', storage(6, '../../etc/passwd')),
      'storage "../../etc/passwd", found no such record',
    ],
    [
      'a storage of no type',
      tensor(int(0), ')', ')', storage(24, '0', 'torch.storage\nUntypedStorage')),
      'expected a dtype of an untyped storage, found nothing',
    ],
  ])('%s', async (_, body, expected) => {
    expect(await refusal(archive(pickled(dict(text('x'), body))))).toContain(expected);
  });

  it('a memo bomb and deep nesting cost what their bytes cost', async () => {
    // Forty lists, each of two of the one before: 2^40 items for who follows them.
    const bomb = Array.from(
      { length: 40 },
      (_, i) => `](h${String.fromCharCode(i)}h${String.fromCharCode(i)}eq${String.fromCharCode(i + 1)}`,
    );
    expect(await refusal(archive(pickled(`]q\0${bomb.join('')}`)))).toContain(
      'expected a dict of tensors, found a list',
    );
    const deep = `${'('.repeat(10 ** 6)}${'t'.repeat(10 ** 6)}`;
    expect(await refusal(archive(pickled(deep)))).toContain('expected a dict of tensors, found a tuple');
    // What costs a hundred times its bytes is counted.
    expect(await refusal(archive(pickled('}'.repeat(300_000))))).toContain(
      'expected at most 262144 dicts and lists, found more',
    );
    expect(await refusal(archive(pickled('N'.repeat(2 ** 22 + 1))))).toContain(
      'expected at most 4194304 steps, found more',
    );
    const inItself = `}q\0(${text('x')}h\0u`;
    expect(await refusal(archive(pickled(inItself)))).toContain('found a dict as "x"');
  });

  it('tensors that share a storage do not add up beyond the limit', async () => {
    const many = Array.from(
      { length: 100 },
      (_, i) => `${text(`x${i}`)}${tensor(int(0), `${int(6)}\x85`, `${int(1)}\x85`)}`,
    );
    const path = file(archive(pickled(dict(...many))));
    const { size } = { size: readFileSync(path).length };
    await openTensors(path, { maxBytes: size });
    const large = Array.from({ length: 1500 }, (_, i) => `${text(`x${i}`)}h\x01`);
    const shared = `${tensor(int(0), `${int(6)}\x85`, `${int(1)}\x85`)}q\x01${dict(...large)}`;
    const second = file(archive(pickled(shared)));
    await expect(openTensors(second, { maxBytes: 30_000 })).rejects.toThrow(
      'expected at most 30000 bytes in all tensors, found 36000',
    );
  });
});

describe('archives that torch.save does not write', () => {
  const whole = record('m/data.pkl', pickled(plain()));
  const data = record('m/data/0', new Uint8Array(24));
  it.each<[string, Uint8Array, string]>([
    [
      'compressed records, as of a zip bomb',
      zipFile([whole, { ...data, method: 8, unpacked: 2 ** 31 }]),
      'found a compressed one, "m/data/0"',
    ],
    [
      'a stored record of another size',
      zipFile([whole, { ...data, unpacked: 25 }]),
      'found a compressed one, "m/data/0"',
    ],
    ['encrypted records', zipFile([whole, { ...data, flags: 1 }]), 'found an encrypted one, "m/data/0"'],
    ['a record twice', zipFile([whole, data, data]), 'expected each record once, found "m/data/0" twice'],
    [
      'records that overlap',
      zipFile([whole, data, { ...record('m/data/1', new Uint8Array(24)), local: 0 }]),
      'expected records that share no bytes',
    ],
    ['a record beyond the file', zipFile([whole, { ...data, local: 2 ** 31 }]), 'expected records that share no bytes'],
    ['no pickle', zipFile([data]), 'expected an archive of torch.save with one data.pkl, found 0'],
    ['two pickles', zipFile([whole, data, record('n/data.pkl', '')]), 'with one data.pkl, found 2'],
    [
      'a program',
      zipFile([whole, data, record('m/constants.pkl', '')]),
      'expected a state dict, found a TorchScript program',
    ],
    [
      'big-endian numbers',
      zipFile([whole, data, record('m/byteorder', 'big')]),
      'expected little-endian numbers, found byteorder "big"',
    ],
    ['a cut file', zipFile([whole, data]).subarray(0, -1), 'expected a zip archive with its directory at the end'],
    ['nothing behind the mark', Buffer.from('PK\x03\x04'), 'expected a zip archive with its directory at the end'],
    ['NumPy arrays', zipFile([record('a.npy', '')]), 'with one data.pkl, found 0'],
  ])('%s', async (_, bytes, expected) => {
    expect(await refusal(bytes)).toContain(expected);
  });

  it('damaged anywhere, are refused with one line or read in full', async () => {
    const original = readFileSync(fixture('views.bin'));
    const random = seededRandom(2);
    let refused = 0;
    for (let round = 0; round < 400; round++) {
      const damaged = Buffer.from(original);
      for (let edits = 0; edits < 4; edits++)
        damaged[Math.floor(random() * damaged.length)] = Math.floor(random() * 256);
      const cut = random() < 0.1 ? damaged.subarray(0, Math.floor(random() * damaged.length)) : damaged;
      try {
        await all(file(cut));
      } catch (error) {
        refused++;
        expect(error).toBeInstanceOf(InputError);
        expect((error as Error).message).toMatch(/^[^\n]{1,2000}$/);
      }
    }
    expect(refused).toBeGreaterThan(200);
    expect(refused).toBeLessThan(400);
  });
});
