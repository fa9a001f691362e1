import { InputError } from '../registry/index.js';
import type { Optimizer, OptimizerState, ParameterSet, ParameterShapes } from './optimizers/index.js';
import type { NamedRows } from './row-tables.js';

/** What {@link RowUpdates} needs to know of a run. */
export interface RowRun {
  /** An optimizer that moves each value by itself: one with `idleFactor`. */
  readonly optimizer: Optimizer;
  /** All parameters, changed in place. */
  readonly params: ParameterSet;
  /** Their shapes. */
  readonly shapes: ParameterShapes;
  /** The optimizer's state, changed in place. */
  readonly state: OptimizerState;
  /** Learning rate of a step, from 0. */
  rateAt(step: number): number;
}

/** Rows that are caught up at once: so few that their values and slots stay in a core's cache from step to step. */
const rowsAtOnce = 64;

/** A table, and how far each of its rows has come. */
interface Table {
  readonly name: string;
  readonly width: number;
  /** The parameter, `[count, width]`. */
  readonly values: Float32Array;
  /** Slots that have a number for each of its values, by their names. */
  readonly slots: ReadonlyMap<string, Float32Array>;
  /** Names of the slots that count gradients, and how many more they have counted than the run has steps. */
  readonly counts: ReadonlyMap<string, number>;
  /** Updates that each row has had, `[count]`. */
  readonly updates: Uint32Array;
  /** Whether the slots of a row may differ from how they began, `[count]`. */
  readonly moved: Uint8Array;
}

/** Some rows of a table with their slots, in arrays of their own. */
interface Part {
  readonly values: Float32Array;
  readonly slots: ReadonlyMap<string, Float32Array>;
}

/**
 * Updates of tables by the rows that batches name. Without a gradient a row still moves: moments go on, and decay takes off a
 * share. To an optimizer that moves each value by itself it is all the same when that is done: the steps that a row has missed are
 * done when it is named again, or when somebody wants to see the whole table. They are the optimizer's own steps, in their
 * order, so that the result is that of updates of the whole table, bit for bit.
 *
 * What is saved: rows that no batch has named. As long as their slots are as they began, a step is a factor at most.
 */
export class RowUpdates {
  readonly #tables = new Map<string, Table>();
  /** Factors of some steps of rows that were never named, asked for last; undefined: they move in other ways. */
  #factors?: { name: string; from: number; step: number; factors: readonly number[] | undefined };

  /**
   * @param run - What it updates, and how.
   * @param start - Updates that all rows have had.
   */
  constructor(
    private readonly run: RowRun,
    readonly start: number,
  ) {}

  /** Brings the rows that a batch names up to date, before its loss is computed. */
  async prepare(named: NamedRows, step: number): Promise<void> {
    for (const [name, rows] of named) await this.#catchUp(this.#table(name), rows, step);
  }

  /**
   * Does a step.
   *
   * @param named - Of the step's batch; they are up to date.
   * @param gradients - Of tables, those of these rows.
   * @returns What was changed: parameters, and rows of tables.
   */
  async update(named: NamedRows, gradients: ParameterSet, step: number): Promise<ParameterSet> {
    const { optimizer, state, rateAt } = this.run;
    const params = new Map(this.run.params);
    const slots = Object.fromEntries(Object.entries(state.slots).map(([slot, arrays]) => [slot, new Map(arrays)]));
    const parts = Array.from(named, ([name, rows]) => {
      const table = this.#table(name);
      const part = take(table, rows);
      params.set(name, part.values);
      for (const [slot, values] of part.slots) slots[slot].set(name, values);
      return { table, rows, part };
    });
    const view = { ...state, slots };
    await optimizer.update(gradients, view, params, rateAt(step));
    state.step = view.step;
    for (const { table, rows, part } of parts) {
      put(table, rows, part);
      for (const row of rows) {
        table.updates[row] = step + 1;
        table.moved[row] = 1;
      }
    }
    return params;
  }

  /** Brings all rows up to date. */
  async settle(step: number): Promise<void> {
    for (const table of this.#tables.values()) await this.#catchUp(table, table.updates.keys(), step);
  }

  #table(name: string): Table {
    const known = this.#tables.get(name);
    if (known) return known;
    const { params, shapes, state } = this.run;
    const values = params.get(name);
    const [count, width] = shapes.get(name) ?? [];
    if (!values || values.length !== count * width) {
      throw new InputError(`${name}: expected a table of ${count} × ${width}, found ${values?.length ?? 'no'} values`);
    }
    const own = Object.entries(state.slots).flatMap(([slot, arrays]) => {
      const found = arrays.get(name);
      return found ? [[slot, found] as const] : [];
    });
    const slots = new Map(own.filter(([, found]) => found.length === values.length));
    const counts = own
      .filter(([slot]) => !slots.has(slot))
      .map(([slot, [found]]) => [slot, found - this.start] as const);
    const table = {
      ...{ name, width, values, slots, counts: new Map(counts) },
      updates: new Uint32Array(count).fill(this.start),
      moved: new Uint8Array(count),
    };
    // Those of a run that was begun before tell by their slots.
    if (this.start > 0) this.#markMoved(table);
    this.#tables.set(name, table);
    return table;
  }

  #markMoved({ name, width, slots, moved }: Table): void {
    const one = this.run.optimizer.init(new Map([[name, new Float32Array(1)]]), new Map([[name, [1, 1]]]));
    for (const [slot, values] of slots) {
      const first = one.slots[slot]?.get(name)?.[0];
      for (let i = 0; i < values.length; i++) if (values[i] !== first) moved[Math.floor(i / width)] = 1;
    }
  }

  async #catchUp(table: Table, rows: Iterable<number>, step: number): Promise<void> {
    const { updates, moved, slots } = table;
    const late: number[] = [];
    for (const row of rows) {
      if (updates[row] >= step) continue;
      const isIdle = slots.size === 0 || moved[row] === 0;
      if (isIdle && this.#decay(table, row, step)) updates[row] = step;
      else late.push(row);
    }
    late.sort((a, b) => updates[a] - updates[b]);
    for (let from = 0; from < late.length; from += rowsAtOnce) {
      const some = Uint32Array.from(late.slice(from, from + rowsAtOnce));
      await this.#step(table, some, step);
    }
  }

  /** Does the missed steps of a row whose slots are as they began; says whether that could be done so. */
  #decay({ name, width, values, updates }: Table, row: number, step: number): boolean {
    const factors = this.#factorsOf(name, updates[row], step);
    if (factors?.some((factor) => factor !== 1)) multiply(values.subarray(row * width, (row + 1) * width), factors);
    return factors !== undefined;
  }

  /** Factors of the steps from one on; most rows ask for the same. */
  #factorsOf(name: string, from: number, step: number): readonly number[] | undefined {
    const { optimizer, rateAt } = this.run;
    const known = this.#factors;
    if (known?.name !== name || known.from !== from || known.step !== step) {
      const all = Array.from({ length: step - from }, (_, at) => optimizer.idleFactor?.(name, rateAt(from + at)));
      const factors = all.filter((factor) => factor !== undefined);
      this.#factors = { name, from, step, factors: factors.length === all.length ? factors : undefined };
    }
    return this.#factors?.factors;
  }

  /**
   * Does the missed steps of some rows.
   *
   * @param rows - Those that missed most first.
   */
  async #step(table: Table, rows: Uint32Array, step: number): Promise<void> {
    const { name, width, updates, counts } = table;
    const { optimizer, rateAt } = this.run;
    const part = take(table, rows);
    const zeros = new Float32Array(part.values.length);
    let late = 0;
    for (let at = updates[rows[0]]; at < step; at++) {
      while (late < rows.length && updates[rows[late]] <= at) late++;
      const first = (values: Float32Array) => new Map([[name, values.subarray(0, late * width)]]);
      const slots = Object.fromEntries([
        ...Array.from(part.slots, ([slot, values]) => [slot, first(values)]),
        ...Array.from(counts, ([slot, more]) => [slot, new Map([[name, Float32Array.of(at + more)]])]),
      ]);
      await optimizer.update(first(zeros), { step: at, slots }, first(part.values), rateAt(at));
    }
    put(table, rows, part);
    for (const row of rows) updates[row] = step;
  }
}

/** Multiplies values by one factor after another; each product is rounded, as a step stores it. */
function multiply(values: Float32Array, factors: readonly number[]): void {
  let i = 0;
  // Four at a time, since each product of one value waits for the last.
  for (; i + 4 <= values.length; i += 4) {
    let [a, b, c, d] = [values[i], values[i + 1], values[i + 2], values[i + 3]];
    for (let k = 0; k < factors.length; k++) {
      const factor = factors[k];
      a = Math.fround(a * factor);
      b = Math.fround(b * factor);
      c = Math.fround(c * factor);
      d = Math.fround(d * factor);
    }
    values[i] = a;
    values[i + 1] = b;
    values[i + 2] = c;
    values[i + 3] = d;
  }
  for (; i < values.length; i++) for (const factor of factors) values[i] *= factor;
}

/** Copies rows of a table, one behind the other. */
function take({ values, slots, width }: Table, rows: Uint32Array): Part {
  const some = (all: Float32Array) => {
    const found = new Float32Array(rows.length * width);
    rows.forEach((row, at) => {
      found.set(all.subarray(row * width, (row + 1) * width), at * width);
    });
    return found;
  };
  return { values: some(values), slots: new Map(Array.from(slots, ([slot, all]) => [slot, some(all)])) };
}

/** Writes rows back to where they were taken from. */
function put(table: Table, rows: Uint32Array, part: Part): void {
  const { width } = table;
  const back = (from: Float32Array, to: Float32Array) => {
    rows.forEach((row, at) => {
      to.set(from.subarray(at * width, (at + 1) * width), row * width);
    });
  };
  back(part.values, table.values);
  for (const [slot, values] of part.slots) back(values, table.slots.get(slot) ?? values);
}
