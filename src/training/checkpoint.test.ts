import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SafetensorsFile } from '../formats/index.js';
import { InputError } from '../registry/index.js';
import { adamw, type Checkpoint, checkpointToTensors, sgd, tensorsToCheckpoint } from './index.js';

function sample(): Checkpoint {
  const params = new Map([
    ['layer/0.weight', Float32Array.of(1.5, -0, Number.NaN, Number.POSITIVE_INFINITY, 1e-45, 3)],
    ['bias', Float32Array.of(0.25)],
    ['empty', new Float32Array(0)],
    ['__proto__', Float32Array.of(7)],
  ]);
  const optimizer = adamw();
  const state = optimizer.init(params);
  void optimizer.update(new Map([['bias', Float32Array.of(0.5)]]), state, params, 0.1);
  return {
    step: 12,
    params,
    optimizer: state,
    extra: Object.fromEntries([
      ['losses', Float64Array.of(Math.PI, -0, Number.NaN)],
      ['running mean', Float32Array.of(0.1)],
      ['__proto__', Float64Array.of(1)],
    ]),
    meta: { options: { betas: [0.9, 0.999], note: 'é"\\', best: null }, done: false },
  };
}

/** Copies the bytes to an odd offset, where no typed array could look at them in place. */
function throughFile(file: SafetensorsFile): SafetensorsFile {
  const tensors = file.tensors.map((tensor) => {
    const bytes = new Uint8Array(tensor.bytes.length + 1).subarray(1);
    bytes.set(tensor.bytes);
    return { ...tensor, shape: [...tensor.shape], bytes };
  });
  return { tensors, metadata: { ...file.metadata } };
}

const hex = (values: Float32Array | Float64Array) =>
  `${values.constructor.name} ${Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('hex')}`;

function bits({ step, params, optimizer, extra, meta }: Checkpoint): unknown {
  const ofMap = (map: Iterable<[string, Float32Array | Float64Array]>) => Array.from(map, ([k, v]) => [k, hex(v)]);
  const slots = Object.entries(optimizer.slots).map(([slot, map]) => [slot, ofMap(map)]);
  return {
    step,
    params: ofMap(params),
    optimizerStep: optimizer.step,
    slots,
    extra: ofMap(Object.entries(extra)),
    meta,
  };
}

describe('checkpoint', () => {
  it('comes back bit for bit', () => {
    const checkpoint = sample();
    const file = throughFile(checkpointToTensors(checkpoint));
    expect(bits(tensorsToCheckpoint(file))).toEqual(bits(checkpoint));
    expect(file.tensors.map(({ name }) => name)).toContain('optimizer/exp_avg/layer/0.weight');
    expect(new Set(file.tensors.map(({ name }) => name)).size).toBe(file.tensors.length);
    expect(Object.values(file.metadata).every((text) => typeof text === 'string')).toBe(true);
  });

  it('comes back bit for bit with any names and values', () => {
    const array = fc.float32Array({ maxLength: 5 });
    const numbers = fc.oneof(array, fc.float64Array({ maxLength: 5 }));
    const arbitrary = fc.record({
      step: fc.nat(),
      params: fc.array(fc.tuple(fc.string(), array)),
      extra: fc.array(fc.tuple(fc.string(), numbers)),
      meta: fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.array(fc.boolean())), {
        noNullPrototype: true,
      }),
      momentum: fc.constantFrom(0, 0.9),
    });
    fc.assert(
      fc.property(arbitrary, ({ step, params, extra, meta, momentum }) => {
        const map = new Map(params);
        const optimizer = sgd({ momentum }).init(map);
        const checkpoint = { step, params: map, optimizer, extra: Object.fromEntries(extra), meta };
        expect(bits(tensorsToCheckpoint(throughFile(checkpointToTensors(checkpoint))))).toEqual(bits(checkpoint));
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it('keeps a slot without arrays, and slots for a part of the parameters', () => {
    const trained = adamw().init(new Map([['b', new Float32Array(2)]]));
    const params = new Map(['a', 'b'].map((name) => [name, new Float32Array(2)]));
    for (const optimizer of [trained, adamw().init(new Map())]) {
      const checkpoint = { step: 0, params, optimizer, extra: {}, meta: {} };
      expect(bits(tensorsToCheckpoint(checkpointToTensors(checkpoint)))).toEqual(bits(checkpoint));
    }
  });

  it('shares no memory with the file after reading', () => {
    const file = checkpointToTensors(sample());
    const read = tensorsToCheckpoint(file);
    const before = bits(read);
    for (const { bytes } of file.tensors) bytes.fill(255);
    expect(bits(read)).toEqual(before);
  });

  it('reads views into a larger array', () => {
    const whole = Float32Array.of(1, 2, 3, 4);
    const params = new Map([['part', whole.subarray(1, 3)]]);
    const file = checkpointToTensors({ step: 0, params, optimizer: sgd().init(params), extra: {}, meta: {} });
    expect(tensorsToCheckpoint(file).params.get('part')).toEqual(Float32Array.of(2, 3));
  });

  it.each<[string, Partial<Checkpoint>, string]>([
    ['a negative step', { step: -1 }, 'checkpoint step: expected a count from 0 up, found -1'],
    ['a broken step', { step: 0.5 }, 'checkpoint step'],
    ['a broken optimizer step', { optimizer: { step: Number.NaN, slots: {} } }, 'checkpoint optimizer_step'],
    ['a slot with a slash', { optimizer: { step: 0, slots: { 'a/b': new Map() } } }, 'found "a/b"'],
    ['infinity in meta', { meta: { best: { loss: [1, Number.POSITIVE_INFINITY] } } }, 'checkpoint meta.best.loss[1]'],
    ['undefined in meta', { meta: { a: undefined } }, 'checkpoint meta.a: expected JSON data, found undefined'],
    ['a map in meta', { meta: { a: new Map() } }, 'found a Map'],
    ['a date in meta', { meta: { a: new Date(0) } }, 'found a Date'],
  ])('refuses to write %s', (_, change, message) => {
    const write = () => checkpointToTensors({ ...sample(), ...change });
    expect(write).toThrow(InputError);
    expect(write).toThrow(message);
  });

  it('refuses to write a circle', () => {
    const meta: Record<string, unknown> = {};
    meta.self = meta;
    expect(() => checkpointToTensors({ ...sample(), meta })).toThrow(InputError);
  });

  type Damage = (file: SafetensorsFile) => void;
  const at = (file: SafetensorsFile, name: string) => {
    const tensor = file.tensors.find((candidate) => candidate.name === name);
    if (!tensor) throw new Error(`the sample has no ${name}`);
    return tensor;
  };
  const drop = (file: SafetensorsFile, name: string) => file.tensors.splice(file.tensors.indexOf(at(file, name)), 1);
  const add = (file: SafetensorsFile, name: string) =>
    file.tensors.push({ name, dtype: 'F32', shape: [1], bytes: new Uint8Array(4) });

  it.each<[string, Damage, string]>([
    ['another format', (f) => (f.metadata.format = 'pt'), 'expected format weightlock-checkpoint-1, found "pt"'],
    ['no metadata', (f) => (f.metadata = {}), 'expected the key format, found none'],
    ['no step', (f) => delete f.metadata.step, 'expected the key step'],
    ['a step that is no count', (f) => (f.metadata.step = '1e3'), 'step: expected a count from 0 up, found "1e3"'],
    ['a step beyond 2^53', (f) => (f.metadata.step = '9'.repeat(30)), 'step: expected a count'],
    ['a negative optimizer step', (f) => (f.metadata.optimizer_step = '-1'), 'optimizer_step'],
    ['meta that is no JSON', (f) => (f.metadata.meta = '{'), 'meta: expected JSON'],
    ['meta that is a list', (f) => (f.metadata.meta = '[1]'), 'expected a JSON object, found [1]'],
    ['meta that is null', (f) => (f.metadata.meta = 'null'), 'expected a JSON object, found null'],
    ['slots that are no list', (f) => (f.metadata.optimizer_slots = '{}'), 'optimizer_slots: expected a list'],
    ['a slot named __proto__', (f) => (f.metadata.optimizer_slots = '["__proto__"]'), 'optimizer_slots'],
    ['a slot twice', (f) => (f.metadata.optimizer_slots = '["a","a"]'), 'different slot names'],
    ['a slot that is not listed', (f) => add(f, 'optimizer/sum/bias'), 'expected a slot among exp_avg'],
    ['a tensor of no group', (f) => add(f, 'weights/bias'), '"weights/bias": expected params/<name>'],
    ['a group alone', (f) => add(f, 'params'), '"params": expected params/<name>'],
    ['a slot alone', (f) => add(f, 'optimizer/exp_avg'), '"optimizer/exp_avg": expected'],
    ['a parameter twice', (f) => add(f, 'params/bias'), '"params/bias": expected once, found again'],
    ['an extra twice', (f) => add(f, 'extra/losses'), '"extra/losses": expected once, found again'],
    ['a missing parameter', (f) => drop(f, 'params/bias'), 'expected a parameter of this name'],
    ['a missing slot array', (f) => drop(f, 'optimizer/exp_avg/bias'), '"optimizer/exp_avg/bias": expected as other'],
    ['another dtype', (f) => (at(f, 'params/bias').dtype = 'I32'), 'expected F32, found I32'],
    ['float64 parameters', (f) => (at(f, 'params/bias').dtype = 'F64'), 'expected F32, found F64'],
    ['an integer extra', (f) => (at(f, 'extra/losses').dtype = 'I64'), 'expected F32, found I64'],
    ['two axes', (f) => (at(f, 'params/bias').shape = [1, 1]), 'expected one axis, found shape [1, 1]'],
    ['a shape too large', (f) => (at(f, 'params/bias').shape = [2]), 'expected 2 values of 4 bytes, found 4 bytes'],
    ['a shape that is no count', (f) => (at(f, 'params/bias').shape = [Number.NaN]), 'expected NaN values'],
    ['scalars that are a list', (f) => (f.metadata.optimizer_scalars = '[1]'), 'expected numbers by name, found [1]'],
    ['scalars that are none', (f) => (f.metadata.optimizer_scalars = 'null'), 'expected numbers by name, found null'],
    ['a scalar that is text', (f) => (f.metadata.optimizer_scalars = '{"a":"1"}'), 'expected numbers by name'],
  ])('refuses to read %s', (_, damage, message) => {
    const file = throughFile(checkpointToTensors(sample()));
    damage(file);
    const read = () => tensorsToCheckpoint(file, 'run/last.safetensors');
    expect(read).toThrow(InputError);
    expect(read).toThrow(message);
    expect(read).toThrow(/^run\/last\.safetensors[: ]/);
  });
});
