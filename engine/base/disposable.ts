/** Things that must be undone, and a stack that undoes them in reverse order. */

/** Undoes something; calling it twice is harmless. */
export type Dispose = () => void;

/** Collects what must be undone. */
export class DisposableStack {
  readonly #actions: Dispose[] = [];

  add(action: Dispose): void {
    this.#actions.push(action);
  }

  /** Undoes everything, last first. Every action runs even where one throws; the first error is rethrown. */
  dispose(): void {
    let failed = false;
    let first: unknown;
    for (let action = this.#actions.pop(); action !== undefined; action = this.#actions.pop()) {
      try {
        action();
      } catch (error) {
        if (!failed) first = error;
        failed = true;
      }
    }
    if (failed) throw first;
  }
}
