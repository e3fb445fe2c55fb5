/** Waiting for x87 exceptions, as x87 and MMX instructions do before anything else. */
import { VcpuEvent } from '../../../vcpu/state.ts';
import { i32 } from '../emit/expr.ts';
import { S } from '../private.ts';
import type { Env } from './env.ts';
import { StatusWord } from './x87-registers.ts';

const CR0_NE = 1 << 5;
const MATH_FAULT = 16;

/**
 * Reports an exception that an earlier instruction left pending: #MF, or where CR0.NE is clear the FERR# signal,
 * which reaches the processor as an interrupt of the PC's, while the instruction goes on as with IGNNE# asserted
 * (SDM 1, 8.7).
 */
export function waitForException(e: Env): void {
  e.c.if(i32.and(e.field32('fsw'), StatusWord.ES), () => {
    e.c.if(i32.and(e.field32('cr0'), CR0_NE), () => e.raise(MATH_FAULT));
    e.c.drop(i32.atomic.or(e.cpu, VcpuEvent.FloatError, S.events));
  });
}
