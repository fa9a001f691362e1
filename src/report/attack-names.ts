import { type AttackFacts, type AttackRow, isMeasuredTrial } from '../attacks/index.js';
import { decimal } from './format/numbers.js';

/**
 * What was attacked, in the words of tables, charts and sentences: the starting point and what the attack did to it
 * before it trained.
 *
 * @example startLabel({ start: 'locked', label: 'clip + reset' }) // "locked, clip + reset"
 */
export function startLabel({ start, label }: Pick<AttackFacts, 'start' | 'label'>): string {
  return label === undefined ? start : `${start}, ${label}`;
}

/** Optimizers as people write them. */
const optimizerNames: Readonly<Record<string, string>> = {
  adam: 'Adam',
  adamw: 'AdamW',
  sgd: 'SGD',
  adadelta: 'Adadelta',
  'psgd-kron': 'PSGD-Kron',
  'psgd-xmat': 'PSGD-XMat',
  lbfgs: 'L-BFGS',
  'natural-gradient': 'natural gradient',
  kfac: 'K-FAC',
};

/** The optimizer of a row as people write it. */
export function optimizerLabel({ optimizer, options }: Pick<AttackRow, 'optimizer' | 'options'>): string {
  const name = optimizerNames[optimizer] ?? optimizer;
  return optimizer === 'sgd' && Number(options?.momentum ?? 0) > 0 ? `${name} + momentum` : name;
}

/** What is trained by what: the optimizer alone where all weights are, else `LoRA, AdamW`. */
export function partLabel(row: AttackRow): string {
  return row.composition.trained.name === 'all' ? optimizerLabel(row) : `${row.use}, ${optimizerLabel(row)}`;
}

/** Whether any reported trial of a row was measured. */
export function isKnown({ result }: AttackRow): boolean {
  return result.trials.some(isMeasuredTrial);
}

/** Whether an attack uses the model without a step of training; in results of versions before 0.2 frozen use took some. */
export function takesNoStep({ trains, result }: AttackRow): boolean {
  return !trains && result.trials.every(({ evaluations }) => evaluations === 0);
}

/** `3e−4`: a learning rate. */
export function rate(learningRate: number): string {
  const exponent = Math.floor(Math.log10(learningRate) + 1e-9);
  const digit = Math.round(learningRate / 10 ** exponent);
  return exponent >= 0 ? decimal(learningRate, learningRate < 10 ? 1 : 0) : `${digit}e${exponent}`.replace('-', '−');
}
