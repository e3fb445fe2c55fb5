/** What a machine has used lately: one sample a second, the last ten minutes of them. */
import type { Usage } from '../../engine/api/statistics.ts';
import type { Sample } from '../contract/machine.ts';

/** Samples kept. */
export const SERIES_LENGTH = 600;

export class Series {
  readonly #samples: Sample[] = [];
  #last: Usage | undefined;

  /** Adds what was counted now.
   * @returns the rates since the last time; undefined for the first, and where no time has passed */
  add(usage: Usage): Sample | undefined {
    const last = this.#last;
    const seconds = last === undefined ? 0 : (usage.time - last.time) / 1000;
    if (last !== undefined && seconds <= 0) return undefined;
    this.#last = usage;
    if (last === undefined) return undefined;
    const rate = (now: number, before: number) => Math.max(0, now - before) / seconds;
    const disk = (of: 'readBytes' | 'writtenBytes') =>
      usage.disk === null || last.disk === null ? null : rate(usage.disk[of], last.disk[of]);
    const sample = {
      time: usage.time,
      cpu: 100 * rate(usage.processorSeconds, last.processorSeconds),
      memory: usage.residentBytes,
      diskRead: disk('readBytes'),
      diskWrite: disk('writtenBytes'),
      instructions: rate(usage.instructions, last.instructions),
      exits: rate(usage.exits, last.exits),
      console: rate(usage.consoleBytes, last.consoleBytes),
    };
    this.#samples.push(sample);
    if (this.#samples.length > SERIES_LENGTH) this.#samples.shift();
    return sample;
  }

  /** The oldest first. */
  list(): readonly Sample[] {
    return this.#samples;
  }
}
