/**
 * The functions that SSE floating-point instructions call where their native operation may not do: exact
 * arithmetic with its exceptions, element by element, and what becomes of those exceptions.
 *
 * All take MXCSR and give flags in its low six bits. Intel SDM volume 1, 11.5 (SIMD floating-point exceptions).
 */
import type { FloatLibrary } from '../float/library.ts';
import { call, FloatFlag, Mxcsr, Relation } from '../float/format.ts';
import type { Code, Func } from '../emit/code.ts';
import { i32, i32x4, i64, i64x2, type I32, type I64, type In, type Type, type V128 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { S } from '../private.ts';
import { ZERO } from './sse-operand.ts';

/** Exceptions found before an operation is done, and so before those of its result (SDM 1, 11.5.3). */
const BEFORE = FloatFlag.IE | FloatFlag.DE | FloatFlag.ZE;

/** The exceptions of `flags` that MXCSR does not mask. */
const unmasked = (flags: I32, mxcsr: I32): I32 =>
  i32.and(i32.and(flags, i32.xor(i32.shr_u(mxcsr, Mxcsr.MaskShift), -1)), FloatFlag.Exceptions);

/** All of them by name: `f32.add` on one element, `f32x4.add` on a vector, and so on. */
export function addFloatHelpers(m: ModuleBuilder, float: FloatLibrary): Map<string, Func> {
  const functions = new Map<string, Func>();
  functions.set('sse.exceptions', addExceptions(m));
  functions.set('f32.toF64', float.f32ToF64);
  functions.set('f64.toF32', float.f64ToF32);
  for (const name of ['f32', 'f64'] as const) {
    const scalar = float[name];
    for (const op of [
      'add',
      'sub',
      'mul',
      'div',
      'sqrt',
      'min',
      'max',
      'compare',
      'roundToIntegral',
    ] as const) {
      functions.set(`${name}.${op}`, scalar[op]);
    }
    functions.set(`${name}.fromInteger`, scalar.fromInteger);
    functions.set(`${name}.toInteger`, scalar.toInteger);
    functions.set(`${name}.predicate`, addPredicate(m, name === 'f32' ? 'i32' : 'i64', scalar.compare));
  }
  addPacked(m, functions, 'f32', 'f32x4');
  addPacked(m, functions, 'f64', 'f64x2');
  addConversions(m, functions, float);
  return functions;
}

/**
 * (vCPU, flags) → vector to raise, or 0: adds to the flags in MXCSR. #XM, or #UD where CR4.OSXMMEXCPT is clear
 * (SDM 1, 11.5.1).
 */
function addExceptions(m: ModuleBuilder): Func {
  return m.function(['i32', 'i32'], ['i32'], (c) => {
    const cpu = c.param('i32', 0).get;
    const flags = c.param('i32', 1).get;
    const mxcsr = c.let(i32.load(cpu, S.mxcsr));
    const raised = c.let(unmasked(flags, mxcsr));
    c.store('i32', cpu, i32.or(mxcsr, i32.and(flags, FloatFlag.Exceptions)), S.mxcsr);
    c.if(i32.eqz(raised), () => c.return(i32.const(0)));
    c.return(i32.select(i32.and(i32.load(cpu, S.cr4), 1 << 10), 19, 6));
  });
}

/** (a, b, MXCSR, predicate) → (all ones or zero, flags): predicates 0 … 31 of VCMPPS (SDM 2, table 3-1). */
function addPredicate(m: ModuleBuilder, type: 'i32' | 'i64', compare: Func): Func {
  return m.function([type, type, 'i32', 'i32'], [type, 'i32'], (c) => {
    const [a, b] = [c.param(type, 0).get, c.param(type, 1).get];
    const predicate = c.param('i32', 3).get;
    // Less-than and less-or-equal, 1 and 2, mind quiet NaNs, negated or not; from 16 on it is the others.
    const other = i32.xor(i32.shr_u(predicate, 1), i32.shr_u(predicate, 4));
    const signaling = i32.and(i32.xor(predicate, other), 1);
    const [found, flags] = call(c, compare, ['i32', 'i32'], a, b, c.param('i32', 2).get, signaling);
    const relations = [Relation.Equal, Relation.Less, Relation.Less | Relation.Equal, Relation.Unordered];
    const table = relations.reduce((all, each, i) => all | (each << (4 * i)), 0);
    const wanted = i32.and(i32.shr_u(table, i32.shl(i32.and(predicate, 3), 2)), 15);
    const unordered = i32.ne(i32.and(found, Relation.Unordered), 0);
    const inverted = i32.xor(i32.shr_u(predicate, 2), i32.and(i32.shr_u(predicate, 3), unordered));
    const holds = i32.xor(i32.ne(i32.and(found, wanted), 0), i32.and(inverted, 1));
    c.return(type === 'i32' ? i32.sub(0, holds) : i64.sub(0, i64.extend_u(holds)), flags);
  });
}

type Lane = 'f32' | 'f64';
const lanesOf = (lane: Lane): number => (lane === 'f32' ? 4 : 2);

const extract = (lane: Lane, v: V128, index: number): I32 | I64 =>
  lane === 'f32' ? i32x4.extract(v, index) : i64x2.extract(v, index);

function replace(v: V128, index: number, value: I32 | I64): V128 {
  if (value.type === 'i32') return i32x4.replace(v, index, value);
  return i64x2.replace(v, index, value);
}

/** Collects the elements of a result, and their flags: where one not masked comes before the operation, none of
 * those that come after it (SDM 1, 11.5.3). */
function gather(
  c: Code,
  count: number,
  mxcsr: I32,
  each: (index: number) => readonly [I32 | I64, I32],
): [V128, I32] {
  let vector = ZERO;
  let flags: I32 = i32.const(0);
  for (let i = 0; i < count; i++) {
    const [value, raised] = each(i);
    vector = c.let(replace(vector, i, value));
    flags = c.let(i32.or(flags, raised));
  }
  const stopped = i32.and(unmasked(flags, mxcsr), BEFORE);
  return [vector, c.let(i32.select(stopped, i32.and(flags, BEFORE), flags))];
}

/** Calls a function of one element, by its result type. */
function callLane(c: Code, func: Func, lane: Lane, ...args: Array<In<Type>>): readonly [I32 | I64, I32] {
  return lane === 'f32' ? call(c, func, ['i32', 'i32'], ...args) : call(c, func, ['i64', 'i32'], ...args);
}

function named(functions: ReadonlyMap<string, Func>, name: string): Func {
  const func = functions.get(name);
  if (func === undefined) throw new Error(`no function ${name}`);
  return func;
}

function addPacked(m: ModuleBuilder, functions: Map<string, Func>, lane: Lane, prefix: string): void {
  const count = lanesOf(lane);
  const scalar = (op: string): Func => named(functions, `${lane}.${op}`);
  /** (a, b, MXCSR) → (vector, flags), with a function for each position. */
  const dyadic = (name: string, at: (index: number) => Func) =>
    functions.set(
      `${prefix}.${name}`,
      m.function(['v128', 'v128', 'i32'], ['v128', 'i32'], (c) => {
        const [a, b, mxcsr] = [c.param('v128', 0).get, c.param('v128', 1).get, c.param('i32', 2).get];
        c.return(
          ...gather(c, count, mxcsr, (i) =>
            callLane(c, at(i), lane, extract(lane, a, i), extract(lane, b, i), mxcsr),
          ),
        );
      }),
    );
  for (const op of ['add', 'sub', 'mul', 'div', 'min', 'max']) dyadic(op, () => scalar(op));
  dyadic('addsub', (i) => scalar(i & 1 ? 'add' : 'sub'));

  functions.set(
    `${prefix}.sqrt`,
    m.function(['v128', 'i32'], ['v128', 'i32'], (c) => {
      const [a, mxcsr] = [c.param('v128', 0).get, c.param('i32', 1).get];
      c.return(
        ...gather(c, count, mxcsr, (i) => callLane(c, scalar('sqrt'), lane, extract(lane, a, i), mxcsr)),
      );
    }),
  );
  functions.set(
    `${prefix}.roundToIntegral`,
    m.function(['v128', 'i32', 'i32'], ['v128', 'i32'], (c) => {
      const [a, mxcsr, rounding] = [c.param('v128', 0).get, c.param('i32', 1).get, c.param('i32', 2).get];
      const round = scalar('roundToIntegral');
      c.return(
        ...gather(c, count, mxcsr, (i) => callLane(c, round, lane, extract(lane, a, i), mxcsr, rounding)),
      );
    }),
  );
  functions.set(
    `${prefix}.predicate`,
    m.function(['v128', 'v128', 'i32', 'i32'], ['v128', 'i32'], (c) => {
      const [a, b] = [c.param('v128', 0).get, c.param('v128', 1).get];
      const [mxcsr, predicate] = [c.param('i32', 2).get, c.param('i32', 3).get];
      const func = scalar('predicate');
      c.return(
        ...gather(c, count, mxcsr, (i) =>
          callLane(c, func, lane, extract(lane, a, i), extract(lane, b, i), mxcsr, predicate),
        ),
      );
    }),
  );
  functions.set(`${prefix}.dot`, addDot(m, functions, lane, prefix));
}

/**
 * (a, b, MXCSR) → (sum in every element, flags): products, then sums of neighbours, then for four elements the sum
 * of those. An unmasked exception of one step ends it before the next (SDM 2, DPPS).
 */
function addDot(m: ModuleBuilder, functions: ReadonlyMap<string, Func>, lane: Lane, prefix: string): Func {
  return m.function(['v128', 'v128', 'i32'], ['v128', 'i32'], (c) => {
    const [a, b, mxcsr] = [c.param('v128', 0).get, c.param('v128', 1).get, c.param('i32', 2).get];
    const add = named(functions, `${lane}.add`);
    const vector = c.local('v128');
    const flags = c.local('i32');
    const step = (found: I32) => {
      c.set(flags, i32.or(flags.get, found));
      c.if(unmasked(found, mxcsr), () => c.return(ZERO, flags.get));
    };
    const [products, found] = call(c, named(functions, `${prefix}.mul`), ['v128', 'i32'], a, b, mxcsr);
    c.set(vector, products);
    c.set(flags, 0);
    step(found);
    for (let distance = 1; distance < lanesOf(lane); distance *= 2) {
      const [sums, raised] = gather(c, lanesOf(lane) / (2 * distance), mxcsr, (i) =>
        callLane(c, add, lane, extract(lane, vector.get, 2 * i), extract(lane, vector.get, 2 * i + 1), mxcsr),
      );
      c.set(vector, sums);
      step(raised);
    }
    c.return(
      lane === 'f32' ? i32x4.splat(i32x4.extract(vector.get, 0)) : i64x2.splat(i64x2.extract(vector.get, 0)),
      flags.get,
    );
  });
}

/** Packed conversions; all give (vector, flags), with zeros above the converted elements. */
function addConversions(m: ModuleBuilder, functions: Map<string, Func>, float: FloatLibrary): void {
  for (const [lane, prefix] of [
    ['f32', 'f32x4'],
    ['f64', 'f64x2'],
  ] as const) {
    // (vector, MXCSR, rounding) → doublewords
    functions.set(
      `${prefix}.toI32`,
      m.function(['v128', 'i32', 'i32'], ['v128', 'i32'], (c) => {
        const [v, mxcsr, rounding] = [c.param('v128', 0).get, c.param('i32', 1).get, c.param('i32', 2).get];
        c.return(
          ...gather(c, lanesOf(lane), mxcsr, (i) => {
            const args = [extract(lane, v, i), mxcsr, rounding, 32];
            const [integer, flags] = call(c, float[lane].toInteger, ['i64', 'i32'], ...args);
            return [i32.wrap(integer), flags];
          }),
        );
      }),
    );
  }
  const convert = (
    name: string,
    count: number,
    to: Lane,
    from: (v: V128, i: number) => I32 | I64,
    func: Func,
  ) =>
    functions.set(
      name,
      m.function(['v128', 'i32'], ['v128', 'i32'], (c) => {
        const [v, mxcsr] = [c.param('v128', 0).get, c.param('i32', 1).get];
        c.return(...gather(c, count, mxcsr, (i) => callLane(c, func, to, from(v, i), mxcsr)));
      }),
    );
  convert('f32x4.fromI32', 4, 'f32', (v, i) => i64.extend_s(i32x4.extract(v, i)), float.f32.fromInteger);
  convert('f32x4.toF64', 2, 'f64', i32x4.extract, float.f32ToF64);
  convert('f64x2.toF32', 2, 'f32', i64x2.extract, float.f64ToF32);
}
