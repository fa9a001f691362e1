import { describe, expect, it } from 'vitest';
import {
  add,
  averagePool,
  batchNormalization,
  conv,
  Graph,
  gemm,
  greater,
  matMul,
  maxPool,
  mul,
  relu,
  reshape,
  scaleSymmetries,
  softmax,
  sub,
  type Tensor,
  tanh,
  transpose,
  where,
} from '../../src/graph/index.js';
import { RandomStream } from '../../src/linalg/index.js';
import { interpret, type Value } from '../support/interpreter.js';

/** A leaky ReLU as networks write it. */
const leaky = (x: Tensor) => where(greater(x, 0), x, mul(x, 0.1));

/** Networks on an input `x`, the inputs that may be multiplied, and how many factors can be chosen freely. */
const networks: Record<string, { build: (graph: Graph) => Tensor; free: number }> = {
  'two layers with ReLU': {
    build: (graph) => {
      const w1 = graph.input('w1', [5, 4]);
      const w2 = graph.input('w2', [3, 5]);
      const h = relu(gemm(graph.input('x', [2, 4]), w1, graph.input('b1', [5]), { transB: true }));
      return gemm(h, w2, graph.input('b2', [3]), { transB: true });
    },
    free: 2,
  },
  'leaky ReLU': {
    build: (graph) =>
      matMul(leaky(matMul(graph.input('x', [2, 4]), graph.input('w1', [4, 5]))), graph.input('w2', [5, 3])),
    free: 2,
  },
  'tanh allows its output layer alone': {
    build: (graph) =>
      matMul(tanh(matMul(graph.input('x', [2, 4]), graph.input('w1', [4, 5]))), graph.input('w2', [5, 3])),
    free: 1,
  },
  'convolution, pools of both kinds': {
    build: (graph) => {
      let h = conv(graph.input('x', [2, 1, 8, 8]), graph.input('w1', [3, 1, 3, 3]), graph.input('b1', [3]), {
        padding: 1,
      });
      h = relu(maxPool(h, { kernel: 2 }));
      h = averagePool(relu(conv(h, graph.input('w2', [2, 3, 3, 3]), graph.input('b2', [2]), { padding: 1 })), {
        kernel: 2,
      });
      return matMul(reshape(h, [2, -1]), graph.input('w3', [8, 3]));
    },
    free: 3,
  },
  'a residual sum binds both branches to one factor': {
    build: (graph) => {
      const h = matMul(graph.input('x', [2, 4]), graph.input('w1', [4, 4]));
      const branch = matMul(relu(matMul(h, graph.input('w2', [4, 5]))), graph.input('w3', [5, 4]));
      return matMul(add(h, branch), graph.input('w4', [4, 3]));
    },
    free: 3,
  },
  'batch normalization frees what is before it': {
    build: (graph) => {
      const h = conv(graph.input('x', [2, 1, 4, 4]), graph.input('w1', [3, 1, 3, 3]));
      const parameters = { scale: graph.input('scale', [3]), bias: graph.input('bias', [3]) };
      const statistics = { mean: graph.input('mean', [3]), variance: graph.input('variance', [3]) };
      return matMul(
        reshape(relu(batchNormalization(h, { ...parameters, ...statistics })), [2, -1]),
        graph.input('w2', [12, 3]),
      );
    },
    free: 3,
  },
  'attention: query against key, value against output': {
    build: (graph) => {
      const x = graph.input('x', [3, 4]);
      const [q, k, v] = ['q', 'k', 'v'].map((name) => matMul(x, graph.input(name, [4, 4])));
      const attended = matMul(softmax(matMul(q, transpose(k))), v);
      return add(x, matMul(attended, graph.input('o', [4, 4])));
    },
    free: 2,
  },
  'a difference with a constant fixes all': {
    build: (graph) => sub(relu(matMul(graph.input('x', [2, 4]), graph.input('w1', [4, 3]))), 1),
    free: 0,
  },
};

describe('scaleSymmetries', () => {
  it.each(Object.entries(networks))('%s', (_, { build, free }) => {
    const graph = new Graph();
    const output = build(graph);
    const names = [...graph.inputs.keys()].filter((name) => name !== 'x');
    const { basis, variances } = scaleSymmetries(output, names);
    expect(basis.size).toBe(free);
    const feeds: Record<string, Value> = {};
    for (const [name, { shape, size }] of graph.inputs) {
      const values = new Float32Array(size);
      const stream = new RandomStream(3, name);
      if (name === 'variance') stream.fillUniform(values, 0.5, 2);
      else stream.fillNormal(values, 0, 1);
      feeds[name] = { shape, data: Float64Array.from(values) };
    }
    const [before] = interpret([output], feeds);
    let moved = 0;
    for (const vector of basis.values()) {
      const scaled = { ...feeds };
      for (const [name, exponent] of vector) {
        const factor = Math.exp(0.7 * exponent);
        const epsilon = variances.get(name) ?? 0;
        scaled[name] = { ...feeds[name], data: feeds[name].data.map((value) => (value + epsilon) * factor - epsilon) };
        moved++;
      }
      const [after] = interpret([output], scaled);
      const factor = after.data[0] / before.data[0];
      expect(factor).toBeGreaterThan(0);
      after.data.forEach((value, index) => {
        expect(Math.abs(value - factor * before.data[index]), `element ${index}`).toBeLessThan(
          1e-12 * (1 + Math.abs(value)),
        );
      });
    }
    expect(moved > 0).toBe(free > 0);
  });
});
