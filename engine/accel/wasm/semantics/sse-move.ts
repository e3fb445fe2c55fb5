/**
 * Moves of XMM and MMX registers, whole and in part, and the control register.
 *
 * Intel SDM volume 1, 10.4.1 and 11.4.1 (data transfer), 10.2.3 (MXCSR); each instruction in volume 2.
 */
import { i32, i32x4, i64, i64x2, i8x16, v128, type Expr, type I32, type I64 } from '../emit/expr.ts';
import { define } from './registry.ts';
import type { Env } from './env.ts';
import type { Operand } from './form.ts';
import {
  lowHalf, mmxCommit, mmxEnter, read32, read64, readHigh, readLow, readMmx, writeHigh, writeMmx, ZERO,
} from './sse-operand.ts'; // prettier-ignore

define('movaps', (e) => {
  const [target, operand] = e.operands;
  e.writeV(target, e.readV(operand));
});
define('movups', (e) => {
  const [target, operand] = e.operands;
  e.writeV(target, e.readV(operand, false), false);
});

/** Moves the low `size` bytes and leaves the rest of a register. */
function merge(name: string, size: 4 | 8): void {
  define(name, (e) => {
    const [target, operand] = e.operands;
    e.writeN(target, size, e.readFloat(operand, size === 4 ? 'f32' : 'f64'));
  });
}
merge('movss', 4);
merge('movsd', 8);
merge('movlps', 8);

/** Moves the low `size` bytes and clears the rest of the register. */
function load(name: string, size: 4 | 8): void {
  define(name, (e) => {
    const [target, operand] = e.operands;
    e.writeV(target, readLow(e, operand, size));
  });
}
load('movss_load', 4);
load('movq_load', 8);
define('movq_store', (e) => {
  const [target, operand] = e.operands;
  if (target.kind === 'mem') e.writeN(target, 8, read64(e, operand));
  else e.writeV(target, readLow(e, operand, 8));
});

// Halves.
define('movhlps', (e) => {
  const [target, operand] = e.operands;
  e.writeN(target, 8, readHigh(e, operand));
});
define('movlhps', (e) => {
  const [target, operand] = e.operands;
  writeHigh(e, target, read64(e, operand));
});
define('movhps', (e) => {
  const [target, operand] = e.operands;
  writeHigh(e, target, read64(e, operand));
});
define('movhps_store', (e) => {
  const [target, operand] = e.operands;
  e.writeN(target, 8, readHigh(e, operand));
});

// Duplicating moves (SSE3).
const repeat = (name: string, lanes: readonly number[]): void =>
  define(name, (e) => {
    const [target, operand] = e.operands;
    const v = e.readV(operand);
    e.writeV(target, v128.shuffle(v, v, lanes));
  });
repeat('movsldup', [0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 8, 9, 10, 11]);
repeat('movshdup', [4, 5, 6, 7, 4, 5, 6, 7, 12, 13, 14, 15, 12, 13, 14, 15]);
define('movddup', (e) => {
  const [target, operand] = e.operands;
  e.writeV(target, i64x2.splat(read64(e, operand)));
});

// Between general, XMM and MMX registers.

/** A general operand of 4 or 8 bytes, zero-extended to 8. Bound. */
const readGeneral = (e: Env, operand: Operand) =>
  e.size === 8 ? read64(e, operand) : e.c.let(i64.extend_u(read32(e, operand)));

define('movd', (e) => {
  const [target, operand] = e.operands;
  e.writeV(target, i64x2.replace(ZERO, 0, readGeneral(e, operand)));
});
define('movd_store', (e) => {
  const [target, operand] = e.operands;
  e.write(target, e.readN(operand, e.size));
});
define('movd_mmx', (e) => {
  const [target, operand] = e.operands;
  mmxEnter(e);
  const value = readGeneral(e, operand);
  mmxCommit(e);
  writeMmx(e, target, value);
});
define('movd_mmx_store', (e) => storeMmx(e, (operand) => e.readN(operand, e.size), e.size));
define('movq_mmx', (e) => {
  const [target, operand] = e.operands;
  if (target.kind === 'mem') {
    storeMmx(e, (from) => e.readN(from, 8), 8);
    return;
  }
  mmxEnter(e);
  const value = e.c.let(lowHalf(readMmx(e, operand)));
  mmxCommit(e);
  writeMmx(e, target, value);
});

/** Stores part of an MMX register to memory or a general register. */
function storeMmx(e: Env, value: (operand: Operand) => Expr, size: Env['size']): void {
  const [target, operand] = e.operands;
  mmxEnter(e);
  if (target.kind === 'mem') {
    e.writeN(target, size, value(operand));
    mmxCommit(e);
  } else {
    mmxCommit(e);
    e.write(target, value(operand), size);
  }
}

define('movq2dq', (e) => {
  const [target, operand] = e.operands;
  mmxEnter(e);
  const value = readMmx(e, operand);
  mmxCommit(e);
  e.writeV(target, value);
});
define('movdq2q', (e) => {
  const [target, operand] = e.operands;
  mmxEnter(e);
  const value = read64(e, operand);
  mmxCommit(e);
  writeMmx(e, target, value);
});

// Sign masks.
define('movmskps', (e) => {
  const [target, operand] = e.operands;
  e.write(target, i32x4.bitmask(e.readV(operand)), 4);
});
define('movmskpd', (e) => {
  const [target, operand] = e.operands;
  e.write(target, i64x2.bitmask(e.readV(operand)), 4);
});

// Byte-wise stores under a mask, to DS:rDI or the segment that overrides it.

/**
 * Stores those bytes of the first operand whose mask byte has its top bit set. Each is stored by itself, since
 * another processor may be writing its neighbours. Faults are those of a store of the whole operand, whatever the
 * mask, as the manual allows (SDM 2, MASKMOVDQU).
 */
function maskedStore(e: Env, size: 8 | 16, mask: (operand: Operand) => I32): void {
  const c = e.c;
  const [data, by] = e.operands;
  const left = c.var('i32', mask(by));
  const v = size === 8 ? readMmx(e, data) : e.readV(data);
  const host = e.host(e.linear(e.segment(), implied(e), size, true), size, 'modify');
  c.if(left.get, () => {
    c.loop((again) => {
      const at = c.let(i32.ctz(left.get));
      const byte = i8x16.extract_u(i8x16.swizzle(v, i8x16.splat(at)), 0);
      c.store('i32_8', i32.add(host, at), byte);
      c.set(left, i32.and(left.get, i32.sub(left.get, 1)));
      c.brIf(again, left.get);
    });
    e.finishStore(host);
  });
}

/** rDI, zero-extended from the address size. */
function implied(e: Env): I64 {
  const RDI = 7;
  if (e.form.address === '64') return e.gpr64(RDI);
  return i64.extend_u(e.form.address === '16' ? e.gpr16(RDI) : e.gpr32(RDI));
}

const byteMask = (e: Env, operand: Operand): I32 => i8x16.bitmask(e.readV(operand));

define('maskmovdqu', (e) => {
  maskedStore(e, 16, (operand) => byteMask(e, operand));
});
define('maskmovq', (e) => {
  mmxEnter(e);
  maskedStore(e, 8, (operand) => i32.and(byteMask(e, operand), 0xff));
  mmxCommit(e);
});

// The control registers.

/** Bits of MXCSR that are defined; setting another raises #GP(0) (SDM 1, 11.6.6). */
const MXCSR_MASK = 0xffff;

define('ldmxcsr', (e) => {
  const value = read32(e, e.operands[0]);
  e.c.if(i32.and(value, ~MXCSR_MASK), () => e.raise(13, 0));
  e.setField32('mxcsr', value);
});
define('stmxcsr', (e) => e.writeN(e.operands[0], 4, e.c.let(e.field32('mxcsr'))));

/** Marks all x87 registers empty, with TOP zero (SDM 3A, table 12-1). */
define('emms', (e) => {
  mmxEnter(e);
  mmxCommit(e);
  e.setField32('ftw', 0);
});
