import { InputError } from '../registry/index.js';

/** One line of metrics.jsonl: the step it belongs to and what was measured there. */
export interface MetricRecord {
  /** Steps finished when this was measured, counted over the whole run. */
  readonly step: number;
  /** Measured values by name. Numbers that JSON lacks are stored as "NaN", "Infinity" and "-Infinity". */
  readonly [name: string]: unknown;
}

/**
 * Writes data as JSON and keeps what diverged visible: NaN and the infinities become the strings that `Number()` reads
 * back, where plain JSON would store null.
 *
 * @param indent - Spaces per level; default 0, one line.
 */
export function toJson(value: unknown, indent = 0): string {
  return JSON.stringify(
    value,
    (_key, item: unknown) => (typeof item === 'number' && !Number.isFinite(item) ? String(item) : item),
    indent,
  );
}

/**
 * Writes one record as a line.
 *
 * @throws RangeError when the step is not a whole number from 0 up; without it a resumed run cannot cut its metrics.
 */
export function metricLine(record: MetricRecord): string {
  if (!Number.isSafeInteger(record.step) || record.step < 0) {
    throw new RangeError(`metric record: expected a step of 0, 1, 2, ..., got ${record.step}`);
  }
  return `${toJson(record)}\n`;
}

/**
 * Reads the complete lines of a metrics file; the part after the last newline was being written when the run was
 * killed, and is left out.
 *
 * @returns Each record beside its exact text, newline included.
 * @throws InputError when a complete line is no record; names the line.
 */
export function parseMetrics(text: string, source: string): { record: MetricRecord; line: string }[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line, index) => {
      const record = parseLine(line);
      if (!record) throw new InputError(`${source}: line ${index + 1}: expected a JSON object with a step`);
      return { record, line: `${line}\n` };
    });
}

function parseLine(line: string): MetricRecord | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is MetricRecord {
  return typeof value === 'object' && value !== null && 'step' in value && Number.isSafeInteger(value.step);
}
