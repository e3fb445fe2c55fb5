/**
 * System instructions that kernels and C libraries execute all the time, and that need nothing of what TypeScript does
 * for the rest (system/): selectors, the bases of FS and GS, and the time-stamp counter.
 *
 * Intel SDM 2, the instructions; 3A, 2.5 (CR4.TSD, CR4.FSGSBASE).
 */
import { Seg, VcpuEvent } from '../../../vcpu/state.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import { S } from '../private.ts';
import { Cr4 } from '../system/registers.ts';
import type { Env } from './env.ts';
import { define } from './registry.ts';

/** Vectors of the exceptions (SDM 3A, 6.3.1). */
const UD = 6;
const GP = 13;

const hasCr4 = (e: Env, bit: number): I32 => i32.and(e.field32('cr4'), bit);

/** A selector, zero-extended to the operand's size; its segment register is the second operand. */
define('mov_from_sreg_r', (e) => {
  const [to, segment] = e.operands;
  const selector = i32.load16_u(i32.add(e.cpu, i32.shl(e.read(segment, 4) as I32, 2)), S.segSelector);
  e.write(to, e.size === 8 ? i64.extend_u(selector) : selector);
});

define('swapgs', (e) => {
  e.c.if(e.field32('cpl'), () => e.raise(GP));
  const base = e.c.let(i64.load(e.cpu, S.segBase + 8 * Seg.GS));
  e.c.store('i64', e.cpu, e.field64('kernelGsBase'), S.segBase + 8 * Seg.GS);
  e.setField64('kernelGsBase', base);
});

/** RDFSBASE and its kin: #UD unless CR4.FSGSBASE lets every privilege use them. */
function defineBase(register: string, segment: number): void {
  const at = S.segBase + 8 * segment;
  const require = (e: Env) => e.c.if(i32.eqz(hasCr4(e, Cr4.FSGSBASE)), () => e.raise(UD));
  define(`rd${register}base`, (e) => {
    require(e);
    e.write(e.operands[0], e.size === 8 ? i64.load(e.cpu, at) : i32.load(e.cpu, at));
  });
  define(`wr${register}base`, (e) => {
    require(e);
    const value = e.read(e.operands[0]);
    const base = e.c.let(e.size === 8 ? (value as I64) : i64.extend_u(value as I32));
    // What a near jump may go to in 64-bit mode is what is canonical.
    if (e.size === 8) e.checkTarget(base);
    e.c.store('i64', e.cpu, base, at);
  });
}
defineBase('fs', Seg.FS);
defineBase('gs', Seg.GS);

/** Puts the time-stamp counter into EDX:EAX. CR4.TSD keeps it from CPL 1 to 3. */
function readTimeStamp(e: Env): void {
  e.c.if(hasCr4(e, Cr4.TSD), () => e.c.if(e.field32('cpl'), () => e.raise(GP)));
  const ticks = i64.trunc_sat_f64_u(e.c.call('f64', e.runtime.ticks));
  const tsc = e.c.let(i64.add(ticks, e.field64('tscOffset')));
  e.setGpr64(0, i64.and(tsc, 0xffff_ffffn));
  e.setGpr64(2, i64.shr_u(tsc, 32n));
}
/** The time that is seen may be one at which a timer is due: then its interrupt comes first of all. */
const heed = (e: Env) => e.c.if(i32.and(e.field32('events'), VcpuEvent.Kick), () => e.leaveNext());

define('rdtsc', (e) => {
  readTimeStamp(e);
  heed(e);
});
define('rdtscp', (e) => {
  readTimeStamp(e);
  e.setGpr64(1, i64.and(e.field64('tscAux'), 0xffff_ffffn));
  heed(e);
});
