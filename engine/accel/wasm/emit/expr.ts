/**
 * WebAssembly expressions as trees.
 *
 * What an instruction does is written with these: `i32.add(a, b)` is a value, not yet code. A tree is
 * encoded where a statement consumes it (see code.ts), each time it is consumed, so a value used twice is
 * bound with `code.let` first. Constants fold where address arithmetic makes it worth while.
 *
 * Opcodes: WebAssembly core specification 3.0, chapter 5.4.
 */

export type Type = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

/** A node. `op` is an opcode: one byte, or prefix << 16 | sub-opcode for 0xfc, 0xfd and 0xfe; or one of {@link Pseudo}. */
export interface Expr<T extends Type = Type> {
  readonly type: T;
  readonly op: number;
  /** Its operands, but those of a call: fields, since an array for each node is most of what trees would take. */
  readonly a: Expr | undefined;
  readonly b: Expr | undefined;
  readonly c: Expr | undefined;
  /** Constant value, local index, memory offset, lane or function index, by opcode. */
  readonly imm: number | bigint;
  /** Memory alignment exponent, or lane for lane loads; bytes of a shuffle or v128 constant. */
  readonly align: number;
  readonly bytes: readonly number[] | undefined;
  /** What a call is given. */
  readonly args: readonly Expr[] | undefined;
}

export type I32 = Expr<'i32'>;
export type I64 = Expr<'i64'>;
export type F32 = Expr<'f32'>;
export type F64 = Expr<'f64'>;
export type V128 = Expr<'v128'>;

/** What is accepted where an expression of a type is wanted: literals stand for constants. */
export type In<T extends Type> = Expr<T> | Literal<T>;
type Literal<T extends Type> = T extends 'i64' ? bigint | number : T extends 'v128' ? never : number;

/** Opcodes outside WebAssembly's space: tree nodes with an encoding of their own. */
export const Pseudo = {
  LocalGet: 0x20,
  GlobalGet: 0x23,
  Call: 0x10,
  CallIndirect: 0x11,
  Select: 0x1b,
  I32Const: 0x41,
  I64Const: 0x42,
  F32Const: 0x43,
  F64Const: 0x44,
} as const;

/** A node with up to three operands. */
function node<T extends Type>(
  type: T,
  op: number,
  a?: Expr,
  b?: Expr,
  c?: Expr,
  imm: number | bigint = 0,
  align = 0,
  bytes?: readonly number[],
  args?: readonly Expr[],
): Expr<T> {
  return { type, op, a, b, c, imm, align, bytes, args };
}

/** A node without operands. */
const leaf = <T extends Type>(
  type: T,
  op: number,
  imm: number | bigint,
  bytes?: readonly number[],
): Expr<T> => node(type, op, undefined, undefined, undefined, imm, 0, bytes);

/** A node with one. */
const over = <T extends Type>(type: T, op: number, a: Expr, imm = 0, align = 0): Expr<T> =>
  node(type, op, a, undefined, undefined, imm, align);

/** Makes an expression of a literal. */
export function lift<T extends Type>(type: T, value: In<T>): Expr<T> {
  if (typeof value === 'object') return value as Expr<T>;
  switch (type) {
    case 'i32':
      return leaf(type, Pseudo.I32Const, Number(value) | 0);
    case 'i64':
      return leaf(type, Pseudo.I64Const, BigInt.asIntN(64, BigInt(value)));
    case 'f32':
      return leaf(type, Pseudo.F32Const, Number(value));
    default:
      return leaf(type, Pseudo.F64Const, Number(value));
  }
}

/** The value of an integer constant node, else undefined. */
export function constant(e: Expr): bigint | undefined {
  if (e.op === Pseudo.I32Const || e.op === Pseudo.I64Const) return BigInt(e.imm);
  return undefined;
}

/** The value of a local by its index. */
export function localGet<T extends Type>(type: T, index: number): Expr<T> {
  return leaf(type, Pseudo.LocalGet, index);
}

/** The value of a global by its index. */
export function globalGet<T extends Type>(type: T, index: number): Expr<T> {
  return leaf(type, Pseudo.GlobalGet, index);
}

/** A call to a function with one result. */
export function callExpr<T extends Type>(type: T, func: number, args: readonly Expr[]): Expr<T> {
  return node(type, Pseudo.Call, undefined, undefined, undefined, func, 0, undefined, args);
}

/** A call through table 0; the last argument is the place in it. @param signature index of the type */
export function callIndirectExpr<T extends Type>(type: T, signature: number, args: readonly Expr[]): Expr<T> {
  return node(type, Pseudo.CallIndirect, undefined, undefined, undefined, signature, 0, undefined, args);
}

type Unary<A extends Type, R extends Type> = (a: In<A>) => Expr<R>;
type Binary<A extends Type, R extends Type> = (a: In<A>, b: In<A>) => Expr<R>;
type Load<R extends Type> = (address: In<'i32'>, offset?: number) => Expr<R>;
type Rmw<R extends Type> = (address: In<'i32'>, value: In<R>, offset?: number) => Expr<R>;

function unary<A extends Type, R extends Type, K extends string>(from: A, to: R, table: Record<K, number>) {
  return Object.fromEntries(
    Object.entries<number>(table).map(([k, op]) => [k, (a: In<A>) => over(to, op, lift(from, a))]),
  ) as Record<K, Unary<A, R>>;
}

function binary<A extends Type, R extends Type, K extends string>(from: A, to: R, table: Record<K, number>) {
  return Object.fromEntries(
    Object.entries<number>(table).map(([k, op]) => [
      k,
      (a: In<A>, b: In<A>) => fold(to, op, lift(from, a), lift(from, b)),
    ]),
  ) as Record<K, Binary<A, R>>;
}

function loads<R extends Type, K extends string>(
  to: R,
  table: Record<K, readonly [op: number, align: number]>,
) {
  return Object.fromEntries(
    Object.entries<readonly [number, number]>(table).map(([k, [op, align]]) => [
      k,
      (address: In<'i32'>, offset = 0) => over(to, op, lift('i32', address), offset, align),
    ]),
  ) as Record<K, Load<R>>;
}

function rmws<R extends Type, K extends string>(
  to: R,
  table: Record<K, readonly [op: number, align: number]>,
) {
  return Object.fromEntries(
    Object.entries<readonly [number, number]>(table).map(([k, [op, align]]) => [
      k,
      (address: In<'i32'>, value: In<R>, offset = 0) =>
        node(to, op, lift('i32', address), lift(to, value), undefined, offset, align),
    ]),
  ) as Record<K, Rmw<R>>;
}

/** Folds the integer operations that address arithmetic and operand decoding produce. */
function fold<T extends Type>(type: T, op: number, a: Expr, b: Expr): Expr<T> {
  if (b.op === Pseudo.I32Const || b.op === Pseudo.I64Const) {
    const kind = FOLD.get(op);
    if (kind !== undefined) return foldConstant(type, op, kind, a, b);
  }
  return node(type, op, a, b);
}

/** The second operand is constant. */
function foldConstant<T extends Type>(type: T, op: number, kind: Foldable, a: Expr, b: Expr): Expr<T> {
  if (a.op !== Pseudo.I32Const && a.op !== Pseudo.I64Const) {
    const y = Number(b.imm);
    const identity = y === 0 && kind !== 'and' && kind !== 'mul';
    return identity || (kind === 'mul' && y === 1) ? (a as Expr<T>) : node(type, op, a, b);
  }
  const [x, y] = [BigInt(a.imm), BigInt(b.imm)];
  const wide = a.type === 'i64';
  const bits = wide ? 64 : 32;
  const value = folded(kind, x, y, bits);
  return lift(type, (wide ? BigInt.asIntN(64, value) : Number(BigInt.asIntN(32, value))) as In<T>);
}

function folded(kind: Foldable, x: bigint, y: bigint, bits: number): bigint {
  const count = y & BigInt(bits - 1);
  switch (kind) {
    case 'add':
      return x + y;
    case 'sub':
      return x - y;
    case 'mul':
      return x * y;
    case 'and':
      return x & y;
    case 'or':
      return x | y;
    case 'xor':
      return x ^ y;
    case 'shl':
      return x << count;
    case 'shr_u':
      return BigInt.asUintN(bits, x) >> count;
    case 'shr_s':
      return x >> count;
  }
}

/** A conversion between the integers; of a constant, a constant. */
function conversion<A extends 'i32' | 'i64', R extends 'i32' | 'i64'>(
  from: A,
  to: R,
  op: number,
  converted: (value: bigint) => In<R>,
): Unary<A, R> {
  return (a) => {
    const value = lift(from, a);
    const known = constant(value);
    return known === undefined ? over(to, op, value) : lift(to, converted(known));
  };
}

const I32_BINARY = {
  add: 0x6a, sub: 0x6b, mul: 0x6c, div_s: 0x6d, div_u: 0x6e, rem_s: 0x6f, rem_u: 0x70, and: 0x71, or: 0x72,
  xor: 0x73, shl: 0x74, shr_s: 0x75, shr_u: 0x76, rotl: 0x77, rotr: 0x78,
} as const; // prettier-ignore
const I64_BINARY = {
  add: 0x7c, sub: 0x7d, mul: 0x7e, div_s: 0x7f, div_u: 0x80, rem_s: 0x81, rem_u: 0x82, and: 0x83, or: 0x84,
  xor: 0x85, shl: 0x86, shr_s: 0x87, shr_u: 0x88, rotl: 0x89, rotr: 0x8a,
} as const; // prettier-ignore

const FOLDABLE = ['add', 'sub', 'mul', 'and', 'or', 'xor', 'shl', 'shr_s', 'shr_u'] as const;
type Foldable = (typeof FOLDABLE)[number];
const FOLD = new Map<number, Foldable>();
for (const table of [I32_BINARY, I64_BINARY]) for (const kind of FOLDABLE) FOLD.set(table[kind], kind);

function select<T extends Type>(type: T) {
  /** `condition ? a : b`; both sides are evaluated. */
  return (condition: In<'i32'>, a: In<T>, b: In<T>): Expr<T> =>
    node(type, Pseudo.Select, lift(type, a), lift(type, b), lift('i32', condition));
}

const FE = 0xfe << 16;
const FD = 0xfd << 16;
const FC = 0xfc << 16;

export const i32 = {
  const: (value: number) => lift('i32', value),
  select: select('i32'),
  ...binary('i32', 'i32', I32_BINARY),
  ...binary('i32', 'i32', {
    eq: 0x46, ne: 0x47, lt_s: 0x48, lt_u: 0x49, gt_s: 0x4a, gt_u: 0x4b, le_s: 0x4c, le_u: 0x4d, ge_s: 0x4e, ge_u: 0x4f,
  }),
  ...unary('i32', 'i32', { eqz: 0x45, clz: 0x67, ctz: 0x68, popcnt: 0x69, extend8_s: 0xc0, extend16_s: 0xc1 }),
  /** The low half. */
  wrap: conversion('i64', 'i32', 0xa7, (value) => Number(BigInt.asIntN(32, value))),
  ...unary('f32', 'i32', { reinterpret: 0xbc, trunc_sat_f32_s: FC | 0, trunc_sat_f32_u: FC | 1 }),
  ...unary('f64', 'i32', { trunc_sat_f64_s: FC | 2, trunc_sat_f64_u: FC | 3 }),
  ...loads('i32', {
    load: [0x28, 2], load8_s: [0x2c, 0], load8_u: [0x2d, 0], load16_s: [0x2e, 1], load16_u: [0x2f, 1],
  }),
  atomic: {
    ...loads('i32', { load: [FE | 0x10, 2], load8_u: [FE | 0x12, 0], load16_u: [FE | 0x13, 1] }),
    ...rmws('i32', {
      add: [FE | 0x1e, 2], add8: [FE | 0x20, 0], add16: [FE | 0x21, 1], sub: [FE | 0x25, 2], sub8: [FE | 0x27, 0],
      sub16: [FE | 0x28, 1], and: [FE | 0x2c, 2], and8: [FE | 0x2e, 0], and16: [FE | 0x2f, 1], or: [FE | 0x33, 2],
      or8: [FE | 0x35, 0], or16: [FE | 0x36, 1], xor: [FE | 0x3a, 2], xor8: [FE | 0x3c, 0], xor16: [FE | 0x3d, 1],
      xchg: [FE | 0x41, 2], xchg8: [FE | 0x43, 0], xchg16: [FE | 0x44, 1],
    }),
    /** Compare-exchange; the value found. Address aligned to the width. */
    cmpxchg: (size: 1 | 2 | 4, address: In<'i32'>, expected: In<'i32'>, value: In<'i32'>): I32 =>
      node('i32', FE | (size === 4 ? 0x48 : size === 1 ? 0x4a : 0x4b),
        lift('i32', address), lift('i32', expected), lift('i32', value), 0, size === 4 ? 2 : size - 1),
  },
}; // prettier-ignore

export const i64 = {
  const: (value: bigint | number) => lift('i64', value),
  select: select('i64'),
  ...binary('i64', 'i64', I64_BINARY),
  ...binary('i64', 'i32', {
    eq: 0x51, ne: 0x52, lt_s: 0x53, lt_u: 0x54, gt_s: 0x55, gt_u: 0x56, le_s: 0x57, le_u: 0x58, ge_s: 0x59, ge_u: 0x5a,
  }),
  ...unary('i64', 'i32', { eqz: 0x50 }),
  ...unary('i64', 'i64', { clz: 0x79, ctz: 0x7a, popcnt: 0x7b, extend8_s: 0xc2, extend16_s: 0xc3, extend32_s: 0xc4 }),
  extend_s: conversion('i32', 'i64', 0xac, (value) => BigInt.asIntN(32, value)),
  extend_u: conversion('i32', 'i64', 0xad, (value) => BigInt.asUintN(32, value)),
  ...unary('f64', 'i64', { reinterpret: 0xbd, trunc_sat_f64_s: FC | 6, trunc_sat_f64_u: FC | 7 }),
  ...unary('f32', 'i64', { trunc_sat_f32_s: FC | 4, trunc_sat_f32_u: FC | 5 }),
  ...loads('i64', {
    load: [0x29, 3], load8_s: [0x30, 0], load8_u: [0x31, 0], load16_s: [0x32, 1], load16_u: [0x33, 1],
    load32_s: [0x34, 2], load32_u: [0x35, 2],
  }),
  atomic: {
    ...loads('i64', { load: [FE | 0x11, 3] }),
    ...rmws('i64', {
      add: [FE | 0x1f, 3], sub: [FE | 0x26, 3], and: [FE | 0x2d, 3], or: [FE | 0x34, 3], xor: [FE | 0x3b, 3],
      xchg: [FE | 0x42, 3],
    }),
    cmpxchg: (address: In<'i32'>, expected: In<'i64'>, value: In<'i64'>): I64 =>
      node('i64', FE | 0x49, lift('i32', address), lift('i64', expected), lift('i64', value), 0, 3),
  },
}; // prettier-ignore

const FLOAT_COMPARE_32 = { eq: 0x5b, ne: 0x5c, lt: 0x5d, gt: 0x5e, le: 0x5f, ge: 0x60 } as const;
const FLOAT_COMPARE_64 = { eq: 0x61, ne: 0x62, lt: 0x63, gt: 0x64, le: 0x65, ge: 0x66 } as const;

export const f32 = {
  const: (value: number) => lift('f32', value),
  select: select('f32'),
  ...binary('f32', 'f32', { add: 0x92, sub: 0x93, mul: 0x94, div: 0x95, min: 0x96, max: 0x97, copysign: 0x98 }),
  ...binary('f32', 'i32', FLOAT_COMPARE_32),
  ...unary('f32', 'f32', { abs: 0x8b, neg: 0x8c, ceil: 0x8d, floor: 0x8e, trunc: 0x8f, nearest: 0x90, sqrt: 0x91 }),
  ...unary('f64', 'f32', { demote: 0xb6 }),
  ...unary('i32', 'f32', { convert_i32_s: 0xb2, convert_i32_u: 0xb3, reinterpret: 0xbe }),
  ...unary('i64', 'f32', { convert_i64_s: 0xb4, convert_i64_u: 0xb5 }),
  ...loads('f32', { load: [0x2a, 2] }),
}; // prettier-ignore

export const f64 = {
  const: (value: number) => lift('f64', value),
  select: select('f64'),
  ...binary('f64', 'f64', { add: 0xa0, sub: 0xa1, mul: 0xa2, div: 0xa3, min: 0xa4, max: 0xa5, copysign: 0xa6 }),
  ...binary('f64', 'i32', FLOAT_COMPARE_64),
  ...unary('f64', 'f64', { abs: 0x99, neg: 0x9a, ceil: 0x9b, floor: 0x9c, trunc: 0x9d, nearest: 0x9e, sqrt: 0x9f }),
  ...unary('f32', 'f64', { promote: 0xbb }),
  ...unary('i32', 'f64', { convert_i32_s: 0xb7, convert_i32_u: 0xb8 }),
  ...unary('i64', 'f64', { convert_i64_s: 0xb9, convert_i64_u: 0xba, reinterpret: 0xbf }),
  ...loads('f64', { load: [0x2b, 3] }),
}; // prettier-ignore

type Lane = 'i32' | 'i64' | 'f32' | 'f64';

function lane<T extends Lane>(scalar: T, splat: number, extract: number, replace: number) {
  return {
    splat: (a: In<T>): V128 => over('v128', FD | splat, lift(scalar, a)),
    extract: (v: V128, index: number): Expr<T> => over(scalar, FD | extract, v, index),
    replace: (v: V128, index: number, a: In<T>): V128 =>
      node('v128', FD | replace, v, lift(scalar, a), undefined, index),
  };
}

function simd<K extends string>(ops: Record<K, number>) {
  return Object.fromEntries(
    Object.entries<number>(ops).map(([k, op]) => [k, (a: V128, b: V128) => node('v128', FD | op, a, b)]),
  ) as Record<K, (a: V128, b: V128) => V128>;
}
function simd1<K extends string>(ops: Record<K, number>) {
  return Object.fromEntries(
    Object.entries<number>(ops).map(([k, op]) => [k, (a: V128) => over('v128', FD | op, a)]),
  ) as Record<K, (a: V128) => V128>;
}
function simdTest<K extends string>(ops: Record<K, number>) {
  return Object.fromEntries(
    Object.entries<number>(ops).map(([k, op]) => [k, (a: V128) => over('i32', FD | op, a)]),
  ) as Record<K, (a: V128) => I32>;
}
function simdShift<K extends string>(ops: Record<K, number>) {
  return Object.fromEntries(
    Object.entries<number>(ops).map(([k, op]) => [
      k,
      (a: V128, count: In<'i32'>) => node('v128', FD | op, a, lift('i32', count)),
    ]),
  ) as Record<K, (a: V128, count: In<'i32'>) => V128>;
}

export const v128 = {
  /** All bits clear. */
  zero: leaf('v128', FD | 0x0c, 0, Array.from({ length: 16 }, () => 0)),
  /** @param bytes 16 of them, lowest first */
  const: (bytes: readonly number[]): V128 => leaf('v128', FD | 0x0c, 0, bytes),
  /** @param lanes 16 indices, 0-15 from `a`, 16-31 from `b` */
  shuffle: (a: V128, b: V128, lanes: readonly number[]): V128 => node('v128', FD | 0x0d, a, b, undefined, 0, 0, lanes),
  ...simd({ and: 0x4e, andnot: 0x4f, or: 0x50, xor: 0x51 }),
  ...simd1({ not: 0x4d }),
  ...simdTest({ any_true: 0x53 }),
  bitselect: (a: V128, b: V128, mask: V128): V128 => node('v128', FD | 0x52, a, b, mask),
  select: select('v128'),
  ...loads('v128', {
    load: [FD | 0x00, 4], load8x8_s: [FD | 0x01, 3], load8x8_u: [FD | 0x02, 3], load16x4_s: [FD | 0x03, 3],
    load16x4_u: [FD | 0x04, 3], load32x2_s: [FD | 0x05, 3], load32x2_u: [FD | 0x06, 3], load8_splat: [FD | 0x07, 0],
    load16_splat: [FD | 0x08, 1], load32_splat: [FD | 0x09, 2], load64_splat: [FD | 0x0a, 3], load32_zero: [FD | 0x5c, 2],
    load64_zero: [FD | 0x5d, 3],
  }),
}; // prettier-ignore

export const i8x16 = {
  splat: (a: In<'i32'>): V128 => over('v128', FD | 0x0f, lift('i32', a)),
  extract_s: (v: V128, index: number): I32 => over('i32', FD | 0x15, v, index),
  extract_u: (v: V128, index: number): I32 => over('i32', FD | 0x16, v, index),
  replace: (v: V128, index: number, a: In<'i32'>): V128 => node('v128', FD | 0x17, v, lift('i32', a), undefined, index),
  ...simd({
    swizzle: 0x0e, eq: 0x23, ne: 0x24, lt_s: 0x25, lt_u: 0x26, gt_s: 0x27, gt_u: 0x28, le_s: 0x29, le_u: 0x2a, ge_s: 0x2b,
    ge_u: 0x2c, narrow_i16x8_s: 0x65, narrow_i16x8_u: 0x66, add: 0x6e, add_sat_s: 0x6f, add_sat_u: 0x70, sub: 0x71,
    sub_sat_s: 0x72, sub_sat_u: 0x73, min_s: 0x76, min_u: 0x77, max_s: 0x78, max_u: 0x79, avgr_u: 0x7b,
    // As swizzle for indices below 16; 0 for those from 128 on; the host's choice for those between.
    relaxed_swizzle: 0x100,
  }),
  ...simd1({ abs: 0x60, neg: 0x61, popcnt: 0x62 }),
  ...simdTest({ all_true: 0x63, bitmask: 0x64 }),
  ...simdShift({ shl: 0x6b, shr_s: 0x6c, shr_u: 0x6d }),
}; // prettier-ignore

export const i16x8 = {
  splat: (a: In<'i32'>): V128 => over('v128', FD | 0x10, lift('i32', a)),
  extract_s: (v: V128, index: number): I32 => over('i32', FD | 0x18, v, index),
  extract_u: (v: V128, index: number): I32 => over('i32', FD | 0x19, v, index),
  replace: (v: V128, index: number, a: In<'i32'>): V128 => node('v128', FD | 0x1a, v, lift('i32', a), undefined, index),
  ...simd({
    eq: 0x2d, ne: 0x2e, lt_s: 0x2f, lt_u: 0x30, gt_s: 0x31, gt_u: 0x32, le_s: 0x33, le_u: 0x34, ge_s: 0x35, ge_u: 0x36,
    q15mulr_sat_s: 0x82, narrow_i32x4_s: 0x85, narrow_i32x4_u: 0x86, add: 0x8e, add_sat_s: 0x8f, add_sat_u: 0x90, sub: 0x91,
    sub_sat_s: 0x92, sub_sat_u: 0x93, mul: 0x95, min_s: 0x96, min_u: 0x97, max_s: 0x98, max_u: 0x99, avgr_u: 0x9b,
    extmul_low_s: 0x9c, extmul_high_s: 0x9d, extmul_low_u: 0x9e, extmul_high_u: 0x9f,
  }),
  ...simd1({
    extadd_pairwise_i8x16_s: 0x7c, extadd_pairwise_i8x16_u: 0x7d, abs: 0x80, neg: 0x81, extend_low_s: 0x87,
    extend_high_s: 0x88, extend_low_u: 0x89, extend_high_u: 0x8a,
  }),
  ...simdTest({ all_true: 0x83, bitmask: 0x84 }),
  ...simdShift({ shl: 0x8b, shr_s: 0x8c, shr_u: 0x8d }),
}; // prettier-ignore

export const i32x4 = {
  ...lane('i32', 0x11, 0x1b, 0x1c),
  ...simd({
    eq: 0x37, ne: 0x38, lt_s: 0x39, lt_u: 0x3a, gt_s: 0x3b, gt_u: 0x3c, le_s: 0x3d, le_u: 0x3e, ge_s: 0x3f, ge_u: 0x40,
    add: 0xae, sub: 0xb1, mul: 0xb5, min_s: 0xb6, min_u: 0xb7, max_s: 0xb8, max_u: 0xb9, dot_i16x8_s: 0xba,
    extmul_low_s: 0xbc, extmul_high_s: 0xbd, extmul_low_u: 0xbe, extmul_high_u: 0xbf,
  }),
  ...simd1({
    extadd_pairwise_i16x8_s: 0x7e, extadd_pairwise_i16x8_u: 0x7f, abs: 0xa0, neg: 0xa1, extend_low_s: 0xa7,
    extend_high_s: 0xa8, extend_low_u: 0xa9, extend_high_u: 0xaa, trunc_sat_f32x4_s: 0xf8, trunc_sat_f32x4_u: 0xf9,
    trunc_sat_f64x2_s_zero: 0xfc, trunc_sat_f64x2_u_zero: 0xfd,
  }),
  ...simdTest({ all_true: 0xa3, bitmask: 0xa4 }),
  ...simdShift({ shl: 0xab, shr_s: 0xac, shr_u: 0xad }),
}; // prettier-ignore

export const i64x2 = {
  ...lane('i64', 0x12, 0x1d, 0x1e),
  ...simd({
    add: 0xce, sub: 0xd1, mul: 0xd5, eq: 0xd6, ne: 0xd7, lt_s: 0xd8, gt_s: 0xd9, le_s: 0xda, ge_s: 0xdb,
    extmul_low_s: 0xdc, extmul_high_s: 0xdd, extmul_low_u: 0xde, extmul_high_u: 0xdf,
  }),
  ...simd1({ abs: 0xc0, neg: 0xc1, extend_low_s: 0xc7, extend_high_s: 0xc8, extend_low_u: 0xc9, extend_high_u: 0xca }),
  ...simdTest({ all_true: 0xc3, bitmask: 0xc4 }),
  ...simdShift({ shl: 0xcb, shr_s: 0xcc, shr_u: 0xcd }),
}; // prettier-ignore

export const f32x4 = {
  ...lane('f32', 0x13, 0x1f, 0x20),
  ...simd({
    eq: 0x41, ne: 0x42, lt: 0x43, gt: 0x44, le: 0x45, ge: 0x46, add: 0xe4, sub: 0xe5, mul: 0xe6, div: 0xe7, min: 0xe8,
    max: 0xe9, pmin: 0xea, pmax: 0xeb,
  }),
  ...simd1({
    ceil: 0x67, floor: 0x68, trunc: 0x69, nearest: 0x6a, abs: 0xe0, neg: 0xe1, sqrt: 0xe3, convert_i32x4_s: 0xfa,
    convert_i32x4_u: 0xfb, demote_f64x2_zero: 0x5e,
  }),
}; // prettier-ignore

export const f64x2 = {
  ...lane('f64', 0x14, 0x21, 0x22),
  ...simd({
    eq: 0x47, ne: 0x48, lt: 0x49, gt: 0x4a, le: 0x4b, ge: 0x4c, add: 0xf0, sub: 0xf1, mul: 0xf2, div: 0xf3, min: 0xf4,
    max: 0xf5, pmin: 0xf6, pmax: 0xf7,
  }),
  ...simd1({
    ceil: 0x74, floor: 0x75, trunc: 0x7a, nearest: 0x94, abs: 0xec, neg: 0xed, sqrt: 0xef, promote_low_f32x4: 0x5f,
    convert_low_i32x4_s: 0xfe, convert_low_i32x4_u: 0xff,
  }),
}; // prettier-ignore
