/**
 * Shuffles, blends, insertions, extractions and widening moves.
 *
 * Where the immediate is known when the code is emitted a shuffle of WebAssembly is used; elsewhere the byte
 * positions are computed from it.
 *
 * Intel SDM volume 2, each instruction.
 */
import {
  constant,
  i16x8,
  i32,
  i32x4,
  i64x2,
  i8x16,
  v128,
  type I32,
  type I64,
  type V128,
} from '../emit/expr.ts';
import { define } from './registry.ts';
import type { Env } from './env.ts';
import type { Operand } from './form.ts';
import {
  bytes, choose, dwords, element, element64, elementMask, field, imm8, IOTA, joined, lowHalf, mmxCommit, mmxEnter, read32,
  readLow, readMmx, words, writeMmx, xmm,
} from './sse-operand.ts'; // prettier-ignore

/** Positions of bytes of dwords chosen by four two-bit fields of the immediate. */
function dwordPositions(imm: I32): V128 {
  const known = constant(imm);
  if (known !== undefined) return bytes((i) => 4 * ((Number(known) >> (2 * (i >> 2))) & 3) + (i & 3));
  // Multiplying by 4^(3-i) brings field i to bits 6-7.
  const fields = i32x4.shr_u(
    i32x4.mul(
      i32x4.splat(imm),
      dwords((i) => 4 ** (3 - i)),
    ),
    6,
  );
  const chosen = v128.and(
    fields,
    dwords(() => 3),
  );
  return i32x4.add(
    i32x4.mul(
      chosen,
      dwords(() => 0x0404_0404),
    ),
    dwords(() => 0x0302_0100),
  );
}

/** The same for words 0-3; positions of words 4-7 are their own. */
function wordPositions(imm: I32): V128 {
  const known = constant(imm);
  if (known !== undefined) {
    return bytes((i) => (i < 8 ? 2 * ((Number(known) >> (2 * (i >> 1))) & 3) + (i & 1) : i));
  }
  const fields = i16x8.shr_u(
    i16x8.mul(
      i16x8.splat(imm),
      words((i) => (i < 4 ? 4 ** (3 - i) : 0)),
    ),
    6,
  );
  const chosen = v128.and(
    fields,
    words(() => 3),
  );
  const base = words((i) => (i < 4 ? 0x0100 : 0x0100 + i * 0x0202));
  return i16x8.add(
    i16x8.mul(
      chosen,
      words(() => 0x0202),
    ),
    base,
  );
}

const LOW_HALF = bytes((i) => (i < 8 ? 0xff : 0));

define('pshufd', (e) => {
  const [target, operand] = e.operands;
  e.writeV(target, choose(e.readV(operand), dwordPositions(imm8(e))));
});
define('pshuflw', (e) => {
  const [target, operand] = e.operands;
  e.writeV(target, choose(e.readV(operand), wordPositions(imm8(e))));
});
define('pshufhw', (e) => {
  const [target, operand] = e.operands;
  const v = e.readV(operand);
  const positions = wordPositions(imm8(e));
  // The low half's positions serve the high half, eight bytes on.
  const high = choose(v128.shuffle(v, v, [8, 9, 10, 11, 12, 13, 14, 15, 0, 0, 0, 0, 0, 0, 0, 0]), positions);
  e.writeV(target, v128.shuffle(v, high, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]));
});
define('pshufw', (e) => {
  const [target, operand] = e.operands;
  mmxEnter(e);
  const result = e.c.let(lowHalf(choose(readMmx(e, operand), wordPositions(imm8(e)))));
  mmxCommit(e);
  writeMmx(e, target, result);
});

/** Two elements of the first operand, then two of the second. */
define('shufps', (e) => {
  const [target, operand] = e.operands;
  const b = e.readV(operand);
  const a = e.readV(target);
  const positions = e.c.let(dwordPositions(imm8(e)));
  e.writeV(
    target,
    v128.bitselect(i8x16.relaxed_swizzle(a, positions), i8x16.relaxed_swizzle(b, positions), LOW_HALF),
  );
});
define('shufpd', (e) => {
  const [target, operand] = e.operands;
  const b = e.readV(operand);
  const a = e.readV(target);
  const imm = imm8(e);
  const high = element64(b, field(imm, 1, 1));
  e.writeV(target, i64x2.replace(i64x2.splat(element64(a, imm)), 1, high));
});

define('pshufb', (e) => {
  const [target, operand] = e.operands;
  const b = e.readV(operand);
  e.writeV(
    target,
    i8x16.relaxed_swizzle(
      e.readV(target),
      v128.and(
        b,
        bytes(() => 0x8f),
      ),
    ),
  );
});
define('pshufb_mmx', (e) => {
  const [target, operand] = e.operands;
  mmxEnter(e);
  const b = readMmx(e, operand);
  const result = e.c.let(
    lowHalf(
      i8x16.relaxed_swizzle(
        readMmx(e, target),
        v128.and(
          b,
          bytes(() => 0x87),
        ),
      ),
    ),
  );
  mmxCommit(e);
  writeMmx(e, target, result);
});

/** Bytes from position `count` on of the second operand followed by the first. */
define('palignr', (e) => {
  const [target, operand] = e.operands;
  const b = e.readV(operand);
  const a = e.readV(target);
  const count = imm8(e);
  const from = e.c.let(i8x16.add(IOTA, i8x16.splat(i32.select(i32.lt_u(count, 32), count, 32))));
  e.writeV(
    target,
    v128.or(
      i8x16.swizzle(b, from),
      i8x16.swizzle(
        a,
        i8x16.sub(
          from,
          bytes(() => 16),
        ),
      ),
    ),
  );
});
define('palignr_mmx', (e) => {
  const [target, operand] = e.operands;
  mmxEnter(e);
  const b = readMmx(e, operand);
  const both = joined(b, readMmx(e, target));
  const count = imm8(e);
  const from = i8x16.add(IOTA, i8x16.splat(i32.select(i32.lt_u(count, 16), count, 16)));
  const result = e.c.let(lowHalf(i8x16.swizzle(both, from)));
  mmxCommit(e);
  writeMmx(e, target, result);
});

// Blends: each element from the second operand where the mask is set.
function blend(name: string, mask: (e: Env) => V128): void {
  define(name, (e) => {
    const [target, operand] = e.operands;
    const b = e.readV(operand);
    const a = e.readV(target);
    e.writeV(target, v128.bitselect(b, a, mask(e)));
  });
}
blend('pblendvb', (e) => i8x16.shr_s(e.readV(xmm(0)), 7));
blend('blendvps', (e) => i32x4.shr_s(e.readV(xmm(0)), 31));
blend('blendvpd', (e) => i64x2.shr_s(e.readV(xmm(0)), 63));
blend('pblendw', (e) =>
  immediateMask(
    i16x8.splat(imm8(e)),
    words((i) => 1 << i),
    i16x8,
  ),
);
blend('blendps', (e) =>
  immediateMask(
    i32x4.splat(imm8(e)),
    dwords((i) => 1 << i),
    i32x4,
  ),
);
blend('blendpd', (e) =>
  immediateMask(
    i32x4.splat(imm8(e)),
    dwords((i) => 1 << (i >> 1)),
    i32x4,
  ),
);

/** All ones in those elements whose own bit is set. */
const immediateMask = (imm: V128, own: V128, shape: typeof i16x8 | typeof i32x4): V128 =>
  shape.eq(v128.and(imm, own), own);

// Extraction to general registers (zero-extended to 64 bits) and memory.
function extract(name: string, size: 1 | 2 | 4): void {
  define(name, (e) => {
    const [target, operand] = e.operands;
    const value = e.c.let(element(e.readV(operand), imm8(e), size));
    if (target.kind === 'mem') e.writeN(target, size, value);
    else e.write(target, value, 4);
  });
}
extract('pextrb', 1);
extract('pextrw', 2);
extract('pextrw_store', 2);
extract('extractps', 4);
define('pextrd', (e) => {
  const [target, operand] = e.operands;
  const v = e.readV(operand);
  const imm = imm8(e);
  e.write(target, e.c.let(e.size === 8 ? element64(v, imm) : element(v, imm, 4)));
});
define('pextrw_mmx', (e) => {
  const [target, operand] = e.operands;
  mmxEnter(e);
  const value = e.c.let(element(readMmx(e, operand), i32.and(imm8(e), 3), 2));
  mmxCommit(e);
  e.write(target, value, 4);
});

// Insertion.
function insert(name: string, size: 1 | 2, splat: (a: I32) => V128): void {
  define(name, (e) => {
    const [target, operand] = e.operands;
    const value = splat(readGeneralPart(e, operand, size));
    e.writeV(target, v128.bitselect(value, e.readV(target), elementMask(imm8(e), size)));
  });
}
/** The low bytes of a general register, or as many bytes of memory. Bound. */
const readGeneralPart = (e: Env, operand: Operand, size: 1 | 2): I32 => e.read(operand, size) as I32;

insert('pinsrb', 1, i8x16.splat);
insert('pinsrw', 2, i16x8.splat);
define('pinsrd', (e) => {
  const [target, operand] = e.operands;
  const value = e.read(operand);
  const splat = value.type === 'i64' ? i64x2.splat(value as I64) : i32x4.splat(value as I32);
  e.writeV(target, v128.bitselect(splat, e.readV(target), elementMask(imm8(e), e.size)));
});
define('pinsrw_mmx', (e) => {
  const [target, operand] = e.operands;
  mmxEnter(e);
  const value = i16x8.splat(readGeneralPart(e, operand, 2));
  const mask = elementMask(i32.and(imm8(e), 3), 2);
  const result = e.c.let(lowHalf(v128.bitselect(value, readMmx(e, target), mask)));
  mmxCommit(e);
  writeMmx(e, target, result);
});

/** One dword to position imm[5:4], then zeros where imm[3:0] has ones. From a register it is dword imm[7:6]. */
define('insertps', (e) => {
  const [target, operand] = e.operands;
  const imm = imm8(e);
  const value = operand.kind === 'mem' ? read32(e, operand) : element(e.readV(operand), field(imm, 6, 2), 4);
  const inserted = v128.bitselect(i32x4.splat(value), e.readV(target), elementMask(field(imm, 4, 2), 4));
  e.writeV(
    target,
    v128.andnot(
      inserted,
      immediateMask(
        i32x4.splat(imm),
        dwords((i) => 1 << i),
        i32x4,
      ),
    ),
  );
});

// Widening moves: the low elements, sign- or zero-extended.
type Step = (v: V128) => V128;
const SIGNED: Record<string, Step> = { b: i16x8.extend_low_s, w: i32x4.extend_low_s, d: i64x2.extend_low_s };
const UNSIGNED: Record<string, Step> = {
  b: i16x8.extend_low_u,
  w: i32x4.extend_low_u,
  d: i64x2.extend_low_u,
};
const ORDER = 'bwdq';

for (const [name, steps] of [
  ['pmovsx', SIGNED],
  ['pmovzx', UNSIGNED],
] as const) {
  for (const [from, to, size] of [
    ['b', 'w', 8],
    ['b', 'd', 4],
    ['b', 'q', 2],
    ['w', 'd', 8],
    ['w', 'q', 4],
    ['d', 'q', 8],
  ] as const) {
    define(`${name}${from}${to}`, (e) => {
      const [target, operand] = e.operands;
      let v = readLow(e, operand, size);
      for (const step of ORDER.slice(ORDER.indexOf(from), ORDER.indexOf(to))) v = steps[step](v);
      e.writeV(target, v);
    });
  }
}
