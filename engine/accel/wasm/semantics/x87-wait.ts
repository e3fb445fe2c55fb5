/** Waiting for x87 exceptions, as x87 and MMX instructions do before anything else. */
import { i32 } from '../emit/expr.ts';
import type { Env } from './env.ts';
import { StatusWord } from './x87-registers.ts';

const CR0_NE = 1 << 5;
const MATH_FAULT = 16;

/**
 * Reports an exception that an earlier instruction left pending, as #MF. Where CR0.NE is clear it is the board that is
 * told, by FERR#, and the processor stands still before the instruction, unless IGNNE# is asserted (SDM 1, 8.7); what
 * #MF means then is the processor's to know.
 */
export function waitForException(e: Env): void {
  e.c.if(i32.and(e.field32('fsw'), StatusWord.ES), () => {
    const ignored = i32.and(e.field32('ignne'), i32.eqz(i32.and(e.field32('cr0'), CR0_NE)));
    e.c.if(i32.eqz(ignored), () => e.raise(MATH_FAULT));
  });
}
