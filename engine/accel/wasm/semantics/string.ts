/**
 * String instructions. A repeated one does one element, or where nothing can tell the difference as many
 * as lie on the present pages, then runs itself again: so it is interruptible and restartable after each
 * step, with the registers as the manual wants them (SDM 2, REP).
 */
import { i32, i64, type Expr, type I32, type I64 } from '../emit/expr.ts';
import { P, S } from '../private.ts';
import { define } from './registry.ts';
import type { Env } from './env.ts';
import type { Size } from './form.ts';
import { flagsSub, zeroFlag } from './flags.ts';
import { ops } from './ops.ts';

const RAX = 0;
const RCX = 1;
const RSI = 6;
const RDI = 7;
const ES = 0;

const width = (e: Env): Size => (({ '64': 8, '32in64': 4, '32': 4, '16': 2 }) as const)[e.form.address];

/** A register as an address: zero-extended from the address size. */
const index = (e: Env, n: number): I64 =>
  width(e) === 8 ? e.gpr64(n) : i64.extend_u(e.gpr(n, width(e)) as I32);

function setIndex(e: Env, n: number, value: I64): void {
  const size = width(e);
  e.setGpr(n, size === 8 ? value : i32.wrap(value), size);
}

/** Element size, negative where DF is set. Bound. */
const step = (e: Env, bytes: number): I64 =>
  e.c.let(i64.select(i32.and(e.field32('flagsSys'), 0x400), -bytes, bytes));

const sourceLinear = (e: Env, bytes: number): I64 => e.linear(e.segment(), index(e, RSI), bytes, false);
const targetLinear = (e: Env, bytes: number, write: boolean): I64 =>
  e.linear(ES, index(e, RDI), bytes, write);

/**
 * Wraps one step of a string instruction in its repetition.
 * @param one does one or more elements and returns how many (bound); `left` is the count register
 * @param until for REPE and REPNE: non-zero where the repetition ends after this element
 */
function repeated(e: Env, one: (left: I64 | undefined) => I64, until?: () => I32): void {
  if (e.form.rep === 0) {
    one(undefined);
    return;
  }
  const c = e.c;
  const left = c.let(index(e, RCX));
  c.if(i32.eqz(i64.eqz(left)), () => {
    const done = one(left);
    const rest = c.let(i64.sub(left, done));
    setIndex(e, RCX, rest);
    const more = i32.eqz(i64.eqz(rest));
    const goOn = until ? i32.and(more, i32.eqz(until())) : more;
    c.if(goOn, () => e.again());
  });
}

/** Elements from an address up to the end of its page, at most `left`; upwards only. */
function onPage(e: Env, linear: I64, left: I64, bytes: number): I64 {
  const c = e.c;
  const room = c.let(i64.shr_u(i64.sub(4096, i64.and(linear, 4095)), Math.log2(bytes)));
  return c.let(i64.select(i64.lt_u(left, room), left, room));
}

/**
 * {@link Env.host} of an element that others on its page may follow at once: `extent` bytes in all. Whoever has
 * decoded code there, or watches it, is told of all of them. After a write {@link Env.finishHeld} must follow.
 */
function hostOf(e: Env, linear: I64, extent: I32 | undefined, write: boolean): I32 {
  if (extent === undefined) return e.host(linear, e.size, write);
  e.c.store('i32', e.cpu, extent, P.slowExtent);
  const address = e.host(linear, e.size, write);
  e.c.store('i32', e.cpu, 0, P.slowExtent);
  return address;
}

/** The last offset that lies within a segment and can be addressed, in the form's address size; undefined where nothing
 * bounds it. */
function lastOffset(e: Env, segment: number | I32, write: boolean): I64 | undefined {
  const { address } = e.form;
  if (address === '64') return undefined;
  if (address === '32in64') return i64.const(0xffff_ffffn);
  const at = typeof segment === 'number' ? segment * 4 : i32.mul(segment, 4);
  const end = e.c.let(i64.load32_u(i32.add(e.cpu, at), write ? S.segWriteHi : S.segReadHi));
  if (address === '32') return end;
  return e.c.let(i64.select(i64.lt_u(end, 0xffff), end, 0xffff));
}

/** Elements from an offset up to where its segment ends, or the address size wraps, at most `left`; upwards only. The
 * first has been found to be within the segment. */
function inSegment(
  e: Env,
  segment: number | I32,
  offset: I64,
  left: I64,
  bytes: number,
  write: boolean,
): I64 {
  const last = lastOffset(e, segment, write);
  if (last === undefined) return left;
  const c = e.c;
  const room = c.let(i64.shr_u(i64.add(i64.sub(last, offset), 1), Math.log2(bytes)));
  return c.let(i64.select(i64.lt_u(left, room), left, room));
}

define('movs', (e) => {
  const c = e.c;
  const bytes = e.size;
  repeated(e, (left) => {
    const by = step(e, bytes);
    const from = c.let(sourceLinear(e, bytes));
    const to = c.let(targetLinear(e, bytes, true));
    let most: I64 | undefined;
    if (left !== undefined) {
      most = inSegment(e, e.segment(), index(e, RSI), left, bytes, false);
      most = inSegment(e, ES, index(e, RDI), most, bytes, true);
      most = c.let(onPage(e, to, onPage(e, from, most, bytes), bytes));
    }
    const size = most && c.let(i32.mul(i32.wrap(most), bytes));
    const source = hostOf(e, from, size, false);
    // The bounce buffer serves one access at a time: a value read through it is taken out first.
    const value = c.let(e.loadHost(source, bytes));
    const sourceBounced = c.let(e.bounced(source));
    const target = hostOf(e, to, size, true);
    const count = c.var('i64', 1);
    if (most !== undefined && size !== undefined) {
      const fast = c.var('i32', 0);
      // A target that overlaps the source from above must be copied an element at a time.
      const overlap = i32.lt_u(i32.sub(target, source), size);
      const bounced = i32.or(sourceBounced, e.bounced(target));
      const plain = i32.eqz(i32.or(i32.or(overlap, bounced), i64.lt_s(by, 0)));
      c.set(fast, i32.and(plain, i64.gt_u(most, 1)));
      c.if(
        fast.get,
        () => {
          c.memoryCopy(target, source, size);
          c.set(count, most);
        },
        () => e.storeHost(target, bytes, value),
      );
      e.finishHeld();
    } else e.storeHost(target, bytes, value);
    const moved = c.let(i64.mul(count.get, by));
    setIndex(e, RSI, i64.add(index(e, RSI), moved));
    setIndex(e, RDI, i64.add(index(e, RDI), moved));
    return count.get;
  });
});

define('stos', (e) => {
  const c = e.c;
  const bytes = e.size;
  repeated(e, (left) => {
    const by = step(e, bytes);
    const value = c.let(e.gpr(RAX, bytes));
    const to = c.let(targetLinear(e, bytes, true));
    const most = left && onPage(e, to, inSegment(e, ES, index(e, RDI), left, bytes, true), bytes);
    const size = most && c.let(i32.mul(i32.wrap(most), bytes));
    const target = hostOf(e, to, size, true);
    const count = c.var('i64', 1);
    if (most !== undefined && size !== undefined) {
      const fast = i32.eqz(i32.or(e.bounced(target), i64.lt_s(by, 0)));
      c.if(
        i32.and(fast, i64.gt_u(most, 1)),
        () => {
          c.set(count, most);
          const low = c.let(i32.and(bytes === 8 ? i32.wrap(value as I64) : (value as I32), 0xff));
          const uniform =
            bytes === 8
              ? i64.eq(value as I64, i64.mul(i64.extend_u(low), 0x0101_0101_0101_0101n))
              : i32.eq(
                  value as I32,
                  i32.and(i32.mul(low, 0x0101_0101), bytes === 4 ? -1 : bytes === 2 ? 0xffff : 0xff),
                );
          c.if(
            uniform,
            () => c.memoryFill(target, low, size),
            () => {
              const at = c.var('i32', target);
              const end = c.let(i32.add(target, size));
              c.loop((again) => {
                e.storeRaw(at.get, bytes, value);
                c.set(at, i32.add(at.get, bytes));
                c.brIf(again, i32.lt_u(at.get, end));
              });
            },
          );
        },
        () => e.storeHost(target, bytes, value),
      );
      e.finishHeld();
    } else e.storeHost(target, bytes, value);
    setIndex(e, RDI, i64.add(index(e, RDI), i64.mul(count.get, by)));
    return count.get;
  });
});

define('lods', (e) => {
  const bytes = e.size;
  repeated(e, () => {
    const value = e.loadLinear(sourceLinear(e, bytes), bytes);
    setIndex(e, RSI, i64.add(index(e, RSI), step(e, bytes)));
    e.setGpr(RAX, value, bytes);
    return i64.const(1);
  });
});

/** The comparison of CMPS and SCAS, and when a repetition of it ends. */
function compare(e: Env, a: Expr, b: Expr, bytes: Size): void {
  flagsSub(e, a, b, e.c.let(ops(bytes).sub(a, b)), bytes);
}
const ends = (e: Env) => (): I32 => (e.form.rep === 1 ? i32.eqz(zeroFlag(e)) : zeroFlag(e));

define('cmps', (e) => {
  const bytes = e.size;
  repeated(
    e,
    () => {
      // In this order, as seen where both would fault.
      const b = e.loadLinear(targetLinear(e, bytes, false), bytes);
      const a = e.loadLinear(sourceLinear(e, bytes), bytes);
      const by = step(e, bytes);
      setIndex(e, RSI, i64.add(index(e, RSI), by));
      setIndex(e, RDI, i64.add(index(e, RDI), by));
      compare(e, a, b, bytes);
      return i64.const(1);
    },
    ends(e),
  );
});
define('scas', (e) => {
  const bytes = e.size;
  repeated(
    e,
    () => {
      const b = e.loadLinear(targetLinear(e, bytes, false), bytes);
      const a = e.c.let(e.gpr(RAX, bytes));
      setIndex(e, RDI, i64.add(index(e, RDI), step(e, bytes)));
      compare(e, a, b, bytes);
      return i64.const(1);
    },
    ends(e),
  );
});

define('xlat', (e) => {
  const offset = i64.add(index(e, 3), i64.extend_u(i32.and(e.gpr32(RAX), 0xff)));
  const size = width(e);
  const wrapped = size === 8 ? offset : i64.and(offset, size === 4 ? 0xffff_ffffn : 0xffff);
  e.setGpr(RAX, e.loadLinear(e.linear(e.segment(), wrapped, 1, false), 1), 1);
});
