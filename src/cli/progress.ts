import type { Output } from './output.js';

/** Rewriting a terminal line oftener than this costs time and shows nothing more. */
const TERMINAL_INTERVAL_MS = 100;
/** In a log, a line oftener than this buries the rest. */
const LOG_INTERVAL_MS = 10_000;
/** The rate is measured over this span: long enough to be calm, short enough to follow a change of speed. */
const RATE_WINDOW_MS = 30_000;
/** Points in time that the rate is measured over. */
const RATE_SAMPLES = 300;

/** How far a piece of work has come. */
export interface ProgressState {
  /** What is being done. */
  label: string;
  /** Units finished. */
  done: number;
  /** Units in all, if known. */
  total?: number;
  /** Units per second, if measured. */
  rate?: number;
  /** Tokens per second, if measured. */
  tokenRate?: number;
  /** How far it has come, in words that say it better than the units and their rate. */
  count?: string;
  /** Anything else worth a glance, such as a loss. */
  extra?: string;
}

/**
 * Writes progress as a line: `label  37 %  123/330  12.3/s  1,520 tokens/s  about 17 s left  extra`.
 *
 * What is not known is left out.
 */
export function formatProgress({ label, done, total, rate, tokenRate, count, extra }: ProgressState): string {
  const parts = [label];
  // Rounded down, so that 100 % means finished.
  if (total !== undefined && total > 0) parts.push(`${Math.floor((100 * Math.min(done, total)) / total)} %`);
  parts.push(count ?? (total === undefined ? String(done) : `${done}/${total}`));
  if (rate !== undefined && rate > 0) {
    if (count === undefined) parts.push(formatRate(rate));
    if (tokenRate !== undefined && tokenRate > 0) parts.push(formatTokenRate(tokenRate));
    if (total !== undefined && done < total) parts.push(`about ${formatDuration((total - done) / rate)} left`);
  }
  if (extra) parts.push(extra);
  return parts.join('  ');
}

/** Writes a rate with three digits: `12.3/s`; slow ones per minute or hour. */
export function formatRate(perSecond: number): string {
  const [value, unit] =
    perSecond >= 0.1 ? [perSecond, 's'] : perSecond * 60 >= 0.1 ? [perSecond * 60, 'min'] : [perSecond * 3600, 'h'];
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}/${unit}`;
}

/** Writes a rate of tokens with three digits: `1,520 tokens/s`. */
export function formatTokenRate(perSecond: number): string {
  return `${perSecond.toLocaleString('en', { maximumSignificantDigits: 3 })} tokens/s`;
}

/** Writes a span of seconds in its two largest units: `17 s`, `2 min 5 s`, `1 h 20 min`, `3 d 4 h`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const units = [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ] as const;
  const first = units.findIndex(([, size]) => whole >= size);
  const unit = units[first];
  if (unit === undefined) return '0 s';
  const [name, size] = unit;
  const next = units[first + 1];
  const rest = next ? Math.floor((whole % size) / next[1]) : 0;
  const head = `${Math.floor(whole / size)} ${name}`;
  return next && rest > 0 ? `${head} ${rest} ${next[0]}` : head;
}

/** Rate of work over the last half minute. */
export class MovingRate {
  readonly #samples: { time: number; done: number }[] = [];
  readonly #uneven: boolean;
  #start: number | undefined;

  /** @param options - `uneven`: over the last half of the time, where that is longer. */
  constructor({ uneven = false }: { uneven?: boolean } = {}) {
    this.#uneven = uneven;
  }

  /** Notes that `done` units are finished at `time` milliseconds. */
  add(time: number, done: number): void {
    const samples = this.#samples;
    this.#start ??= time;
    const window = this.#uneven ? Math.max(RATE_WINDOW_MS, (time - this.#start) / 2) : RATE_WINDOW_MS;
    const beforeLast = samples.at(-2);
    // Several updates within a three-hundredth of the window say no more than one; this bounds the list.
    if (beforeLast && time - beforeLast.time < window / RATE_SAMPLES) {
      samples[samples.length - 1] = { time, done };
    } else samples.push({ time, done });
    // The newest sample before the window stays as the window's start; slow work needs it to have a rate at all.
    while (samples.length > 2 && time - (samples[1]?.time ?? time) >= window) samples.shift();
  }

  /** Notes units that were done before, not in this time. */
  skip(units: number): void {
    for (const sample of this.#samples) sample.done += units;
  }

  /** Units per second; undefined before there are two points in time. */
  perSecond(): number | undefined {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || last.time <= first.time) return undefined;
    return (1000 * (last.done - first.done)) / (last.time - first.time);
  }
}

/**
 * Shows how far work has come: on a terminal one line rewritten in place, in a log a line every ten seconds. What is
 * complete leaves a line.
 */
export class Progress {
  readonly #output: Output | undefined;
  readonly #label: string;
  readonly #total: number | undefined;
  readonly #now: () => number;
  readonly #rate: MovingRate;
  readonly #tokenRate: MovingRate;
  readonly #started: number;
  #shown: number;
  #done: number;
  #tokens = 0;

  /**
   * @param options - `output`: undefined shows nothing; `done`: units that a resumed run starts with; `uneven`: units of
   * unlike length; `now`: clock in milliseconds, default `performance.now`.
   */
  constructor({
    output,
    label,
    total,
    done = 0,
    uneven,
    now = () => performance.now(),
  }: {
    output?: Output;
    label: string;
    total?: number;
    done?: number;
    uneven?: boolean;
    now?: () => number;
  }) {
    this.#output = output;
    this.#label = label;
    this.#total = total;
    this.#now = now;
    this.#done = done;
    this.#rate = new MovingRate({ uneven });
    this.#tokenRate = new MovingRate({ uneven });
    const time = now();
    this.#started = time;
    this.#rate.add(time, done);
    this.#tokenRate.add(time, 0);
    // On a terminal the first update shows at once; a log hears only of work that takes long.
    this.#shown = output?.isTerminal ? Number.NEGATIVE_INFINITY : time;
  }

  /** Units finished so far. */
  get done(): number {
    return this.#done;
  }

  /**
   * Notes that `done` units are finished; shows it if the last showing is long enough ago.
   *
   * @param done - Units finished in all.
   * @param more - `extra`: anything else worth a glance. `count`: how far that is in words. `tokens`: of texts that were
   *   worked on since the last update.
   */
  update(done: number, { extra, count, tokens = 0 }: { extra?: string; count?: string; tokens?: number } = {}): void {
    const time = this.#now();
    this.#done = done;
    this.#tokens += tokens;
    this.#rate.add(time, done);
    this.#tokenRate.add(time, this.#tokens);
    if (!this.#output) return;
    const terminal = this.#output.isTerminal;
    if (time - this.#shown < (terminal ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS)) return;
    this.#shown = time;
    const line = formatProgress({
      label: this.#label,
      done,
      total: this.#total,
      rate: this.#rate.perSecond(),
      tokenRate: this.#tokenRate.perSecond(),
      count,
      extra,
    });
    if (terminal) this.#output.live(line);
    else this.#output.note(line);
  }

  /** Notes units that an earlier run has finished, or that are left out: they say nothing of the rate. */
  skip(units: number): void {
    this.#done += units;
    this.#rate.skip(units);
  }

  /** Takes the line away; the command's result says the rest. */
  finish(): void {
    this.#output?.clearLive();
  }

  /** Leaves a line in its place: what was done, and how long it took, `train  1500 steps  12 s`. */
  complete(what: string): void {
    const seconds = (this.#now() - this.#started) / 1000;
    this.#output?.note(`${this.#label}  ${what}  ${formatDuration(seconds)}`);
  }
}
