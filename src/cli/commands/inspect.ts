import { z } from 'zod';
import { inspectMatrix, readMatrices } from '../../experiments/index.js';
import { describeNotFinite } from '../../formats/index.js';
import { decimal, MISSING, magnitude, tableToText } from '../../report/index.js';
import { defineCommand } from '../command.js';

/** `weightlock inspect`: the singular values of a model's weights. */
export const inspect = defineCommand({
  name: 'inspect',
  summary: 'Show the largest singular values, condition number and norm of every weight matrix.',
  arguments: [{ name: 'path', description: 'safetensors file or model directory.', required: true }],
  schema: z.strictObject({
    topK: z.int().min(1).max(64).default(4).describe('how many singular values to show'),
  }),
  examples: ['weightlock inspect ./locked', 'weightlock inspect ./model.safetensors --top-k 8 --json'],
  run: async ({ arguments: { path }, options: { topK }, dryRun, signal, progress, print, result }) => {
    const { matrices: tensors, remarks } = await readMatrices(path);
    if (dryRun) {
      print(`would inspect ${tensors.length} weight matrices of ${path}`);
      return 0;
    }
    const line = progress({ label: 'inspect', total: tensors.length });
    const matrices = [];
    for (const tensor of tensors) {
      signal.throwIfAborted();
      matrices.push(inspectMatrix(tensor, topK));
      line.update(matrices.length, tensor.name);
      // A full SVD blocks: let Ctrl-C and the progress line have their turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
    line.finish();
    const shown = Array.from({ length: topK }, (_, index) => ({
      key: `s${index}`,
      header: `σ${index + 1}`,
      align: 'right' as const,
    }));
    print(
      tableToText({
        columns: [
          { key: 'name', header: 'matrix' },
          { key: 'shape', header: 'shape', align: 'right' },
          ...shown,
          { key: 'condition', header: 'condition', align: 'right' },
          { key: 'frobenius', header: 'Frobenius', align: 'right' },
        ],
        rows: matrices.map(({ name, shape, sigma, condition, frobenius }) => ({
          name,
          shape: shape.join('×'),
          ...Object.fromEntries(sigma.map((value, index) => [`s${index}`, magnitude(value)])),
          condition: formatCondition(condition),
          frobenius: magnitude(frobenius),
        })),
        notes: [
          'condition: σ1 over the smallest singular value; ∞: rank deficient. Convolution kernels count as out × in·kh·kw.',
          ...matrices.flatMap(({ name, notFinite }) =>
            notFinite ? [`${name} is not finite: ${describeNotFinite(notFinite)}.`] : [],
          ),
          ...remarks,
        ],
      }),
    );
    result({ path, matrices, remarks });
    return 0;
  },
});

/** Three digits; thousands separators up to a million, an exponent from there on. */
function formatCondition(condition: number): string {
  if (Number.isNaN(condition)) return MISSING;
  if (condition < 1e6) return decimal(condition, condition < 10 ? 2 : condition < 100 ? 1 : 0);
  return condition === Number.POSITIVE_INFINITY ? '∞' : condition.toExponential(2).replace('e+', 'e');
}
