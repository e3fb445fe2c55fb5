/**
 * The stack, as transfers of control see it: values are pushed and popped with all checks, and the stack
 * pointer is written only when everything has gone well.
 *
 * Intel SDM 1, 6.2 (stacks); 3A, 5.8.5 (stack switching), 5.3 (limits).
 */
import { lowHalf } from '../../../base/halves.ts';
import { Gpr, Seg, type VcpuState } from '../../../vcpu/state.ts';
import { deriveSegmentBounds, SegAttr } from '../../../vcpu/segment.ts';
import { type Cpu, GuestFault, Vector } from './cpu.ts';
import { attrOf, baseOf, type Descriptor, limitOf, selectorIndex } from './descriptor.ts';
import { asUser } from './operands.ts';
import { isCanonical, stackWidth } from './registers.ts';

/** Operand size of pushes and pops in bytes. */
export type PushSize = 2 | 4 | 8;

/** A pointer within the stack's width. */
const wrap = (width: 2 | 4 | 8, pointer: bigint): bigint =>
  width === 8
    ? BigInt.asUintN(64, pointer)
    : width === 4
      ? BigInt.asUintN(32, pointer)
      : BigInt.asUintN(16, pointer);

/** Sets the stack pointer as far as the stack's width reaches. */
export function setStackPointer(state: VcpuState, width: 2 | 4 | 8, value: bigint): void {
  const old = state.gpr[Gpr.RSP];
  if (width === 8) state.gpr[Gpr.RSP] = value;
  else if (width === 4) state.gpr[Gpr.RSP] = BigInt.asUintN(32, value);
  else state.gpr[Gpr.RSP] = (old & ~0xffffn) | BigInt.asUintN(16, value);
}

/** Where a stack lies. */
export interface StackPlace {
  readonly width: 2 | 4 | 8;
  /** Segment base; 0 for a 64-bit stack. */
  readonly base: bigint;
  /** Offsets that may be read, and written, inclusive. Not looked at for a 64-bit stack. */
  readonly readLo: number;
  readonly readHi: number;
  readonly writeLo: number;
  readonly writeHi: number;
  /** Accesses are made as CPL 3. */
  readonly user: boolean;
  /** Of the #SS where an access is out of bounds. */
  readonly errorCode: number;
}

export class Stack {
  readonly #cpu: Cpu;
  readonly #place: StackPlace;
  /** The pointer, within the stack's width. */
  pointer: bigint;

  constructor(cpu: Cpu, place: StackPlace, pointer: bigint) {
    this.#cpu = cpu;
    this.#place = place;
    this.pointer = wrap(place.width, pointer);
  }

  /** The stack in use, or that of the width given where the mode is about to change. */
  static current(cpu: Cpu, width: 2 | 4 | 8 = stackWidth(cpu.state)): Stack {
    const { state } = cpu;
    const place: StackPlace = {
      width,
      base: width === 8 ? 0n : state.segBase[Seg.SS],
      readLo: state.segReadLo[Seg.SS],
      readHi: state.segReadHi[Seg.SS],
      writeLo: state.segWriteLo[Seg.SS],
      writeHi: state.segWriteHi[Seg.SS],
      user: asUser(state),
      errorCode: 0,
    };
    return new Stack(cpu, place, state.gpr[Gpr.RSP]);
  }

  /** A stack in a segment that is about to be loaded into SS. */
  static inSegment(
    cpu: Cpu,
    selector: number,
    descriptor: Descriptor,
    pointer: number,
    user: boolean,
  ): Stack {
    const attr = attrOf(descriptor);
    const bounds = deriveSegmentBounds(attr, limitOf(descriptor));
    const place: StackPlace = {
      ...bounds,
      width: (attr & SegAttr.Big) !== 0 ? 4 : 2,
      base: BigInt(baseOf(descriptor)),
      user,
      errorCode: selectorIndex(selector),
    };
    return new Stack(cpu, place, BigInt(pointer));
  }

  /** A flat 64-bit stack of CPL 0, 1 or 2. */
  static flat64(cpu: Cpu, pointer: bigint): Stack {
    const place: StackPlace = {
      width: 8, base: 0n, readLo: 0, readHi: 0, writeLo: 0, writeHi: 0, user: false, errorCode: 0,
    }; // prettier-ignore
    return new Stack(cpu, place, pointer);
  }

  get width(): 2 | 4 | 8 {
    return this.#place.width;
  }

  #linear(pointer: bigint, bytes: number, write: boolean): bigint {
    const place = this.#place;
    if (place.width === 8) {
      if (!isCanonical(this.#cpu.state, pointer)) throw new GuestFault(Vector.SS, place.errorCode);
      return pointer;
    }
    const first = Number(pointer);
    const lo = write ? place.writeLo : place.readLo;
    const hi = write ? place.writeHi : place.readHi;
    if (first < lo || first + bytes - 1 > hi) throw new GuestFault(Vector.SS, place.errorCode);
    return BigInt.asUintN(32, place.base + pointer);
  }

  /** Pushes the low `size` bytes of a value. */
  push(value: number, size: PushSize): void {
    if (size === 8) {
      this.push64(BigInt(value));
      return;
    }
    const pointer = wrap(this.width, this.pointer - BigInt(size));
    const linear = this.#linear(pointer, size, true);
    this.#cpu.linear.write(linear, size, size === 2 ? value & 0xffff : value >>> 0, this.#place.user);
    this.pointer = pointer;
  }

  push64(value: bigint): void {
    const pointer = wrap(this.width, this.pointer - 8n);
    this.#cpu.linear.write64(this.#linear(pointer, 8, true), value, this.#place.user);
    this.pointer = pointer;
  }

  /** Pushes an offset, whatever its size. */
  pushOffset(value: bigint, size: PushSize): void {
    if (size === 8) this.push64(value);
    else this.push(lowHalf(value) >>> 0, size);
  }

  /** Pops `size` bytes; of 8 the low 32 bits are returned: selectors and flags. */
  pop(size: PushSize): number {
    if (size === 8) return lowHalf(this.pop64()) >>> 0;
    const value =
      this.#cpu.linear.read(this.#linear(this.pointer, size, false), size, this.#place.user) >>> 0;
    this.drop(size);
    return value;
  }

  pop64(): bigint {
    const value = this.#cpu.linear.read64(this.#linear(this.pointer, 8, false), this.#place.user);
    this.drop(8);
    return BigInt.asUintN(64, value);
  }

  popOffset(size: PushSize): bigint {
    return size === 8 ? this.pop64() : BigInt(this.pop(size));
  }

  /** Moves the pointer over `bytes`. */
  drop(bytes: number): void {
    this.pointer = wrap(this.width, this.pointer + BigInt(bytes));
  }

  /** Makes the pointer the stack pointer. */
  commit(): void {
    setStackPointer(this.#cpu.state, this.width, this.pointer);
  }
}
