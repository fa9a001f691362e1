import { add, type Graph, gradients, mul, type Tensor } from '../graph/index.js';
import type { ForwardPass, ModelSpec } from '../models/index.js';
import { type ArraySpecs, batchInput, batchSpecs } from '../nn/index.js';
import { InputError } from '../registry/index.js';
import type { Task } from '../tasks/index.js';
import type { FactorGraph } from './kronecker.js';
import type { FactorQuestion } from './optimizers/index.js';
import { divergenceFrom } from './reference.js';
import { type RowTable, rowTables } from './row-tables.js';

/** A loss, written into a graph for one layout of batches. */
export interface LossGraph {
  /** `loss`, `grad <name>` of parameters that have a gradient, `rows <name>` of those in `tables`, `next <name>` of buffers. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly scope: ForwardPass['scope'];
  readonly output: Tensor;
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Parameters whose whole gradient is computed. */
  readonly trained: readonly string[];
  /** Parameters of which the gradient of the rows alone is computed that the batch names. */
  readonly tables: readonly RowTable[];
}

/** How a loss is computed. */
export interface LossForm {
  /** Weights of its parts. */
  readonly weights: { readonly task: number; readonly divergence: number };
  /** Whether blocks are computed a second time for their gradients and not held; default false. */
  readonly recompute?: boolean;
  /** Tables of which the gradient of the rows that a batch names is enough; default none. */
  readonly byRows?: ReadonlySet<string>;
  /** How many of the most likely answers of the original the divergence is from; default all. */
  readonly top?: number;
}

/** So many times as many rows as a batch can name must a table have, or its whole gradient costs about as much. */
const worthRows = 4;

/** Writes the loss of a model, for the layout of a batch. */
export class LossGraphs {
  constructor(
    readonly model: ModelSpec,
    readonly task: Task,
    readonly form: LossForm,
  ) {}

  /** Names the loss of a batch among the programs of a cache. */
  key(batch: ArraySpecs): string {
    const { task, model } = this;
    const { weights, recompute = false, byRows = [], top } = this.form;
    return JSON.stringify(['objective', task.name, model.digest, weights, recompute, [...byRows], batch, top]);
  }

  /** The arrays of a batch whose examples are laid out so: those of the examples, and the targets'. */
  specs(layout: ArraySpecs, size: number): ArraySpecs {
    return batchSpecs({ ...layout, ...this.task.targets(layout) }, size);
  }

  /**
   * The tables that the loss looks rows up in, and uses for nothing else, as far as it is worth it to treat them by rows.
   *
   * @param batch - One of the longest examples.
   * @param wanted - Says of which parameters that is enough.
   */
  largeTables(batch: ArraySpecs, wanted: (name: string) => boolean): ReadonlySet<string> {
    const { loss, scope } = this.#loss(batch);
    const tables = rowTables(loss, new Map([...scope.parameterInputs].filter(([name]) => wanted(name))));
    return new Set(tables.filter(({ count, lookups }) => count >= worthRows * lookups).map(({ name }) => name));
  }

  /**
   * The graph of loss, gradients and next buffers.
   *
   * @param options - `whole`: all gradients whole, and nothing computed twice, as second derivatives need it; default false.
   * @throws InputError where blocks are to be computed again and the model does not have several.
   */
  build(batch: ArraySpecs, { whole = false }: { whole?: boolean } = {}): LossGraph {
    const { recompute = false, byRows } = this.form;
    const { loss, scope, output } = this.#loss(batch);
    const parameters = scope.parameterInputs;
    const tables = whole ? [] : rowTables(loss, new Map([...parameters].filter(([name]) => byRows?.has(name))));
    const rowsOf = new Map(tables.map(({ name, rows }) => [name, rows]));
    const names = [...parameters.keys()];
    const kept = recompute && !whole ? this.#keptOf(scope) : [];
    const wrt = Array.from(parameters, ([name, weight]) => rowsOf.get(name) ?? weight);
    const slopes = gradients(loss, wrt, undefined, { kept });
    const outputs: Record<string, Tensor> = { loss };
    names.forEach((name, index) => {
      const gradient = slopes[index];
      if (gradient) outputs[`${rowsOf.has(name) ? 'rows' : 'grad'} ${name}`] = gradient;
    });
    for (const [name, value] of scope.bufferUpdates) outputs[`next ${name}`] = value;
    const trained = names.filter((name, index) => slopes[index] && !rowsOf.has(name));
    return { outputs, scope, output, parameters, trained, tables };
  }

  /**
   * The graph of a loss whose gradients curvature is made of: this one's, or the task's alone, whose answers may be others than the
   * batch's.
   */
  ofAnswers(batch: ArraySpecs, labels: FactorQuestion['labels']): FactorGraph {
    const { loss, scope, output } = this.#loss(batch);
    const drawn = labels === 'drawn' && this.task.loss?.(output, targetsIn(output.graph, batch));
    return { loss: drawn || loss, parameters: scope.parameterInputs };
  }

  /** The model's output alone, as training computes it. */
  output(batch: ArraySpecs): Tensor {
    return this.model.build(batch, { training: true }).outputs[this.task.output];
  }

  /** The loss itself. */
  #loss(batch: ArraySpecs): Pick<LossGraph, 'scope' | 'output'> & { loss: Tensor } {
    const { task } = this;
    const { weights, top } = this.form;
    const { graph, scope, outputs } = this.model.build(batch, { training: true });
    const output = outputs[task.output];
    const parts: Tensor[] = [];
    const target = targetsIn(graph, batch);
    if (weights.task !== 0 && task.loss) {
      parts.push(mul(task.loss(output, target), weights.task));
    }
    if (weights.divergence !== 0) {
      parts.push(mul(divergenceFrom(task, output, target, top), weights.divergence));
    }
    return { loss: parts.reduce((a, b) => add(a, b)), scope, output };
  }

  #keptOf({ hidden }: ForwardPass['scope']): readonly Tensor[] {
    if (hidden.length > 1) return hidden;
    const { name } = this.model.architecture;
    throw new InputError(`recompute: expected a model of several layers or blocks, found ${hidden.length} of ${name}`);
  }
}

/** What a step without gradients computes. */
export function withoutGradients(outputs: LossGraph['outputs']): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(outputs).filter(([name]) => !/^(grad|rows) /.test(name)));
}

/** The arrays of a batch as inputs of a graph, declared when they are asked for. */
export function targetsIn(graph: Graph, batch: ArraySpecs): (name: string) => Tensor {
  return (name) => {
    const input = batchInput(name);
    return graph.inputs.get(input) ?? graph.input(input, batch[name].shape, batch[name].dtype);
  };
}
