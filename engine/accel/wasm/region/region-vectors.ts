/**
 * The vector registers within a region: each half of 16 bytes that the region uses is a local, loaded where the
 * region begins and put back where it is left.
 */
import { vcpuLayout } from '../../../vcpu/state.ts';
import type { Code, Local } from '../emit/code.ts';
import {
  f32x4, f64x2, i16x8, i32, i32x4, i64x2, i8x16, v128, type Expr, type F32, type F64, type I32, type I64, type V128,
} from '../emit/expr.ts'; // prettier-ignore
import { Untranslatable } from './untranslatable.ts';

const FIRST = vcpuLayout.offset.ymm;
const HALF = 16;
const HALVES = 32;
const NOTHING = v128.const(Array.from({ length: HALF }, () => 0));
/** A half of zeros and ones, the ones in its low bytes. */
const low = (bytes: number): V128 =>
  v128.const(Array.from({ length: HALF }, (_, i) => (i < bytes ? 0xff : 0)));
/** The low eight bytes of one vector and of another. */
const LOW_HALVES = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];

export class RegionVectors {
  readonly #c: Code;
  readonly #cpu: I32;
  readonly #locals: Array<Local<'v128'> | undefined> = [];
  readonly #written = new Set<number>();
  readonly #uppers: ReadonlySet<number>;

  /** @param uppers offsets within the vCPU's state of the upper halves that are more than cleared in the region */
  constructor(c: Code, cpu: I32, uppers: ReadonlySet<number>) {
    this.#c = c;
    this.#cpu = cpu;
    this.#uppers = uppers;
  }

  /** Whether an offset within the vCPU's state is one of a vector register. */
  static holds(offset: number): boolean {
    return offset >= FIRST && offset < FIRST + HALF * HALVES;
  }

  #local(offset: number): Local<'v128'> {
    const half = (offset - FIRST) >> 4;
    let local = this.#locals[half];
    if (local === undefined) {
      if ((half & 1) === 1 && !this.#uppers.has(offset & -HALF)) throw new Untranslatable();
      local = this.#locals[half] = this.#c.local('v128');
      const loaded = local;
      this.#c.front(() => this.#c.set(loaded, v128.load(this.#cpu, FIRST + HALF * half)));
    }
    return local;
  }

  #set(offset: number, value: V128): void {
    this.#c.set(this.#local(offset), value);
    this.#written.add((offset - FIRST) >> 4);
  }

  /** 1, 2, 4 (zero-extended), 8 or 16 bytes, from one that is a multiple of their number. */
  read(offset: number, bytes: number): Expr {
    const whole = this.#local(offset).get;
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
    const whole = this.#local(offset).get;
    return (type === 'f32' ? f32x4.extract(whole, 0) : f64x2.extract(whole, 0)) as Expr<T>;
  }

  /** 2, 4 or 8 bytes, zeros above. */
  low(offset: number, bytes: 2 | 4 | 8): V128 {
    const at = offset & (HALF - 1);
    const whole = this.#local(offset).get;
    if (at !== 0) {
      const value = this.read(offset, bytes);
      return bytes === 8 ? i64x2.replace(NOTHING, 0, value as I64) : i32x4.replace(NOTHING, 0, value as I32);
    }
    return bytes === 8 ? v128.shuffle(whole, NOTHING, LOW_HALVES) : v128.and(whole, low(bytes));
  }

  write(offset: number, value: Expr, bytes: number): void {
    const whole = this.#local(offset).get;
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
    if (this.#uppers.has(offset)) this.#set(offset, NOTHING);
    else this.#c.store('v128', this.#cpu, NOTHING, offset);
  }

  /** Puts back what may have changed. */
  store(): void {
    for (const half of this.#written) {
      const local = this.#locals[half]!;
      this.#c.store('v128', this.#cpu, local.get, FIRST + HALF * half);
    }
  }
}
