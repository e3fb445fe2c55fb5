/** What takes a while: told as it goes on, and cancelled where that is possible. */
import { problemOf } from '../../engine/api/problem.ts';
import { GuesthouseError } from '../../engine/base/errors.ts';
import type { Operation } from '../contract/machine.ts';

/** How many that have ended are kept. */
const KEPT = 50;

/** What an operation's work is given. */
export interface OperationContext {
  /** Aborted when somebody cancels. */
  readonly signal: AbortSignal;
  /** Says what is being done now. */
  step(text: string, progress?: number): void;
  /** From now on it can't be cancelled. */
  commit(): void;
}

/** What an operation is about. */
export interface OperationSubject {
  readonly kind: string;
  readonly machine: string | null;
  readonly name: string;
}

export class Operations {
  readonly #operations = new Map<number, Operation>();
  readonly #aborts = new Map<number, AbortController>();
  readonly #told: (operation: Operation) => void;
  #next = 1;
  #running = 0;
  #idle: () => void = () => {};

  constructor(told: (operation: Operation) => void) {
    this.#told = told;
  }

  list(): Operation[] {
    return [...this.#operations.values()];
  }

  /**
   * Carries out an operation.
   *
   * @throws whatever `work` throws; GuesthouseError `state` where it was cancelled
   */
  async run<T>(subject: OperationSubject, work: (context: OperationContext) => Promise<T>): Promise<T> {
    const id = this.#next++;
    const abort = new AbortController();
    this.#aborts.set(id, abort);
    let operation: Operation = {
      id,
      ...subject,
      step: '',
      progress: null,
      cancellable: true,
      state: 'running',
      error: null,
    };
    const change = (what: Partial<Operation>) => {
      operation = { ...operation, ...what };
      this.#operations.set(id, operation);
      this.#told(operation);
    };
    this.#running++;
    change({});
    try {
      const result = await work({
        signal: abort.signal,
        step: (step, progress) => {
          abort.signal.throwIfAborted();
          change({ step, progress: progress ?? null });
        },
        commit: () => {
          abort.signal.throwIfAborted();
          this.#aborts.delete(id);
          change({ cancellable: false });
        },
      });
      change({ state: 'done', progress: 1, cancellable: false });
      return result;
    } catch (error) {
      const cancelled = abort.signal.aborted;
      change({
        state: cancelled ? 'cancelled' : 'failed',
        cancellable: false,
        error: cancelled ? null : problemOf(error),
      });
      throw cancelled ? cancellation(subject) : error;
    } finally {
      this.#aborts.delete(id);
      this.#forget();
      if (--this.#running === 0) this.#idle();
    }
  }

  /** Resolves when none is under way. */
  async settled(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  /**
   * Cancels an operation; one that has ended is left as it is.
   *
   * @throws GuesthouseError `state` where there is none, or it is too late
   */
  cancel(id: number): void {
    const operation = this.#operations.get(id);
    if (operation === undefined) throw new GuesthouseError('state', `there is no operation ${id}`);
    if (operation.state !== 'running') return;
    const abort = this.#aborts.get(id);
    if (abort === undefined) throw new GuesthouseError('state', 'it is too late to cancel');
    abort.abort(cancellation(operation));
  }

  /** Cancels all that can be: nobody is there any more to see what comes of them. */
  close(): void {
    for (const [id, abort] of this.#aborts) {
      const operation = this.#operations.get(id);
      if (operation !== undefined) abort.abort(cancellation(operation));
    }
  }

  #forget(): void {
    const ended = this.list().filter(({ state }) => state !== 'running');
    for (const { id } of ended.slice(0, Math.max(0, ended.length - KEPT))) this.#operations.delete(id);
  }
}

function cancellation({ kind }: { readonly kind: string }): GuesthouseError {
  return new GuesthouseError('state', `${kind} was cancelled`);
}
