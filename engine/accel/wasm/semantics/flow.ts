/** Jumps, calls, the stack, loops, and the flags that control the processor. */
import { Flag } from '../../../vcpu/state.ts';
import { i32, i64, type Expr, type I32, type I64 } from '../emit/expr.ts';
import { P } from '../private.ts';
import { define } from './registry.ts';
import type { Env } from './env.ts';
import type { Size } from './form.ts';
import { arithmeticFlags, setArithmeticFlags, zeroFlag } from './flags.ts';

const widen = (e: Env, value: Expr): I64 => (e.size === 8 ? (value as I64) : i64.extend_u(value as I32));
const narrow = (e: Env, value: I64): Expr => (e.size === 8 ? value : i32.wrap(value));

// Near transfers.

define('jmp', (e) => {
  e.checkDirect();
  e.jumpDirect();
});
define('jmpr', (e) => {
  const target = e.c.let(widen(e, e.read(e.operands[0]!)));
  e.checkTarget(target);
  e.jumpComputed(target);
});
define('call', (e) => {
  e.checkDirect();
  e.push(narrow(e, e.nextRip()), e.size);
  e.jumpDirect();
});
define('callr', (e) => {
  const target = e.c.let(widen(e, e.read(e.operands[0]!)));
  e.checkTarget(target);
  e.push(narrow(e, e.nextRip()), e.size);
  e.jumpComputed(target);
});
define('ret', (e) => {
  const target = e.c.let(widen(e, e.top(e.size)));
  e.checkTarget(target);
  const [extra] = e.operands;
  e.addStackPointer(extra?.kind === 'imm' ? e.c.let(i32.add(e.imm(), e.size)) : e.size);
  e.jump(target);
});

/** The count register of LOOP and JCXZ, by address size. */
const countSize = (e: Env): Size => (({ '64': 8, '32in64': 4, '32': 4, '16': 2 }) as const)[e.form.address];

function loop(name: string, also: (e: Env) => I32): void {
  define(name, (e) => {
    const size = countSize(e);
    const left = e.c.let(size === 8 ? i64.sub(e.gpr64(1), 1) : i32.sub(e.gpr(1, size) as I32, 1));
    const zero =
      size === 8
        ? i64.eqz(left as I64)
        : size === 4
          ? i32.eqz(left as I32)
          : i32.eqz(i32.and(left as I32, 0xffff));
    const taken = e.c.let(i32.and(i32.eqz(zero), also(e)));
    e.c.if(taken, () => e.checkDirect());
    e.setGpr(1, left, size);
    e.c.if(taken, () => e.jumpDirect());
  });
}
loop('loop', () => i32.const(1));
loop('loope', (e) => zeroFlag(e));
loop('loopne', (e) => i32.eqz(zeroFlag(e)));
define('jcxz', (e) => {
  const size = countSize(e);
  const zero = size === 8 ? i64.eqz(e.gpr64(1)) : i32.eqz(e.gpr(1, size) as I32);
  e.c.if(zero, () => {
    e.checkDirect();
    e.jumpDirect();
  });
});

// The stack.

define('push', (e) => e.push(e.read(e.operands[0]!), e.size));
define('pop', (e) => {
  const value = e.top(e.size);
  const to = e.operands[0]!;
  if (to.kind === 'mem') {
    // The decoder has given an address based on the stack pointer its new value.
    e.write(to, value);
    e.addStackPointer(e.size);
  } else {
    e.addStackPointer(e.size);
    e.write(to, value);
  }
});
define('pusha', (e) => {
  const size = e.size;
  for (let n = 0; n < 8; n++)
    e.storeLinear(e.stackLinear(-size * (n + 1), size, true), size, e.gpr(n, size), true);
  e.addStackPointer(-8 * size);
});
define('popa', (e) => {
  const size = e.size;
  const values = [];
  for (let n = 7; n >= 0; n--) values.push(e.top(size, size * (7 - n)));
  e.addStackPointer(8 * size);
  for (let n = 7; n >= 0; n--) if (n !== 4) e.setGpr(n, values[7 - n]!, size);
});

/** Stack-width value of a register, zero-extended to 64 bits. */
const stackRegister = (e: Env, n: number): I64 =>
  e.form.stack === 8 ? e.gpr64(n) : i64.extend_u(e.gpr(n, e.form.stack) as I32);

function setStackRegister(e: Env, n: number, value: I64): void {
  if (e.form.stack === 8) e.setGpr64(n, value);
  else e.setGpr(n, i32.wrap(value), e.form.stack);
}

/** Wraps an offset to the width of the stack. */
const wrapStack = (e: Env, offset: I64): I64 =>
  e.form.stack === 8 ? offset : i64.and(offset, e.form.stack === 4 ? 0xffff_ffffn : 0xffff);

define('leave', (e) => {
  const base = e.c.let(stackRegister(e, 5));
  const value = e.loadLinear(e.linearIn(e.form.stack === 8, 2, base, e.size, false), e.size, true);
  setStackRegister(e, 4, i64.add(base, e.size));
  e.setGpr(5, value);
});

// ENTER: frame size in the low 16 bits of the immediate, nesting level above.
define('enter', (e) => {
  const c = e.c;
  const flat = e.form.stack === 8;
  const { size } = e;
  const sp = c.var('i64', stackRegister(e, 4));
  const at = (offset: I64, write: boolean): I64 => e.linearIn(flat, 2, offset, size, write);
  const push = (value: Expr): void => {
    const bound = c.let(value);
    c.set(sp, wrapStack(e, i64.sub(sp.get, size)));
    e.storeLinear(at(sp.get, true), size, bound, true);
  };
  push(e.gpr(5));
  const frame = c.let(sp.get);
  const level = c.var('i32', i32.and(i32.shr_u(e.imm(), 16), 31));
  c.if(level.get, () => {
    const from = c.var('i64', stackRegister(e, 5));
    c.block((done) =>
      c.loop((again) => {
        c.set(level, i32.sub(level.get, 1));
        c.brIf(done, i32.eqz(level.get));
        c.set(from, wrapStack(e, i64.sub(from.get, size)));
        push(e.loadLinear(at(from.get, false), size, true));
        c.br(again);
      }),
    );
    push(narrow(e, frame));
  });
  const allocated = i64.extend_u(i32.and(e.imm(), 0xffff));
  const top = c.let(wrapStack(e, i64.sub(sp.get, allocated)));
  // The new top of the stack must be writable (SDM 2, ENTER, exceptions).
  c.drop(e.host(at(top, true), size, true, true));
  setStackRegister(e, 4, top);
  e.setGpr(5, narrow(e, frame));
});

// Flags that control the processor.

const sys = (e: Env): I32 => e.field32('flagsSys');
const inV86 = (e: Env): I32 => i32.and(sys(e), Flag.VM);
/** CPL <= IOPL, outside virtual-8086 mode. */
const mayControlInterrupts = (e: Env): I32 =>
  i32.and(i32.le_u(e.field32('cpl'), i32.and(i32.shr_u(sys(e), 12), 3)), i32.eqz(inV86(e)));

define('cli', (e) => {
  e.c.if(
    mayControlInterrupts(e),
    () => e.setField32('flagsSys', i32.and(sys(e), ~Flag.IF)),
    () => e.complex('cli_slow'),
  );
});
define('sti', (e) => {
  e.c.if(
    mayControlInterrupts(e),
    () => {
      e.c.if(i32.eqz(i32.and(sys(e), Flag.IF)), () => {
        e.setField32('flagsSys', i32.or(sys(e), Flag.IF));
        e.setField32('interruptShadow', 1);
        e.c.store('i64', e.cpu, e.nextRip(), P.shadowRip);
        e.c.if(e.field32('events'), () => e.leaveNext());
      });
    },
    () => e.complex('sti_slow'),
  );
});
define('pushf', (e) => {
  e.c.if(
    inV86(e),
    () => e.complex('pushf_slow'),
    () => {
      const word = i32.or(arithmeticFlags(e), i32.and(sys(e), ~(Flag.RF | Flag.VM)));
      e.push(e.size === 8 ? i64.extend_u(word) : word, e.size);
    },
  );
});
define('popf', (e) => {
  const c = e.c;
  c.if(
    inV86(e),
    () => e.complex('popf_slow'),
    () => {
      const value = e.top(e.size);
      const word = c.let(e.size === 8 ? i32.wrap(value as I64) : (value as I32));
      const old = c.let(sys(e));
      const cpl = c.let(e.field32('cpl'));
      const iopl = i32.and(i32.shr_u(old, 12), 3);
      const always = Flag.TF | Flag.DF | Flag.NT | (e.size === 2 ? 0 : Flag.AC | Flag.ID);
      const mask = c.let(
        i32.or(i32.or(always, i32.select(cpl, 0, Flag.IOPL)), i32.select(i32.le_u(cpl, iopl), Flag.IF, 0)),
      );
      // RF is cleared whatever the image says; VM, VIF and VIP stay (SDM 2, POPF).
      const kept = i32.and(old, i32.xor(i32.or(mask, Flag.RF), -1));
      const flags = c.let(i32.or(kept, i32.and(word, mask)));
      e.addStackPointer(e.size);
      e.setField32('flagsSys', flags);
      setArithmeticFlags(e, word);
      const turned = i32.and(i32.xor(flags, old), Flag.AC);
      const pending = i32.select(i32.and(flags, Flag.IF), e.field32('events'), 0);
      c.if(i32.or(i32.or(turned, i32.and(flags, Flag.TF)), pending), () => e.leaveNext());
    },
  );
});

/** STAC and CLAC: #UD outside CPL 0. AC decides which TLB the supervisor uses. */
function setAlignmentCheck(name: string, on: boolean): void {
  define(name, (e) => {
    e.c.if(e.field32('cpl'), () => e.raise(6));
    e.setField32('flagsSys', on ? i32.or(sys(e), Flag.AC) : i32.and(sys(e), ~Flag.AC));
    e.c.store('i32', e.cpu, i32.load(e.cpu, on ? P.tlbSupervisorAc : P.tlbSupervisor), P.tlb);
  });
}
setAlignmentCheck('stac', true);
setAlignmentCheck('clac', false);

// Whatever was to be seen before the next instruction is fetched is an event here.
define('serialize', (e) => {
  e.c.fence();
  e.c.if(e.field32('events'), () => e.leaveNext());
});
