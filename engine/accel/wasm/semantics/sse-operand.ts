/**
 * Operands of SIMD instructions, typed: vector registers with 16-byte memory operands, their low parts with
 * narrower ones, and MMX registers.
 */
import {
  constant,
  i32,
  i32x4,
  i64,
  i64x2,
  i8x16,
  v128,
  type I32,
  type I64,
  type V128,
} from '../emit/expr.ts';
import { S, xmmOffset } from '../private.ts';
import { define } from './registry.ts';
import type { Env } from './env.ts';
import type { Operand } from './form.ts';
import { waitForException } from './x87-wait.ts';

/** A vector constant of 16 bytes computed from their positions; only the low eight bits of each are kept. */
export const bytes = (of: (index: number) => number): V128 =>
  v128.const(Array.from({ length: 16 }, (_, i) => of(i) & 0xff));

/** A vector constant of eight words. */
export const words = (of: (index: number) => number): V128 => bytes((i) => of(i >> 1) >> (8 * (i & 1)));

/** A vector constant of four doublewords. */
export const dwords = (of: (index: number) => number): V128 => bytes((i) => of(i >> 2) >> (8 * (i & 3)));

export const ZERO = v128.zero;
/** 0, 1, … 15. */
export const IOTA = bytes((i) => i);

/** Implied XMM register operand. */
export const xmm = (n: number): Operand => ({ kind: 'fixed', offset: xmmOffset(n) });

/** The low 32 bits of a register, or 4 bytes of memory. Bound. */
export const read32 = (e: Env, operand: Operand): I32 => e.readN(operand, 4) as I32;
/** The low 64 bits of a register, or 8 bytes of memory. Bound. */
export const read64 = (e: Env, operand: Operand): I64 => e.readN(operand, 8) as I64;

/** The low 2, 4 or 8 bytes of a register or memory, zero-extended to a vector. Bound. */
export function readLow(e: Env, operand: Operand, size: 2 | 4 | 8): V128 {
  if (e.vex !== undefined) return e.vex.readLow(operand, size);
  if (operand.kind === 'mem')
    return e.loadBy(e.memLinear(), size, (host, offset) => e.loadLow(host, size, offset));
  return e.c.let(e.registerLow(operand, size));
}

/** The high 64 bits of a vector register. Bound. */
export function readHigh(e: Env, operand: Operand): I64 {
  return e.c.let(e.readRegister(operand, 8, 8) as I64);
}

/** Writes the high 64 bits of a vector register. */
export function writeHigh(e: Env, operand: Operand, value: I64): void {
  if (e.vex !== undefined) {
    e.writeV(operand, i64x2.replace(e.readV(operand), 1, value));
    return;
  }
  e.writeRegister(operand, value, 8, false, 8);
}

/** The eight-bit immediate, zero-extended. Bound. */
export function imm8(e: Env): I32 {
  const imm = i32.and(e.imm(), 0xff);
  return e.c.let(e.vex?.immediate(imm) ?? imm);
}

/** Bits `low` … `low + width - 1` of an immediate. */
export const field = (imm: I32, low: number, width: number): I32 =>
  i32.and(i32.shr_u(imm, low), (1 << width) - 1);

/**
 * Bytes of `v` chosen by position: 16 indices, of which those above 15 give zero. A shuffle where they are known
 * when the code is emitted.
 */
export const choose = (v: V128, indices: V128): V128 =>
  indices.bytes?.every((i) => i < 16) ? v128.shuffle(v, v, indices.bytes) : i8x16.swizzle(v, indices);

/** Element `n` (taken modulo their number) of `size` bytes, zero-extended. */
export function element(v: V128, n: I32, size: 1 | 2 | 4): I32 {
  const known = constant(n);
  if (known !== undefined) {
    const at = Number(known) & (16 / size - 1);
    if (size === 1) return i8x16.extract_u(v, at);
    return size === 4
      ? i32x4.extract(v, at)
      : i32.and(i32.shr_u(i32x4.extract(v, at >> 1), 16 * (at & 1)), 0xffff);
  }
  const index = i32.mul(i32.and(n, 16 / size - 1), size);
  const moved = i8x16.swizzle(v, i8x16.add(IOTA, i8x16.splat(index)));
  const value = i32x4.extract(moved, 0);
  return size === 4 ? value : i32.and(value, (1 << (8 * size)) - 1);
}

/** Element `n` (taken modulo two) of 8 bytes. */
export function element64(v: V128, n: I32): I64 {
  const known = constant(n);
  if (known !== undefined) return i64x2.extract(v, Number(known & 1n));
  return i64.select(i32.and(n, 1), i64x2.extract(v, 1), i64x2.extract(v, 0));
}

/** A mask of all ones in element `n` (taken modulo their number) of `size` bytes. */
export const elementMask = (n: I32, size: number): V128 =>
  i8x16.eq(
    bytes((i) => Math.floor(i / size)),
    i8x16.splat(i32.and(n, 16 / size - 1)),
  );

/** What an instruction computes from its first operand, also its destination, and its second; both are bound. */
export type Compute = (a: V128, b: V128, e: Env) => V128;

/** Defines an instruction on XMM registers, the second operand a register or memory. */
export function onXmm(name: string, compute: Compute): void {
  define(name, (e) => {
    const [target, operand] = e.operands;
    const b = e.readV(operand);
    const a = e.readV(target);
    e.writeV(target, compute(a, b, e));
  });
}

// MMX registers.

/** What an MMX instruction does before anything else: a pending x87 exception is reported (SDM 3A, 12.5). */
export const mmxEnter = (e: Env): void => waitForException(e);

/** The x87 state every MMX instruction leaves: TOP zero, all registers valid (SDM 1, 9.5.2). */
export function mmxCommit(e: Env): void {
  e.setField32('fsw', i32.and(e.field32('fsw'), ~0x3800));
  e.setField32('ftw', 0xff);
}

/** An MMX register or 8 bytes (or 4, zero-extended) of memory, as the low half of a vector. Bound. */
export const readMmx = (e: Env, operand: Operand, memoryBytes: 4 | 8 = 8): V128 =>
  readLow(e, operand, operand.kind === 'mem' ? memoryBytes : 8);

/** Writes an MMX register, with the exponent and sign bits of the x87 register all ones (SDM 1, 9.6.2). */
export function writeMmx(e: Env, operand: Operand, value: I64): void {
  const { base, offset } = e.register(operand);
  e.c.store('i64', base, value, offset);
  e.c.store('i32_16', base, 0xffff, offset + 8);
}

/** The low half of a vector as the value of an MMX register. */
export const lowHalf = (v: V128): I64 => i64x2.extract(v, 0);

/** Both operands of an MMX instruction in one vector: `a` below, `b` above. */
export const joined = (a: V128, b: V128): V128 =>
  v128.shuffle(a, b, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);

/** Loads MXCSR. Bound. */
export const mxcsr = (e: Env): I32 => e.c.let(i32.load(e.cpu, S.mxcsr));

/** Looks up a function that every module of emitted code has beside the basic ones. */
export function helper(e: Env, name: string) {
  const func = e.runtime.extra.get(name);
  if (func === undefined) throw new Error(`emitted code has no function ${name}`);
  return func;
}
