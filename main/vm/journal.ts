/** What happened: the last records, and whoever wants to hear of new ones. */
import type { LogRecord as EngineRecord } from '../../engine/base/log.ts';
import type { LogRecord } from '../contract/machine.ts';

/** Records kept. */
const KEPT = 4000;

export class Journal {
  readonly #records: LogRecord[] = [];
  readonly #told: (record: LogRecord) => void;
  #sequence = 0;

  constructor(told: (record: LogRecord) => void) {
    this.#told = told;
  }

  /** Adds a record.
   * @param machine null for what concerns the manager itself */
  add(machine: string | null, { level, scope, text }: EngineRecord): void {
    const record = { sequence: this.#sequence++, time: Date.now(), machine, level, scope, text };
    this.#records.push(record);
    // In one go, now and then: shifting each time costs as much as there are records.
    if (this.#records.length > 2 * KEPT) this.#records.splice(0, this.#records.length - KEPT);
    this.#told(record);
  }

  /** The records kept, the oldest first. */
  list(machine?: string): LogRecord[] {
    return this.#records.filter((record) => machine === undefined || record.machine === machine).slice(-KEPT);
  }
}
