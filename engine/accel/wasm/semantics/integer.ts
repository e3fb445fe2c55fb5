/** Arithmetic, logic, moves and conversions. SDM 2, chapters 3 to 5, each under the instruction's name. */
import { S } from '../private.ts';
import { i32, i64, type Expr, type I32, type I64 } from '../emit/expr.ts';
import { define } from './registry.ts';
import type { Env } from './env.ts';
import type { Operand, Size } from './form.ts';
import {
  adjustFlag, arithmeticFlags, carryFlag, condition, flagsAdd, flagsAddCarry, flagsExplicit, flagsLogic, flagsStep, flagsSub, flagsSubBorrow,
  setArithmeticFlags, setCarry, signExtend,
} from './flags.ts'; // prettier-ignore
import { ops, signExtendIn, topBit } from './ops.ts';

/** Operands of a form; the table guarantees that they are there. */
const dst = (e: Env): Operand => e.operands[0]!;
const src = (e: Env): Operand => e.operands[1]!;

type Flags = (e: Env, a: Expr, b: Expr, result: Expr) => void;

function arithmetic(name: string, compute: (e: Env, a: Expr, b: Expr) => Expr, flags: Flags): void {
  define(name, (e) => {
    const b = e.c.let(e.read(src(e)));
    const old = e.modify(dst(e), (a) => compute(e, a, b));
    flags(e, old, b, e.c.let(compute(e, old, b)));
  });
}

const plus = (e: Env, a: Expr, b: Expr): Expr => ops(e.size).add(a, b);
const minus = (e: Env, a: Expr, b: Expr): Expr => ops(e.size).sub(a, b);

arithmetic('add', plus, flagsAdd);
arithmetic('sub', minus, flagsSub);
arithmetic('and', (e, a, b) => ops(e.size).and(a, b), (e, _a, _b, r) => flagsLogic(e, r)); // prettier-ignore
arithmetic('or', (e, a, b) => ops(e.size).or(a, b), (e, _a, _b, r) => flagsLogic(e, r)); // prettier-ignore
arithmetic('xor', (e, a, b) => ops(e.size).xor(a, b), (e, _a, _b, r) => flagsLogic(e, r)); // prettier-ignore

define('adc', (e) => {
  const o = ops(e.size);
  const b = e.read(src(e));
  const carry = e.c.let(o.from(carryFlag(e)));
  const old = e.modify(dst(e), (a) => o.add(o.add(a, b), carry));
  flagsAddCarry(e, old, b, e.c.let(o.add(o.add(old, b), carry)));
});
define('sbb', (e) => {
  const o = ops(e.size);
  const b = e.read(src(e));
  const carry = e.c.let(o.from(carryFlag(e)));
  const old = e.modify(dst(e), (a) => o.sub(o.sub(a, b), carry));
  flagsSubBorrow(e, old, b, e.c.let(o.sub(o.sub(old, b), carry)));
});
define('cmp', (e) => {
  const a = e.read(dst(e));
  const b = e.read(src(e));
  flagsSub(e, a, b, e.c.let(minus(e, a, b)));
});
define('test', (e) => {
  const a = e.read(dst(e));
  flagsLogic(e, e.c.let(ops(e.size).and(a, e.read(src(e)))));
});
define('inc', (e) => {
  const o = ops(e.size);
  const old = e.modify(dst(e), (a) => o.add(a, 1));
  flagsStep(e, 'add', old, o.const(1), e.c.let(o.add(old, 1)));
});
define('dec', (e) => {
  const o = ops(e.size);
  const old = e.modify(dst(e), (a) => o.sub(a, 1));
  flagsStep(e, 'sub', old, o.const(1), e.c.let(o.sub(old, 1)));
});
define('neg', (e) => {
  const o = ops(e.size);
  const old = e.modify(dst(e), (a) => o.sub(o.const(0), a));
  flagsSub(e, o.const(0), old, e.c.let(o.sub(o.const(0), old)));
});
define('not', (e) => {
  e.modify(dst(e), (a) => ops(e.size).not(a));
});

// Multiplication and division. The flags that the manual leaves undefined are given a value: CF's result.

/** CF and OF say whether the high half matters; the rest follow the low half. */
function flagsMultiply(e: Env, low: Expr, overflow: () => I32): void {
  flagsExplicit(e, low, overflow, overflow);
}

/** High 64 bits of an unsigned product, from four 32-bit ones. */
function highUnsigned(e: Env, a: I64, b: I64): I64 {
  const c = e.c;
  const low = (x: I64) => i64.and(x, 0xffff_ffffn);
  const high = (x: I64) => i64.shr_u(x, 32);
  const cross = c.let(i64.add(i64.mul(high(a), low(b)), i64.shr_u(i64.mul(low(a), low(b)), 32)));
  const middle = c.let(i64.add(i64.mul(low(a), high(b)), low(cross)));
  return c.let(i64.add(i64.add(i64.mul(high(a), high(b)), high(cross)), high(middle)));
}

/** High 64 bits of a signed product. */
function highSigned(e: Env, a: I64, b: I64): I64 {
  const u = highUnsigned(e, a, b);
  return e.c.let(i64.sub(i64.sub(u, i64.and(i64.shr_s(a, 63), b)), i64.and(i64.shr_s(b, 63), a)));
}

/** Puts a double-width product into AX or rDX:rAX. */
function setProduct(e: Env, low: Expr, high: Expr): void {
  if (e.size === 1) {
    e.setGpr(0, low, 2);
    return;
  }
  e.setGpr(0, low);
  e.setGpr(2, high);
}

define('mul', (e) => {
  const b = e.read(dst(e));
  const a = e.c.let(e.gpr(0));
  if (e.size === 8) {
    const high = highUnsigned(e, a as I64, b as I64);
    const low = e.c.let(i64.mul(a as I64, b as I64));
    setProduct(e, low, high);
    flagsMultiply(e, low, () => i64.ne(high, 0));
    return;
  }
  const product = e.c.let(i64.mul(i64.extend_u(a as I32), i64.extend_u(b as I32)));
  const low = e.c.let(i32.wrap(product));
  const high = e.c.let(i32.wrap(i64.shr_u(product, e.bits)));
  setProduct(e, low, high);
  flagsMultiply(e, low, () => i32.ne(high, 0));
});
define('imul1', (e) => {
  const b = e.read(dst(e));
  const a = e.c.let(e.gpr(0));
  if (e.size === 8) {
    const high = highSigned(e, a as I64, b as I64);
    const low = e.c.let(i64.mul(a as I64, b as I64));
    setProduct(e, low, high);
    flagsMultiply(e, low, () => i64.ne(high, i64.shr_s(low, 63)));
    return;
  }
  const { size } = e;
  const product = e.c.let(i64.mul(signExtend(a, size), signExtend(b, size)));
  const low = e.c.let(i32.wrap(product));
  setProduct(e, low, e.c.let(i32.wrap(i64.shr_u(product, e.bits))));
  flagsMultiply(e, low, () => i64.ne(product, signExtend(low, size)));
});

function multiplySigned(e: Env, a: Expr, b: Expr): void {
  if (e.size === 8) {
    const low = e.c.let(i64.mul(a as I64, b as I64));
    e.write(dst(e), low);
    flagsMultiply(e, low, () => i64.ne(highSigned(e, a as I64, b as I64), i64.shr_s(low, 63)));
    return;
  }
  const { size } = e;
  const product = e.c.let(i64.mul(signExtend(a, size), signExtend(b, size)));
  const low = e.c.let(i32.wrap(product));
  e.write(dst(e), low);
  flagsMultiply(e, low, () => i64.ne(product, signExtend(low, size)));
}
define('imul', (e) => {
  const b = e.read(src(e));
  multiplySigned(e, e.read(dst(e)), b);
});
define('imul3', (e) => multiplySigned(e, e.read(src(e)), e.read(e.operands[2]!)));
define('mulx', (e) => {
  const b = e.read(e.operands[2]!);
  if (e.size === 8) {
    const a = e.c.let(e.gpr64(2));
    const high = highUnsigned(e, a, b as I64);
    const low = e.c.let(i64.mul(a, b as I64));
    e.write(src(e), low);
    e.write(dst(e), high);
    return;
  }
  const product = e.c.let(i64.mul(i64.extend_u(e.gpr32(2)), i64.extend_u(b as I32)));
  e.write(src(e), i32.wrap(product));
  e.write(dst(e), i32.wrap(i64.shr_u(product, 32)));
});

/** Dividend of a division narrower than 64 bits. */
function dividend(e: Env, signed: boolean): I64 {
  if (e.size === 1) return signed ? i64.extend_s(i32.extend16_s(e.gpr16(0))) : i64.extend_u(e.gpr16(0));
  if (e.size === 2) {
    const word = i32.or(e.gpr16(0), i32.shl(e.gpr16(2), 16));
    return signed ? i64.extend_s(word) : i64.extend_u(word);
  }
  return i64.or(i64.extend_u(e.gpr32(0)), i64.shl(i64.extend_u(e.gpr32(2)), 32));
}

function setQuotient(e: Env, quotient: Expr, remainder: Expr): void {
  if (e.size === 1) {
    const ax = i32.or(i32.and(quotient as I32, 0xff), i32.shl(remainder as I32, 8));
    e.setGpr(0, e.c.let(ax), 2);
    return;
  }
  const q = e.c.let(quotient);
  const r = e.c.let(remainder);
  e.setGpr(0, q);
  e.setGpr(2, r);
}

define('div', (e) => {
  const c = e.c;
  const b = e.read(dst(e));
  if (e.size === 8) {
    const high = c.let(e.gpr64(2));
    // Also catches division by zero: the quotient fits only if the high half is below the divisor.
    c.if(i64.ge_u(high, b as I64), () => e.raise(0));
    c.if(
      i64.eqz(high),
      () => {
        const low = c.let(e.gpr64(0));
        setQuotient(e, i64.div_u(low, b as I64), i64.rem_u(low, b as I64));
      },
      () => {
        const [q, r] = c.callMulti(e.runtime.extra.get('divide128')!, high, e.gpr64(0), b);
        setQuotient(e, q!.get, r!.get);
      },
    );
    return;
  }
  const a = c.let(dividend(e, false));
  const divisor = c.let(i64.extend_u(b as I32));
  c.if(i64.eqz(divisor), () => e.raise(0));
  const q = c.let(i64.div_u(a, divisor));
  c.if(i64.ne(i64.shr_u(q, e.bits), 0), () => e.raise(0));
  setQuotient(e, i32.wrap(q), i32.wrap(i64.rem_u(a, divisor)));
});
define('idiv', (e) => {
  const c = e.c;
  const b = e.read(dst(e));
  if (e.size === 8) {
    idiv128(e, b as I64);
    return;
  }
  const a = c.let(dividend(e, true));
  const divisor = c.let(signExtend(b, e.size));
  c.if(i64.eqz(divisor), () => e.raise(0));
  // The one 64-bit quotient that WebAssembly traps on is out of range here as well.
  c.if(i32.and(i64.eq(a, -(1n << 63n)), i64.eq(divisor, -1)), () => e.raise(0));
  const q = c.let(i64.div_s(a, divisor));
  c.if(i64.ne(q, signExtend(i32.wrap(q), e.size)), () => e.raise(0));
  setQuotient(e, i32.wrap(q), i32.wrap(i64.rem_s(a, divisor)));
});

/** Signed 128 by 64: divides magnitudes, then gives quotient and remainder their signs. */
function idiv128(e: Env, divisor: I64): void {
  const c = e.c;
  const high = c.let(e.gpr64(2));
  const low = c.let(e.gpr64(0));
  const negative = c.let(i64.shr_s(high, 63));
  const divisorSign = c.let(i64.shr_s(divisor, 63));
  const d = c.let(i64.sub(i64.xor(divisor, divisorSign), divisorSign));
  const magLow = c.let(i64.sub(i64.xor(low, negative), negative));
  // Negating the pair carries into the high half only where the low half is zero.
  const carry = i64.extend_u(i32.and(i32.wrap(negative), i64.eqz(low)));
  const magHigh = c.let(i64.add(i64.xor(high, negative), carry));
  c.if(i64.ge_u(magHigh, d), () => e.raise(0));
  const q = c.local('i64');
  const r = c.local('i64');
  c.if(
    i64.eqz(magHigh),
    () => {
      c.set(q, i64.div_u(magLow, d));
      c.set(r, i64.rem_u(magLow, d));
    },
    () => {
      const [x, y] = c.callMulti(e.runtime.extra.get('divide128')!, magHigh, magLow, d);
      c.set(q, x!.get as I64);
      c.set(r, y!.get as I64);
    },
  );
  const sign = c.let(i64.xor(negative, divisorSign));
  const signed = c.let(i64.sub(i64.xor(q.get, sign), sign));
  // Out of range: the sign of a non-zero quotient is not what it must be.
  c.if(i32.and(i64.ne(q.get, 0), i64.ne(i64.shr_s(signed, 63), sign)), () => e.raise(0));
  setQuotient(e, signed, i64.sub(i64.xor(r.get, negative), negative));
}

// Decimal adjustment (SDM 2, DAA, DAS, AAA, AAS, AAM, AAD).

function decimalAdjust(name: string, sign: 1 | -1): void {
  define(name, (e) => {
    const c = e.c;
    const al = c.let(i32.and(e.gpr32(0), 0xff));
    const cf = c.let(carryFlag(e));
    const low = c.let(i32.or(i32.gt_u(i32.and(al, 15), 9), adjustFlag(e)));
    const high = c.let(i32.or(i32.gt_u(al, 0x99), cf));
    const amount = i32.add(i32.mul(low, 6 * sign), i32.mul(high, 0x60 * sign));
    const result = c.let(i32.and(i32.add(al, amount), 0xff));
    // DAS: a borrow from the low digit's correction sets CF as well.
    const carry = sign === 1 ? high : c.let(i32.or(high, i32.and(low, i32.lt_u(al, 6))));
    e.setGpr(0, result, 1);
    flagsExplicit(e, result, carry, i32.const(0), low, 1);
  });
}
decimalAdjust('daa', 1);
decimalAdjust('das', -1);

function asciiAdjust(name: string, sign: 1 | -1): void {
  define(name, (e) => {
    const c = e.c;
    const ax = c.let(e.gpr16(0));
    const adjust = c.let(i32.or(i32.gt_u(i32.and(ax, 15), 9), adjustFlag(e)));
    const moved = i32.add(ax, i32.mul(adjust, 0x106 * sign));
    const result = c.let(i32.and(i32.select(adjust, moved, ax), 0xff0f));
    e.setGpr(0, result, 2);
    flagsExplicit(e, i32.and(result, 0xff), adjust, i32.const(0), adjust, 1);
  });
}
asciiAdjust('aaa', 1);
asciiAdjust('aas', -1);

define('aam', (e) => {
  const base = e.c.let(i32.and(e.imm(), 0xff));
  e.c.if(i32.eqz(base), () => e.raise(0));
  const al = e.c.let(i32.and(e.gpr32(0), 0xff));
  const low = e.c.let(i32.rem_u(al, base));
  e.setGpr(0, e.c.let(i32.or(i32.shl(i32.div_u(al, base), 8), low)), 2);
  flagsLogic(e, low, 1);
});
define('aad', (e) => {
  const ax = e.c.let(e.gpr16(0));
  const sum = i32.add(i32.and(ax, 0xff), i32.mul(i32.shr_u(ax, 8), e.imm()));
  const low = e.c.let(i32.and(sum, 0xff));
  e.setGpr(0, low, 2);
  flagsLogic(e, low, 1);
});
define('salc', (e) => e.setGpr(0, e.c.let(i32.sub(0, carryFlag(e))), 1));

// Moves and conversions.

define('mov', (e) => e.write(dst(e), e.read(src(e))));
define('movnti', (e) => e.write(dst(e), e.read(src(e))));
define('lea', (e) => {
  const offset = e.memOffset();
  e.write(dst(e), e.size === 8 ? offset : i32.wrap(offset));
});
define('xchg', (e) => {
  const b = e.c.let(e.read(src(e)));
  const old = e.modify(dst(e), () => b);
  e.write(src(e), old);
});

const extend = (name: string, from: Size, signed: boolean) =>
  define(name, (e) => {
    const value = e.read(src(e), from) as I32;
    const narrow = signed ? (signExtendIn(value, from) as I32) : value;
    e.write(dst(e), e.size === 8 ? (signed ? i64.extend_s(narrow) : i64.extend_u(narrow)) : narrow);
  });
extend('movzxb', 1, false);
extend('movzxw', 2, false);
extend('movsxb', 1, true);
extend('movsxw', 2, true);
extend('movsxd', 4, true);

define('cbw', (e) => {
  if (e.size === 8) e.setGpr(0, i64.extend_s(e.gpr32(0)));
  else e.setGpr(0, e.size === 4 ? i32.extend16_s(e.gpr32(0)) : i32.extend8_s(e.gpr32(0)));
});
define('cwd', (e) => {
  if (e.size === 8) e.setGpr(2, i64.shr_s(e.gpr64(0), 63));
  else e.setGpr(2, i32.shr_s(signExtendIn(e.gpr(0), e.size) as I32, 31));
});

function swapBytes(value: Expr, size: Size, e: Env): Expr {
  if (size === 2) {
    const v = value as I32;
    return i32.or(i32.and(i32.shr_u(v, 8), 0xff), i32.shl(i32.and(v, 0xff), 8));
  }
  const four = (v: I32): I32 => {
    const x = e.c.let(v);
    return i32.or(i32.and(i32.rotl(x, 8), 0x00ff_00ff), i32.and(i32.rotr(x, 8), 0xff00_ff00 | 0));
  };
  if (size === 4) return four(value as I32);
  const v = e.c.let(value as I64);
  const high = e.c.let(four(i32.wrap(v)));
  const low = e.c.let(four(i32.wrap(i64.shr_u(v, 32))));
  return i64.or(i64.shl(i64.extend_u(high), 32), i64.extend_u(low));
}
// BSWAP of a 16-bit register is undefined; processors clear it.
define('bswap', (e) => {
  const value = e.read(dst(e));
  e.write(dst(e), e.size === 2 ? i32.const(0) : e.c.let(swapBytes(value, e.size, e)));
});
define('movbe', (e) => e.write(dst(e), e.c.let(swapBytes(e.read(src(e)), e.size, e))));

define('lahf', (e) => {
  e.writeGpr(S.gpr + 1, i32.and(arithmeticFlags(e), 0xff), 1, false);
});
define('sahf', (e) => {
  const old = i32.and(arithmeticFlags(e), 0x800);
  setArithmeticFlags(e, i32.or(i32.and(e.readGpr(S.gpr + 1, 1) as I32, 0xd5), old));
});
define('clc', (e) => setCarry(e, i32.const(0)));
define('stc', (e) => setCarry(e, i32.const(1)));
define('cmc', (e) => setCarry(e, e.c.let(i32.xor(carryFlag(e), 1))));
define('cld', (e) => e.setField32('flagsSys', i32.and(e.field32('flagsSys'), ~0x400)));
define('std', (e) => e.setField32('flagsSys', i32.or(e.field32('flagsSys'), 0x400)));
define('nop', () => {});
// Loads and stores keep their order by themselves; only a store and a later load need this.
define('mfence', (e) => e.c.fence());
define('ud', (e) => e.raise(6));
define('ud1', (e) => e.raise(6));
// A line is written back or flushed; there is no cache, but the access is checked like a load of a byte.
define('clflush', (e) => e.c.drop(e.readN(dst(e), 1)));

// By condition.

for (const [code, cc] of [
  'o',
  'no',
  'b',
  'nb',
  'z',
  'nz',
  'be',
  'nbe',
  's',
  'ns',
  'p',
  'np',
  'l',
  'nl',
  'le',
  'nle',
].entries()) {
  // prettier-ignore
  define(`set${cc}`, (e) => {
    const value = e.c.let(condition(e, code));
    e.write(dst(e), i32.ne(value, 0));
  });
  // The source is read, and the upper half of a 32-bit destination cleared, whether or not it moves.
  define(`cmov${cc}`, (e) => {
    const value = e.read(src(e));
    const old = e.read(dst(e));
    e.write(dst(e), ops(e.size).select(condition(e, code), value, old));
  });
  define(`j${cc}`, (e) =>
    e.c.if(condition(e, code), () => {
      e.checkDirect();
      e.jumpDirect();
    }),
  );
}

// Exchange-and-compare.

define('cmpxchg', (e) => {
  const o = ops(e.size);
  const value = e.read(src(e));
  const expected = e.c.let(e.gpr(0));
  const register = dst(e).kind !== 'mem';
  // Memory is written whatever the outcome; a register (whose upper half would show it) only on success.
  const old = register
    ? e.read(dst(e))
    : e.modify(dst(e), (found) => o.select(o.eq(found, expected), value, found));
  e.c.if(
    o.eq(old, expected),
    () => register && e.write(dst(e), value),
    () => e.setGpr(0, old),
  );
  flagsSub(e, expected, old, e.c.let(o.sub(expected, old)));
});
define('xadd', (e) => {
  const o = ops(e.size);
  const b = e.read(src(e));
  if (dst(e).kind === 'mem') {
    const old = e.modify(dst(e), (a) => o.add(a, b));
    e.write(src(e), old);
    flagsAdd(e, old, b, e.c.let(o.add(old, b)));
    return;
  }
  const a = e.read(dst(e));
  e.write(src(e), a);
  const sum = e.c.let(o.add(a, b));
  e.write(dst(e), sum);
  flagsAdd(e, a, b, sum);
});

/** Sets ZF alone. */
function setZero(e: Env, zf: I32): void {
  const flags = i32.and(arithmeticFlags(e), ~0x40);
  setArithmeticFlags(e, i32.or(flags, i32.shl(zf, 6)));
}

define('cmpxchg8b', (e) => {
  const c = e.c;
  const pair = (low: number, high: number): I64 =>
    c.let(i64.or(i64.extend_u(e.gpr32(low)), i64.shl(i64.extend_u(e.gpr32(high)), 32)));
  if (e.size !== 8) {
    const expected = pair(0, 2);
    const value = pair(3, 1);
    const old = e.modify(
      dst(e),
      (found) => i64.select(i64.eq(found as I64, expected), value, found as I64),
      8,
    ) as I64;
    const same = c.let(i64.eq(old, expected));
    c.if(i32.eqz(same), () => {
      e.setGpr(0, i32.wrap(old), 4);
      e.setGpr(2, i32.wrap(i64.shr_u(old, 32)), 4);
    });
    setZero(e, same);
    return;
  }
  const linear = c.let(e.memLinear());
  e.requireAligned(linear, 16);
  const address = e.host(linear, 16, e.modifying);
  const low = c.let(i64.load(address));
  const high = c.let(i64.load(address, 8));
  const same = c.let(i32.and(i64.eq(low, e.gpr64(0)), i64.eq(high, e.gpr64(2))));
  c.store('i64', address, i64.select(same, e.gpr64(3), low));
  c.store('i64', address, i64.select(same, e.gpr64(1), high), 8);
  e.finishStore(address);
  c.if(i32.eqz(same), () => {
    e.setGpr64(0, low);
    e.setGpr64(2, high);
  });
  setZero(e, same);
});

// Multi-precision addition by one flag alone (ADX).

define('adcx', (e) => {
  const o = ops(e.size);
  const b = e.read(src(e));
  const a = e.read(dst(e));
  const carry = e.c.let(o.from(carryFlag(e)));
  const sum = e.c.let(o.add(o.add(a, b), carry));
  const out = o.or(o.and(a, b), o.and(o.or(a, b), o.not(sum)));
  e.write(dst(e), sum);
  setCarry(e, e.c.let(topBit(e.c.let(out), e.size)));
});
define('adox', (e) => {
  const o = ops(e.size);
  const b = e.read(src(e));
  const a = e.read(dst(e));
  const flags = arithmeticFlags(e);
  const carry = e.c.let(o.from(i32.and(i32.shr_u(flags, 11), 1)));
  const sum = e.c.let(o.add(o.add(a, b), carry));
  const out = e.c.let(o.or(o.and(a, b), o.and(o.or(a, b), o.not(sum))));
  e.write(dst(e), sum);
  setArithmeticFlags(e, i32.or(i32.and(flags, ~0x800), i32.shl(topBit(out, e.size), 11)));
});
