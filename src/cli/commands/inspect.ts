import { z } from 'zod';
import { inspectTensors, openMatrices } from '../../experiments/index.js';
import { describeNotFinite } from '../../formats/index.js';
import { decimal, MISSING, magnitude, tableToText } from '../../report/index.js';
import { EXACT_SIDE } from '../../spectra/index.js';
import { defineCommand } from '../command.js';
import { modelArgument } from '../model-argument.js';

/** `weightlock inspect`: the singular values of a model's weights. */
export const inspect = defineCommand({
  name: 'inspect',
  summary:
    'Show the largest singular values, condition number and norm of every weight matrix, and digests of all tensors.',
  arguments: [
    {
      name: 'path',
      description: 'Model directory, file of weights, or id of the Hugging Face hub (owner/name).',
      required: true,
    },
  ],
  schema: z.strictObject({
    topK: z.int().min(1).max(64).default(4).describe('how many singular values to show'),
    exact: z
      .boolean()
      .default(false)
      .describe(
        `a full SVD of every matrix, for the condition number of those with both sides above ${EXACT_SIDE} as well; 10 seconds at 2,048, two hours at 16,000`,
      ),
  }),
  examples: ['weightlock inspect ./locked', 'weightlock inspect ./model.safetensors --top-k 8 --json'],
  run: async (context) => {
    const { topK, exact } = context.options;
    const { dryRun, threads, device, signal, progress, print, result } = context;
    const path = await modelArgument(context.arguments.path, context);
    if (path === undefined) return 0;
    const { tensors, matrices: found } = await openMatrices(path);
    if (dryRun) {
      print(`would inspect ${found.length} weight matrices of ${path}`);
      return 0;
    }
    const line = progress({ label: 'inspect', total: tensors.headers.length });
    const onTensor = (done: number, name: string) => line.update(done, { extra: name });
    const inspection = await inspectTensors(tensors, { topK, exact, engine: { threads, device }, signal, onTensor });
    line.finish();
    const { matrices, remarks, sha256 } = inspection;
    const notComputed = matrices.some(({ condition }) => condition === undefined)
      ? `; ${MISSING}: not computed, it takes a full SVD of a matrix with both sides above ${EXACT_SIDE} (--exact)`
      : '';
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
          `condition: σ1 over the smallest singular value; ∞: rank deficient${notComputed}. Convolution kernels count as out × in·kh·kw.`,
          ...matrices.flatMap(({ name, notFinite }) =>
            notFinite ? [`${name} is not finite: ${describeNotFinite(notFinite)}.`] : [],
          ),
          ...remarks,
          `SHA-256 of all ${tensors.headers.length} tensors, whatever their order and shards: ${sha256}`,
        ],
      }),
    );
    result({ path, ...inspection });
    return 0;
  },
});

/** Three digits; thousands separators up to a million, an exponent from there on. */
function formatCondition(condition: number | undefined): string {
  if (condition === undefined || Number.isNaN(condition)) return MISSING;
  if (condition < 1e6) return decimal(condition, condition < 10 ? 2 : condition < 100 ? 1 : 0);
  return condition === Number.POSITIVE_INFINITY ? '∞' : condition.toExponential(2).replace('e+', 'e');
}
