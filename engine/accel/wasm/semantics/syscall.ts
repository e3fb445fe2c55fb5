/**
 * SYSCALL and SYSRET between the user and the supervisor of 64-bit mode, which programs execute all the time. Whatever else
 * there is to them (other modes, faults, what has to be seen before the next instruction) is TypeScript's (system/syscall.ts).
 *
 * AMD64 APM 3, SYSCALL and SYSRET.
 */
import { SegAttr, deriveSegmentBounds } from '../../../vcpu/segment.ts';
import { Flag, Gpr, Seg } from '../../../vcpu/state.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import { P, S, TAG_USER } from '../private.ts';
import { SYSTEM, SYSRET_FLAGS } from '../system/flags.ts';
import { FLAT_CODE64, FLAT_DATA, FLAT_LIMIT } from '../system/segments.ts';
import type { Env } from './env.ts';
import { arithmeticFlags, setArithmeticFlags } from './flags.ts';
import { define } from './registry.ts';

/** Flags with which TypeScript is to go on: single-stepping, and what decides how memory is accessed. */
const UNUSUAL = Flag.TF | Flag.AC;

const USER = 3;

/** As `loadFlat` of system/segments.ts. */
function loadFlat(e: Env, segment: number, selector: I32, attr: number): void {
  const { c, cpu } = e;
  const bounds = deriveSegmentBounds(attr, FLAT_LIMIT);
  const set = (field: number, value: I32 | number): void => c.store('i32', cpu, value, field + 4 * segment);
  c.store('i64', cpu, 0n, S.segBase + 8 * segment);
  set(S.segSelector, selector);
  set(S.segLimit, FLAT_LIMIT | 0);
  set(S.segAttr, attr);
  set(S.segReadLo, bounds.readLo | 0);
  set(S.segReadHi, bounds.readHi | 0);
  set(S.segWriteLo, bounds.writeLo | 0);
  set(S.segWriteHi, bounds.writeHi | 0);
}

/** Takes over another privilege. @param code, stack selectors of CS and SS @param tlb the field with the address of its TLB */
function enter(e: Env, privilege: number, code: I32, stack: I32, tlb: number): void {
  const { c, cpu } = e;
  const dpl = privilege << SegAttr.DplShift;
  loadFlat(e, Seg.CS, code, FLAT_CODE64 | dpl);
  loadFlat(e, Seg.SS, stack, FLAT_DATA | dpl);
  e.setField32('cpl', privilege);
  c.store('i32', cpu, i32.load(cpu, tlb), P.tlb);
  for (const tag of [P.tagLocal, P.tagGlobal])
    c.store('i32', cpu, i32.xor(i32.load(cpu, tag), TAG_USER), tag);
}

/** The selector that begins at a bit of STAR, or one so many bytes behind it. */
const selector = (e: Env, bit: bigint, add: number): I32 =>
  i32.and(i32.add(i32.and(i32.wrap(i64.shr_u(e.field64('star'), bit)), 0xfffc), add), 0xffff);

/** At a privilege at which the instruction is usual, in a mode in which emitted code may do it. */
const usual = (e: Env, cpl: number): I32 =>
  i32.and(i32.load(e.cpu, P.systemCalls), i32.eq(e.field32('cpl'), cpl));

define('syscall', (e) => {
  const { c } = e;
  const flags = c.let(e.field32('flagsSys'));
  c.if(i32.and(usual(e, USER), i32.eqz(i32.and(flags, UNUSUAL))), () => {
    const kept = c.let(i32.xor(i32.or(i32.wrap(e.field64('sfmask')), Flag.RF), -1));
    const word = c.let(i32.or(arithmeticFlags(e), flags));
    e.setGpr64(Gpr.RCX, e.nextRip());
    e.setGpr64(Gpr.R11, i64.extend_u(i32.and(word, ~Flag.RF)));
    e.setField32('flagsSys', i32.and(flags, kept));
    setArithmeticFlags(e, i32.and(word, kept));
    enter(e, 0, selector(e, 32n, 0), selector(e, 32n, 8), P.tlbSupervisor);
    e.jump(e.field64('lstar'));
  });
  e.complex('syscall_slow');
});

define('sysret', (e) => {
  const { c } = e;
  if (e.size === 8) {
    const rip = c.let(e.gpr64(Gpr.RCX));
    const word = c.let(i32.and(i32.wrap(e.gpr64(Gpr.R11)), SYSRET_FLAGS));
    const pending = i32.and(i32.ne(i32.and(word, Flag.IF), 0), i32.ne(e.field32('events'), 0));
    const elsewhere = i64.gt_u(i64.add(rip, i64.load(e.cpu, P.ripBias)), i64.load(e.cpu, P.ripLimit));
    const other = i32.or(i32.or(i32.and(word, UNUSUAL), pending), elsewhere);
    c.if(i32.and(usual(e, 0), i32.eqz(other)), () => {
      e.setField32('flagsSys', i32.and(word, SYSTEM));
      setArithmeticFlags(e, word);
      const rpl = (value: I32): I32 => i32.or(value, USER);
      enter(e, USER, rpl(selector(e, 48n, 16)), rpl(selector(e, 48n, 8)), P.tlbUser);
      e.jump(rip as I64);
    });
  }
  e.complex('sysret_slow');
});
