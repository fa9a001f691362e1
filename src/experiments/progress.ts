/** What a longer piece of work with several parts shows while it runs. */
export interface PhaseProgress {
  /** A part begins; `total` counts its steps. */
  begin(label: string, total: number): void;
  /** One step of it is done, or the step it has come to. */
  advance(step?: number, text?: string): void;
  /** The part has ended. */
  end(): void;
}
