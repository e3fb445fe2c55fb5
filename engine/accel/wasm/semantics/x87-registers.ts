/**
 * The x87 register stack as emitted code handles it: registers relative to TOP, tags, pushing and popping, and
 * what becomes of exceptions. Indices are in bytes, 16 to a register, so that ST(i) is 16 i.
 *
 * Intel SDM volume 1, 8.1.2 … 8.1.7 (registers, status, control and tag words), 8.5.1.1 (stack faults).
 */
import type { Code } from '../emit/code.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import { FloatFlag } from '../float/format.ts';
import { S } from '../private.ts';

/** Bits of the status word beside the exceptions and condition codes. */
export const StatusWord = { SF: 1 << 6, ES: 1 << 7, Top: 7 << 11, Busy: 1 << 15 } as const;

/** Bits of the control word that exist: masks, precision and rounding control, and infinity control, which means
 * nothing. Bit 6 reads as one beside. */
export const CONTROL_BITS = 0x1f3f;

/** Flags of a stack fault; an overflow has C1 beside (SDM 1, 8.5.1.1). */
export const STACK_UNDERFLOW = FloatFlag.IE | StatusWord.SF;
export const STACK_OVERFLOW = STACK_UNDERFLOW | FloatFlag.C1;

/** Exceptions that, not masked, keep an operation from happening. */
export const BEFORE = FloatFlag.IE | FloatFlag.DE | FloatFlag.ZE;

/** Significand and sign-and-exponent of the real indefinite. */
export const INDEFINITE: readonly [I64, I32] = [i64.const(3n << 62n), i32.const(0xffff)];

export type Value80 = readonly [significand: I64, signExponent: I32];

/** The registers of one vCPU within one function. `top` is read once: {@link push} and {@link pop} change the
 * status word but not what indices of this object mean. */
export class RegisterStack {
  readonly #c: Code;
  readonly #cpu: I32;
  /** TOP × 16. */
  readonly #top: I32;

  constructor(c: Code, cpu: I32) {
    this.#c = c;
    this.#cpu = cpu;
    this.#top = c.let(i32.and(i32.shr_u(i32.load(cpu, S.fsw), 7), 0x70));
  }

  get control(): I32 {
    return i32.load(this.#cpu, S.fcw);
  }

  /** Not zero where one of these exceptions is raised and not masked. */
  unmasked(flags: I32, exceptions: number): I32 {
    return i32.and(i32.and(flags, i32.xor(this.control, -1)), exceptions);
  }

  /** Byte offset of a register among the physical ones. Bound. */
  #physical(index: I32 | number): I32 {
    return index === 0 ? this.#top : this.#c.let(i32.and(i32.add(this.#top, index), 0x70));
  }

  /** 1 where the register is not empty. */
  filled(index: I32 | number): I32 {
    const number = i32.shr_u(this.#physical(index), 4);
    return i32.and(i32.shr_u(i32.load(this.#cpu, S.ftw), number), 1);
  }

  /** The register's contents. Bound. */
  read(index: I32 | number): Value80 {
    const at = this.#c.let(i32.add(this.#cpu, this.#physical(index)));
    return [this.#c.let(i64.load(at, S.fpr)), this.#c.let(i32.load16_u(at, S.fpr + 8))];
  }

  /** Fills the register. */
  write(index: I32 | number, [significand, signExponent]: Value80): void {
    const physical = this.#physical(index);
    const at = this.#c.let(i32.add(this.#cpu, physical));
    this.#c.store('i64', at, significand, S.fpr);
    this.#c.store('i64', at, i64.extend_u(i32.and(signExponent, 0xffff)), S.fpr + 8);
    const bit = i32.shl(1, i32.shr_u(physical, 4));
    this.#c.store('i32', this.#cpu, i32.or(i32.load(this.#cpu, S.ftw), bit), S.ftw);
  }

  /** Marks the register empty. */
  free(index: I32 | number): void {
    const bit = i32.shl(1, i32.shr_u(this.#physical(index), 4));
    this.#c.store('i32', this.#cpu, i32.and(i32.load(this.#cpu, S.ftw), i32.xor(bit, -1)), S.ftw);
  }

  #moveTop(by: I32): void {
    const top = i32.shl(i32.and(i32.add(this.#top, by), 0x70), 7);
    const rest = i32.and(i32.load(this.#cpu, S.fsw), ~StatusWord.Top);
    this.#c.store('i32', this.#cpu, i32.or(rest, top), S.fsw);
  }

  /** Pushes onto a register that is known to be free, or is to be overwritten. */
  push(value: Value80): void {
    this.write(-16, value);
    this.#moveTop(i32.const(-16));
  }

  /** Frees ST(0), and moves TOP on; twice for FCOMPP. Once in a function. */
  pop(times: 1 | 2 = 1): void {
    this.free(0);
    if (times === 2) this.free(16);
    this.#moveTop(i32.const(16 * times));
  }

  /** {@link pop} up to two times, as known at run time only. */
  popTimes(times: I32): void {
    this.#c.if(i32.eq(times, 1), () => this.pop());
    this.#c.if(i32.eq(times, 2), () => this.pop(2));
  }

  /**
   * Adds to the status word: flags are sticky, the condition codes in `cleared` are replaced, and an exception that
   * is not masked sets ES and B.
   */
  settle(flags: I32 | number, cleared: I32 | number = FloatFlag.C1): void {
    const kept = typeof cleared === 'number' ? i32.const(~cleared) : i32.xor(cleared, -1);
    const fsw = this.#c.let(i32.or(i32.and(i32.load(this.#cpu, S.fsw), kept), flags));
    const pending = this.unmasked(fsw, FloatFlag.Exceptions);
    const summary = i32.select(pending, StatusWord.ES | StatusWord.Busy, 0);
    this.#c.store('i32', this.#cpu, i32.or(fsw, summary), S.fsw);
  }

  /** The answer to a stack underflow: where it is masked the indefinite goes to a register. */
  underflow(index: I32 | number, afterwards: () => void = () => {}, cleared: number = FloatFlag.C1): void {
    this.#c.if(i32.and(this.control, FloatFlag.IE), () => {
      this.write(index, INDEFINITE);
      afterwards();
    });
    this.settle(STACK_UNDERFLOW, cleared);
  }
}
