/** Bit tests, scans, counts, BMI1/2 and CRC32. SDM 2 under each instruction's name. */
import { i32, i64, type Expr, type I32, type I64 } from '../emit/expr.ts';
import { define } from './registry.ts';
import type { Env } from './env.ts';
import type { Operand } from './form.ts';
import { flagsExplicit, flagsLogic, setArithmeticFlags, setCarry } from './flags.ts';
import { ops } from './ops.ts';

type Change = 'none' | 'set' | 'reset' | 'complement';

function changed(e: Env, old: Expr, mask: Expr, change: Change): Expr {
  const o = ops(e.size);
  return change === 'set' ? o.or(old, mask) : change === 'reset' ? o.and(old, o.not(mask)) : o.xor(old, mask);
}

/** CF is the bit; ZF is unchanged and the rest undefined, so CF alone is written. */
function testBit(e: Env, old: Expr, index: Expr): void {
  const o = ops(e.size);
  setCarry(e, e.c.let(i32.and(o.low(o.shr_u(old, index)), 1)));
}

function bitTest(name: string, change: Change): void {
  // Register bit offset: with a memory operand it reaches beyond the operand, in units of its size.
  define(name, (e) => {
    const o = ops(e.size);
    const offset = e.read(e.operands[1]!);
    const index = e.c.let(o.and(offset, e.bits - 1));
    const mask = e.c.let(o.shl(o.const(1), index));
    if (e.operands[0]!.kind !== 'mem') {
      bitTestAt(e, e.operands[0]!, change, index, mask);
      return;
    }
    const wide =
      e.size === 8
        ? (offset as I64)
        : i64.extend_s(e.size === 2 ? i32.extend16_s(offset as I32) : (offset as I32));
    const log = { 1: 3, 2: 4, 4: 5, 8: 6 }[e.size];
    const delta = i64.mul(i64.shr_s(wide, log), e.size);
    const linear = e.memLinearAt(delta, e.size, change !== 'none');
    if (change === 'none') {
      testBit(e, e.loadLinear(linear, e.size), index);
      return;
    }
    const address = e.host(linear, e.size, e.modifying);
    testBit(
      e,
      e.modifyHost(address, (old) => changed(e, old, mask, change)),
      index,
    );
  });
  define(`${name}i`, (e) => {
    const o = ops(e.size);
    const index = e.c.let(o.and(e.read(e.operands[1]!), e.bits - 1));
    bitTestAt(e, e.operands[0]!, change, index, e.c.let(o.shl(o.const(1), index)));
  });
}

function bitTestAt(e: Env, operand: Operand, change: Change, index: Expr, mask: Expr): void {
  const old = change === 'none' ? e.read(operand) : e.modify(operand, (a) => changed(e, a, mask, change));
  testBit(e, old, index);
}
bitTest('bt', 'none');
bitTest('bts', 'set');
bitTest('btr', 'reset');
bitTest('btc', 'complement');

const ctz = (e: Env, v: Expr): Expr => (e.size === 8 ? i64.ctz(v as I64) : i32.ctz(v as I32));
const clz = (e: Env, v: Expr): Expr => (e.size === 8 ? i64.clz(v as I64) : i32.clz(v as I32));

/** BSF and BSR: ZF by the source; a zero source leaves the destination as it was (as AMD documents). */
function scan(name: string, index: (e: Env, v: Expr) => Expr): void {
  define(name, (e) => {
    const o = ops(e.size);
    const value = e.read(e.operands[1]!);
    e.flagsInBranch(() =>
      e.c.if(
        o.eqz(value),
        () => setArithmeticFlags(e, i32.const(0x44)),
        () => {
          const found = e.c.let(index(e, value));
          e.write(e.operands[0]!, found);
          // Never zero as a flag, even where the index is.
          flagsLogic(e, o.const(1), e.size);
        },
      ),
    );
  });
}
scan('bsf', ctz);
scan('bsr', (e, v) => {
  const o = ops(e.size);
  return o.sub(o.const(e.size === 8 ? 63 : 31), clz(e, v));
});

/** TZCNT and LZCNT: CF where the source is zero, ZF where the result is. */
function count(name: string, compute: (e: Env, v: Expr) => Expr): void {
  define(name, (e) => {
    const o = ops(e.size);
    const value = e.read(e.operands[1]!);
    const result = e.c.let(compute(e, value));
    e.write(e.operands[0]!, result);
    flagsExplicit(e, result, o.eqz(value), i32.const(0));
  });
}
count('tzcnt', (e, v) => (e.size === 2 ? i32.ctz(i32.or(v as I32, 0x10000)) : ctz(e, v)));
count('lzcnt', (e, v) => (e.size === 2 ? i32.sub(i32.clz(v as I32), 16) : clz(e, v)));
define('popcnt', (e) => {
  const value = e.read(e.operands[1]!);
  const result = e.c.let(e.size === 8 ? i64.popcnt(value as I64) : i32.popcnt(value as I32));
  e.write(e.operands[0]!, result);
  // ZF by the source; everything else is cleared, PF too.
  setArithmeticFlags(e, i32.shl(ops(e.size).eqz(value), 6));
});

define('andn', (e) => {
  const o = ops(e.size);
  const result = e.c.let(o.and(o.not(e.read(e.operands[1]!)), e.read(e.operands[2]!)));
  e.write(e.operands[0]!, result);
  flagsLogic(e, result);
});

function lowestBit(name: string, compute: (e: Env, v: Expr) => Expr, carry: (e: Env, v: Expr) => I32): void {
  define(name, (e) => {
    const value = e.read(e.operands[1]!);
    const result = e.c.let(compute(e, value));
    const cf = e.c.let(carry(e, value));
    e.write(e.operands[0]!, result);
    flagsExplicit(e, result, cf, i32.const(0));
  });
}
const isZero = (e: Env, v: Expr): I32 => ops(e.size).eqz(v);
lowestBit('blsr', (e, v) => ops(e.size).and(v, ops(e.size).sub(v, 1)), isZero);
lowestBit('blsmsk', (e, v) => ops(e.size).xor(v, ops(e.size).sub(v, 1)), isZero);
lowestBit(
  'blsi',
  (e, v) => ops(e.size).and(v, ops(e.size).sub(ops(e.size).const(0), v)),
  (e, v) => i32.eqz(isZero(e, v)),
);

/** The low `n` bits of a value, for any n up to 255 (all of them from the operand size on). */
function lowBits(e: Env, value: Expr, n: I32): Expr {
  const o = ops(e.size);
  const mask = o.sub(o.shl(o.const(1), o.from(n)), 1);
  return o.select(i32.ge_u(n, e.bits), value, o.and(value, mask));
}

define('bextr', (e) => {
  const o = ops(e.size);
  const value = e.read(e.operands[1]!);
  const control = e.c.let(o.low(e.read(e.operands[2]!)));
  const start = e.c.let(i32.and(control, 0xff));
  const shifted = e.c.let(o.select(i32.ge_u(start, e.bits), o.const(0), o.shr_u(value, o.from(start))));
  const result = e.c.let(lowBits(e, shifted, e.c.let(i32.and(i32.shr_u(control, 8), 0xff))));
  e.write(e.operands[0]!, result);
  flagsLogic(e, result);
});
define('bzhi', (e) => {
  const o = ops(e.size);
  const value = e.read(e.operands[1]!);
  const n = e.c.let(i32.and(o.low(e.read(e.operands[2]!)), 0xff));
  const result = e.c.let(lowBits(e, value, n));
  e.write(e.operands[0]!, result);
  flagsExplicit(e, result, i32.ge_u(n, e.bits), i32.const(0));
});

/** Walks the mask's set bits from the lowest. */
function bitMove(name: string, deposit: boolean): void {
  define(name, (e) => {
    const c = e.c;
    const o = ops(e.size);
    const source = e.read(e.operands[1]!);
    const mask = e.variable(e.read(e.operands[2]!));
    const result = c.local(e.type);
    c.assign(result, o.const(0));
    const position = e.variable(o.const(0));
    c.block((done) =>
      c.loop((again) => {
        c.brIf(done, o.eqz(mask.get));
        const lowest = c.let(o.and(mask.get, o.sub(o.const(0), mask.get)));
        const index = c.let(ctz(e, mask.get));
        const [from, to] = deposit ? [position.get, index] : [index, position.get];
        c.assign(result, o.or(result.get, o.shl(o.and(o.shr_u(source, from), 1), to)));
        c.assign(mask, o.xor(mask.get, lowest));
        c.assign(position, o.add(position.get, 1));
        c.br(again);
      }),
    );
    e.write(e.operands[0]!, result.get);
  });
}
bitMove('pdep', true);
bitMove('pext', false);

/** CRC32-C, reflected polynomial 0x82F63B78, one bit at a time. */
function crc(e: Env, value: Expr, bytes: number): void {
  const c = e.c;
  const state = c.var('i32', e.readN(e.operands[0]!, 4) as I32);
  const word = (v: I32, n: number) => {
    c.set(state, i32.xor(state.get, v));
    const left = c.var('i32', 8 * n);
    c.loop((again) => {
      const reduced = i32.xor(i32.shr_u(state.get, 1), i32.mul(i32.and(state.get, 1), 0x82f6_3b78 | 0));
      c.set(state, reduced);
      c.set(left, i32.sub(left.get, 1));
      c.brIf(again, left.get);
    });
  };
  if (bytes === 8) {
    word(i32.wrap(value as I64), 4);
    word(i32.wrap(i64.shr_u(value as I64, 32)), 4);
  } else word(value as I32, bytes);
  e.write(e.operands[0]!, state.get, 4);
}
define('crc32', (e) => crc(e, e.read(e.operands[1]!), e.size));
define('crc32b', (e) => crc(e, e.read(e.operands[1]!, 1), 1));
