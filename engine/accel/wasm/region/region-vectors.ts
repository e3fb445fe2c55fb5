/** The vector registers within a region: each half of 16 bytes that the region uses is a local. */
import type { Code } from '../emit/code.ts';
import {
  f32x4, f64x2, i16x8, i32, i32x4, i64x2, i8x16, v128, type Expr, type F32, type F64, type I32, type I64, type V128,
} from '../emit/expr.ts'; // prettier-ignore
import { HALF, halfAt, VECTORS, type RegionRegisters } from './region-registers.ts';
import { Untranslatable } from './untranslatable.ts';

const HALVES = 32;
/** A half of zeros and ones, the ones in its low bytes. */
const low = (bytes: number): V128 =>
  v128.const(Array.from({ length: HALF }, (_, i) => (i < bytes ? 0xff : 0)));
/** The low eight bytes of one vector and of another. */
const LOW_HALVES = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];

export class RegionVectors {
  readonly #c: Code;
  readonly #cpu: I32;
  readonly #registers: RegionRegisters;
  readonly #uppers: ReadonlySet<number>;

  /** @param uppers offsets within the vCPU's state of the upper halves that are more than cleared in the region */
  constructor(c: Code, cpu: I32, registers: RegionRegisters, uppers: ReadonlySet<number>) {
    this.#c = c;
    this.#cpu = cpu;
    this.#registers = registers;
    this.#uppers = uppers;
  }

  /** Whether an offset within the vCPU's state is one of a vector register. */
  static holds(offset: number): boolean {
    return offset >= VECTORS && offset < VECTORS + HALF * HALVES;
  }

  #check(offset: number): void {
    const half = offset & -HALF;
    if (((half - VECTORS) & HALF) !== 0 && !this.#uppers.has(half)) throw new Untranslatable();
  }

  #get(offset: number): V128 {
    this.#check(offset);
    return this.#registers.half(halfAt(offset));
  }

  #set(offset: number, value: V128): void {
    this.#check(offset);
    this.#registers.setHalf(halfAt(offset), value);
  }

  /** 1, 2, 4 (zero-extended), 8 or 16 bytes, from one that is a multiple of their number. */
  read(offset: number, bytes: number): Expr {
    const whole = this.#get(offset);
    const element = (offset & (HALF - 1)) / bytes;
    switch (bytes) {
      case 1:
        return i8x16.extract_u(whole, element);
      case 2:
        return i16x8.extract_u(whole, element);
      case 4:
        return i32x4.extract(whole, element);
      case 8:
        return i64x2.extract(whole, element);
      default:
        return whole;
    }
  }

  /** The lowest element as a number. */
  float<T extends 'f32' | 'f64'>(offset: number, type: T): Expr<T> {
    const whole = this.#get(offset);
    return (type === 'f32' ? f32x4.extract(whole, 0) : f64x2.extract(whole, 0)) as Expr<T>;
  }

  /** 2, 4 or 8 bytes, zeros above. */
  low(offset: number, bytes: 2 | 4 | 8): V128 {
    const at = offset & (HALF - 1);
    const whole = this.#get(offset);
    if (at !== 0) {
      const value = this.read(offset, bytes);
      return bytes === 8
        ? i64x2.replace(v128.zero, 0, value as I64)
        : i32x4.replace(v128.zero, 0, value as I32);
    }
    return bytes === 8 ? v128.shuffle(whole, v128.zero, LOW_HALVES) : v128.and(whole, low(bytes));
  }

  write(offset: number, value: Expr, bytes: number): void {
    // One that is written whole is read for nothing, but so it is known that the region uses it.
    const whole = this.#get(offset);
    const element = (offset & (HALF - 1)) / bytes;
    switch (value.type) {
      case 'f32':
        return this.#set(offset, f32x4.replace(whole, element, value as F32));
      case 'f64':
        return this.#set(offset, f64x2.replace(whole, element, value as F64));
      case 'i64':
        return this.#set(offset, i64x2.replace(whole, element, value as I64));
      case 'v128':
        return this.#set(offset, value as V128);
      default:
        if (bytes === 4) return this.#set(offset, i32x4.replace(whole, element, value as I32));
        if (bytes === 2) return this.#set(offset, i16x8.replace(whole, element, value as I32));
        return this.#set(offset, i8x16.replace(whole, element, i32.and(value as I32, 0xff)));
    }
  }

  /** Clears an upper half. Most that are cleared, by VZEROUPPER and by 128-bit instructions, are not used otherwise:
   * then it needs no local. */
  clearUpper(offset: number): void {
    if (this.#uppers.has(offset)) this.#set(offset, v128.zero);
    else this.#c.store('v128', this.#cpu, v128.zero, offset);
  }
}
