import { InputError, quote } from '../../registry/index.js';
import { build, Expected, isAllowed, storageOf } from './state-dict-globals.js';
import { Global, kindOf, type PickleValue, type StorageRef, Tuple } from './values.js';

/** A place on the stack from which items are collected. */
const mark = Symbol('mark');

/**
 * Reads the pickle of a state dict. It is data, not a program: nothing is imported or called, of all functions only those of
 * {@link isAllowed} mean something, and that is done here. Work and memory grow with its bytes, up to a limit.
 *
 * @param source - The file, for messages.
 * @throws InputError naming the first thing in it that no state dict has.
 */
export function unpickle(bytes: Uint8Array, source: string): PickleValue {
  return new Machine(bytes, source).run();
}

/** What each opcode of protocol 2 does, which `torch.save` writes; those that no state dict has are not here. */
const OPCODES: Readonly<Record<number, (machine: Machine) => void>> = {
  // MARK, GLOBAL, BINPERSID, REDUCE, BUILD
  40: (machine) => machine.mark(),
  99: (machine) => machine.push(machine.global()),
  81: (machine) => machine.push(machine.made(storageOf(machine.pop()))),
  82: (machine) => {
    const args = machine.pop();
    machine.push(machine.made(build(machine.pop(), args)));
  },
  98: (machine) => machine.attributes(),
  // NONE, NEWTRUE, NEWFALSE, BININT, BININT1, BININT2, LONG1, BINFLOAT, BINUNICODE, SHORT_BINSTRING
  78: (machine) => machine.push(null),
  136: (machine) => machine.push(true),
  137: (machine) => machine.push(false),
  74: (machine) => machine.push(machine.view.getInt32(machine.skip(4), true)),
  75: (machine) => machine.push(machine.u8()),
  77: (machine) => machine.push(machine.view.getUint16(machine.skip(2), true)),
  138: (machine) => machine.push(machine.long(machine.u8())),
  71: (machine) => machine.push(machine.view.getFloat64(machine.skip(8), false)),
  88: (machine) => machine.push(machine.text(machine.u32())),
  85: (machine) => machine.push(machine.text(machine.u8())),
  // EMPTY_TUPLE, TUPLE, TUPLE1, TUPLE2, TUPLE3
  41: (machine) => machine.push(new Tuple([])),
  116: (machine) => machine.push(new Tuple(machine.popToMark())),
  133: (machine) => machine.push(machine.tuple(1)),
  134: (machine) => machine.push(machine.tuple(2)),
  135: (machine) => machine.push(machine.tuple(3)),
  // EMPTY_LIST, APPEND, APPENDS, EMPTY_DICT, SETITEM, SETITEMS
  93: (machine) => machine.push([]),
  97: (machine) => machine.append([machine.pop()]),
  101: (machine) => machine.append(machine.popToMark()),
  125: (machine) => machine.push(new Map()),
  115: (machine) => machine.setItems(machine.tuple(2).items),
  117: (machine) => machine.setItems(machine.popToMark()),
  // BINPUT, LONG_BINPUT, BINGET, LONG_BINGET
  113: (machine) => machine.keep(machine.u8()),
  114: (machine) => machine.keep(machine.u32()),
  104: (machine) => machine.recall(machine.u8()),
  106: (machine) => machine.recall(machine.u32()),
};
const PROTO = 0x80;
/** A tensor takes about 35; models of a trillion parameters have 100,000. */
const MAX_STEPS = 2 ** 22;
/** A tensor has an empty dict of hooks; each costs some hundred bytes here and one or two there. */
const MAX_COLLECTIONS = 2 ** 18;
const STOP = 0x2e;

/** The stack machine that a pickle is written for, with a stack of values and a memo. */
class Machine {
  readonly view: DataView;
  readonly #bytes: Uint8Array;
  readonly #source: string;
  #position = 0;
  readonly #stack: (PickleValue | typeof mark)[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #collections = 0;

  constructor(bytes: Uint8Array, source: string) {
    this.#bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#source = source;
  }

  run(): PickleValue {
    if (this.u8() !== PROTO || this.u8() !== 2) {
      throw this.#fail('a pickle of protocol 2, as torch.save writes it', 'another one');
    }
    for (let opcode = this.u8(), steps = 0; opcode !== STOP; opcode = this.u8(), steps++) {
      if (steps === MAX_STEPS) throw this.#fail(`at most ${MAX_STEPS} steps`, 'more');
      const step = OPCODES[opcode];
      if (!step) throw this.#fail('opcodes of a state dict', `0x${opcode.toString(16).padStart(2, '0')}`);
      step(this);
    }
    return this.pop();
  }

  u8(): number {
    return this.view.getUint8(this.skip(1));
  }

  u32(): number {
    return this.view.getUint32(this.skip(4), true);
  }

  /** Two lines: module and name. */
  global(): Global {
    const name = `${this.#line()}.${this.#line()}`;
    if (isAllowed(name)) return new Global(name);
    throw new InputError(
      `${this.#source}: expected the weights alone, found a pickle that asks for ${quote(name)}, which is not executed; save model.state_dict() or safetensors`,
    );
  }

  /** The attributes of an OrderedDict, such as a module's `_metadata`: no part of its items. */
  attributes(): void {
    const state = this.pop();
    const target = this.#top();
    if (target instanceof Map && state instanceof Map) return;
    throw this.#fail('attributes of an OrderedDict', `${kindOf(state)} for ${kindOf(target)}`);
  }

  append(items: readonly PickleValue[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#fail('a list', kindOf(list));
    for (const item of items) list.push(item);
  }

  setItems(items: readonly PickleValue[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map)) throw this.#fail('a dict', kindOf(dict));
    if (items.length % 2 !== 0) throw this.#fail('a value for each key', 'none');
    for (let i = 0; i < items.length; i += 2) {
      const [key, value] = items.slice(i, i + 2);
      if (typeof key !== 'string' && typeof key !== 'number')
        throw this.#fail('texts and numbers as keys', kindOf(key));
      if (dict.has(key)) throw this.#fail('each key once', `${quote(String(key))} twice`);
      dict.set(key, value ?? null);
    }
  }

  made<T extends PickleValue | StorageRef>(value: T | Expected): T {
    if (value instanceof Expected) throw this.#fail(value.what, value.found);
    return value;
  }

  mark(): void {
    this.#stack.push(mark);
  }

  keep(key: number): void {
    this.#memo.set(key, this.#top());
  }

  recall(key: number): void {
    const value = this.#memo.get(key);
    if (value === undefined) throw this.#fail('a value that was kept', `number ${key}, which was not`);
    this.push(value);
  }

  /** A whole number of so many bytes, two's complement. */
  long(length: number): number {
    const bytes = this.#take(length);
    const value = bytes.reduceRight((higher, byte) => (higher << 8n) | BigInt(byte), 0n);
    const number = Number(BigInt.asIntN(length * 8, value));
    if (!Number.isSafeInteger(number)) throw this.#fail('whole numbers up to 2^53', 'a larger one');
    return number;
  }

  text(length: number): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.#take(length));
    } catch (error) {
      if (error instanceof InputError) throw error;
      throw this.#fail('texts of valid UTF-8', 'other bytes');
    }
  }

  #line(): string {
    const end = this.#bytes.indexOf(10, this.#position);
    if (end < 0 || end - this.#position > 1000) throw this.#fail('a name on a line of its own', 'none');
    const text = this.text(end - this.#position);
    this.#position = end + 1;
    return text;
  }

  push(value: PickleValue): void {
    if (value instanceof Map || Array.isArray(value)) this.#collections++;
    if (this.#collections > MAX_COLLECTIONS) throw this.#fail(`at most ${MAX_COLLECTIONS} dicts and lists`, 'more');
    this.#stack.push(value);
  }

  pop(): PickleValue {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined || value === mark) throw this.#fail('a value', 'none');
    return value;
  }

  /** A tuple of so many values, the last one on top. */
  tuple(length: number): Tuple {
    return new Tuple(Array.from({ length }, () => this.pop()).reverse());
  }

  popToMark(): PickleValue[] {
    const at = this.#stack.lastIndexOf(mark);
    if (at < 0) throw this.#fail('a mark', 'none');
    // All above the last mark are values.
    const items = this.#stack.splice(at + 1) as PickleValue[];
    this.#stack.pop();
    return items;
  }

  #take(length: number): Uint8Array {
    const begin = this.skip(length);
    return this.#bytes.subarray(begin, begin + length);
  }

  /** Passes over so many bytes; where they begin. */
  skip(length: number): number {
    const begin = this.#position;
    if (begin + length > this.#bytes.length) throw this.#fail('a pickle that ends with STOP', 'its end before that');
    this.#position += length;
    return begin;
  }

  #fail(expected: string, found: string): InputError {
    return new InputError(
      `${this.#source}: expected ${expected}, found ${found} (byte ${this.#position} of data.pkl); save model.state_dict() or safetensors`,
    );
  }
}
