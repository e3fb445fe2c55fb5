/**
 * When a driver is told of requests that are done. An interrupt and a notification cost a guest as much as some small
 * requests; while it hands in more, it may as well hear of several at once.
 *
 * That costs nothing where the guest has something else to do: so only while no vCPU has halted is anything held back,
 * and whether more has come meanwhile says whether to hold back again. A guest with one request at a time is soon left
 * alone. All state is the I/O thread's own; what is held back is told of within a millisecond whatever happens.
 */

/** Milliseconds for which the first request may be held back, and between two looks for more. */
const LONGEST = 1;
const LOOK = 0.25;

/** How many times in a row the driver is told at once, after nothing has come while something was held back: twice as often
 * each time, from the first to the last of these. */
const FIRST_PENALTY = 16;
const MOST_PENALTY = 1024;

export class Moderation {
  /** When to look for more (`performance.now()`): until then the driver need not say that there is. Infinity while
   * nothing is held back. */
  due = Infinity;
  /** Until when at most something is held back. */
  #until = 0;
  #arrived = false;
  /** How many times the driver is still to be told at once. */
  #atOnce = 0;
  #penalty = FIRST_PENALTY;

  get holding(): boolean {
    return this.due !== Infinity;
  }

  /**
   * Requests are done.
   *
   * @param now `performance.now()`
   * @param idle a vCPU has halted
   * @returns whether to tell the driver now
   */
  done(now: number, idle: boolean): boolean {
    if (this.holding) {
      this.#arrived = true;
      return false;
    }
    if (idle) return true;
    if (this.#atOnce > 0) {
      this.#atOnce--;
      return true;
    }
    this.#arrived = false;
    this.#until = now + LONGEST;
    this.due = now + LOOK;
    return false;
  }

  /** Everything there was has been done. @returns whether what is held back is to be told of now */
  over(now: number, idle: boolean): boolean {
    if (!this.holding) return false;
    if (!idle && now < this.#until) {
      if (now >= this.due) this.due = Math.min(now + LOOK, this.#until);
      return false;
    }
    this.due = Infinity;
    if (this.#arrived) this.#penalty = FIRST_PENALTY;
    else {
      this.#atOnce = this.#penalty;
      this.#penalty = Math.min(2 * this.#penalty, MOST_PENALTY);
    }
    return true;
  }
}
