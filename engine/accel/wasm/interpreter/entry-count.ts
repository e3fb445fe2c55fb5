/**
 * Counts how often tier 0 goes to code, in its first record: from a negative number up, so that one test
 * against zero says when it is hot.
 */
import type { Code } from '../emit/code.ts';
import { i32, type I32 } from '../emit/expr.ts';
import { REC } from '../private.ts';

/** How often tier 0 goes to code before it is hot: by measuring (ARCHITECTURE.md, "Counting entries of tier 0"). */
export const HOT = 4000;

/** For code that is never to be told of: 2^31 times. */
export const NEVER = 2 ** 31;

/** Counts that tier 0 goes to a (bound) record. @param hot emits what is done where it is hot now; does not come back */
export function countEntry(c: Code, record: I32, hot: () => void): void {
  const count = c.let(i32.add(i32.load(record, REC.count), 1));
  c.store('i32', record, count, REC.count);
  c.unlikely(i32.eqz(count), hot);
}
