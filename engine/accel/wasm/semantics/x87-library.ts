/**
 * What x87 instructions do to the register stack, as functions that their handlers call: (vCPU, …), with the
 * exact results of float/ and the masked and unmasked responses to exceptions. None of them accesses memory.
 *
 * Indices of registers are 16 times their numbers. Intel SDM volume 1, 8.5; each instruction in volume 2.
 */
import type { Code, Func } from '../emit/code.ts';
import { i32, i64, type I32, type I64, type In, type Type } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { call, FloatFlag, Relation, Rounding } from '../float/format.ts';
import type { FloatLibrary } from '../float/library.ts';
import { x87Rounding } from '../float/round.ts';
import {
  BEFORE,
  INDEFINITE,
  RegisterStack,
  STACK_OVERFLOW,
  STACK_UNDERFLOW,
  type Value80,
} from './x87-registers.ts';

const { C0, C1, C2, C3, IE } = FloatFlag;
const CONDITION = C0 | C2 | C3;
const ALL_CODES = CONDITION | C1;
const RESULT = ['i64', 'i32', 'i32'] as const;

/** A function under construction: its parameters beyond the vCPU, and the registers. */
interface Body {
  readonly c: Code;
  readonly cpu: I32;
  readonly st: RegisterStack;
  int(index: number): I32;
  long(index: number): I64;
}

/** All of them by name, each prefixed `x87.`, and the conversions they leave to the handlers. */
export function addX87Library(m: ModuleBuilder, { f80 }: FloatLibrary): Map<string, Func> {
  const functions = new Map<string, Func>();
  const add = (name: string, params: readonly Type[], results: readonly Type[], emit: (b: Body) => void) => {
    const func = m.function(['i32', ...params], results, (c) => {
      const cpu = c.param('i32', 0).get;
      const st = new RegisterStack(c, cpu);
      const int = (index: number) => c.param('i32', index + 1).get;
      const long = (index: number) => c.param('i64', index + 1).get;
      emit({ c, cpu, st, int, long });
    });
    functions.set(`x87.${name}`, func);
  };
  for (const name of ['load32', 'load64', 'widen32', 'widen64', 'extendInteger', 'fromDecimal'] as const) {
    functions.set(`f80.${name}`, f80[name]);
  }
  addMoves(add);
  for (const operation of ['add', 'sub', 'mul', 'div'] as const)
    addArithmetic(add, operation, f80[operation]);
  addUnary(add, f80);
  addComparisons(add, f80);
  addStores(add, f80);
  return functions;
}

type Add = (name: string, params: readonly Type[], results: readonly Type[], emit: (b: Body) => void) => void;

/** Registers among themselves, and pushes. */
function addMoves(add: Add): void {
  // (value, flags of its conversion)
  const push = ({ c, st }: Body, value: Value80, flags: I32): void => {
    c.if(st.filled(-16), () => {
      c.if(i32.and(st.control, IE), () => st.push(INDEFINITE));
      st.settle(STACK_OVERFLOW);
      c.return();
    });
    // A denormal is loaded even where that exception is not masked.
    c.if(i32.eqz(st.unmasked(flags, IE)), () => st.push(value));
    st.settle(flags);
  };
  add('push', ['i64', 'i32', 'i32'], [], (b) => push(b, [b.long(0), b.int(1)], b.int(2)));
  // (index): FLD ST(i). An empty source comes before a full destination.
  add('pushRegister', ['i32'], [], (b) => {
    const { c, st, int } = b;
    c.if(st.filled(int(0)), () => {
      push(b, st.read(int(0)), i32.const(0));
      c.return();
    });
    st.underflow(-16, () => st.push(INDEFINITE));
  });
  // (destination, pops): FST ST(i)
  add('move', ['i32', 'i32'], [], ({ c, st, int }) => {
    c.if(
      st.filled(0),
      () => {
        st.write(int(0), st.read(0));
        st.popTimes(int(1));
        st.settle(0);
      },
      () => st.underflow(int(0), () => st.popTimes(int(1))),
    );
  });
  // (destination): the alias of FSTP that moves nothing from an empty register, and raises nothing
  add('moveQuietly', ['i32'], [], ({ c, st, int }) => {
    c.if(st.filled(0), () => st.write(int(0), st.read(0)));
    st.pop();
    st.settle(0);
  });
  // (index): FXCH
  add('exchange', ['i32'], [], ({ c, st, int }) => {
    const swap = () => {
      const [a, b] = [st.read(0), st.read(int(0))];
      st.write(0, b);
      st.write(int(0), a);
    };
    c.if(i32.and(st.filled(0), st.filled(int(0))), () => {
      swap();
      st.settle(0);
      c.return();
    });
    c.if(i32.and(st.control, IE), () => {
      c.if(i32.eqz(st.filled(0)), () => st.write(0, INDEFINITE));
      c.if(i32.eqz(st.filled(int(0))), () => st.write(int(0), INDEFINITE));
      swap();
    });
    st.settle(STACK_UNDERFLOW);
  });
  // (index, condition): FCMOVcc
  add('moveIf', ['i32', 'i32'], [], ({ c, st, int }) => {
    c.if(
      i32.and(st.filled(0), st.filled(int(0))),
      () => {
        c.if(int(1), () => st.write(0, st.read(int(0))));
      },
      () => st.underflow(0),
    );
  });
  // (and, xor): FABS and FCHS, on the sign-and-exponent word
  add('sign', ['i32', 'i32'], [], ({ c, st, int }) => {
    c.if(
      st.filled(0),
      () => {
        const [significand, signExponent] = st.read(0);
        st.write(0, [significand, i32.xor(i32.and(signExponent, int(0)), int(1))]);
        st.settle(0);
      },
      () => st.underflow(0),
    );
  });
  // (index, pops): FFREE
  add('free', ['i32', 'i32'], [], ({ st, int }) => {
    st.free(int(0));
    st.popTimes(int(1));
  });
}

/** Stores a result unless an unmasked exception keeps it from being one. */
function finish(
  { c, st }: Body,
  target: I32 | number,
  value: Value80,
  flags: I32,
  pops: I32 | number = 0,
): void {
  c.if(i32.eqz(st.unmasked(flags, BEFORE)), () => {
    st.write(target, value);
    if (typeof pops !== 'number') st.popTimes(pops);
  });
  st.settle(flags);
}

function addArithmetic(add: Add, name: string, operation: Func): void {
  // (destination, a, b, pops)
  add(name, ['i32', 'i32', 'i32', 'i32'], [], (b) => {
    const { c, st, int } = b;
    c.if(
      i32.and(st.filled(int(1)), st.filled(int(2))),
      () => {
        const operands = [...st.read(int(1)), ...st.read(int(2))];
        const [significand, signExponent, flags] = call(c, operation, RESULT, ...operands, st.control);
        finish(b, int(0), [significand, signExponent], flags, int(3));
      },
      () => st.underflow(int(0), () => st.popTimes(int(3))),
    );
  });
  // (value, reversed): ST(0) and a memory operand
  add(`${name}Memory`, ['i64', 'i32', 'i32'], [], (b) => {
    const { c, st, int, long } = b;
    const [a, ae] = [c.local('i64'), c.local('i32')];
    const [m, me] = [c.var('i64', long(0)), c.var('i32', int(1))];
    c.if(
      st.filled(0),
      () => {
        const [significand, signExponent] = st.read(0);
        c.set(a, significand);
        c.set(ae, signExponent);
        c.if(int(2), () => {
          c.set(a, long(0));
          c.set(ae, int(1));
          c.set(m, significand);
          c.set(me, signExponent);
        });
        const [s, e, flags] = call(c, operation, RESULT, a.get, ae.get, m.get, me.get, st.control);
        finish(b, 0, [s, e], flags);
      },
      () => st.underflow(0),
    );
  });
}

/** ST(0), or ST(0) and ST(1), to ST(0). */
function addUnary(add: Add, f80: FloatLibrary['f80']): void {
  const replace = (name: string, cleared: number, inputs: 1 | 2, compute: (b: Body) => [I64, I32, I32]) =>
    add(name, [], [], (b) => {
      const { c, st } = b;
      c.if(
        inputs === 1 ? st.filled(0) : i32.and(st.filled(0), st.filled(16)),
        () => {
          const [significand, signExponent, flags] = compute(b);
          c.if(i32.eqz(st.unmasked(flags, BEFORE)), () => st.write(0, [significand, signExponent]));
          // C0 and C3 stay where there is no quotient whose bits they could be.
          const nan = i32.eq(i32.and(signExponent, 0x7fff), 0x7fff);
          const none = i32.or(nan, i32.ne(st.unmasked(flags, BEFORE), 0));
          st.settle(flags, cleared === ALL_CODES ? i32.select(none, C1 | C2, ALL_CODES) : cleared);
        },
        () => st.underflow(0, undefined, cleared & (C1 | C2)),
      );
    });
  const both =
    (func: Func) =>
    ({ c, st }: Body) =>
      call(c, func, RESULT, ...st.read(0), ...st.read(16), st.control);
  replace('sqrt', C1, 1, ({ c, st }) => call(c, f80.sqrt, RESULT, ...st.read(0), st.control));
  replace('roundToIntegral', C1, 1, ({ c, st }) =>
    call(c, f80.roundToIntegral, RESULT, ...st.read(0), st.control, x87Rounding(st.control)),
  );
  replace('scale', C1, 2, both(f80.scale));
  replace('prem', ALL_CODES, 2, both(f80.prem));
  replace('prem1', ALL_CODES, 2, both(f80.prem1));
  add('extract', [], [], ({ c, st }) => {
    const filled = c.let(st.filled(0));
    c.if(i32.or(i32.eqz(filled), st.filled(-16)), () => {
      c.if(i32.and(st.control, IE), () => {
        st.write(0, INDEFINITE);
        st.push(INDEFINITE);
      });
      st.settle(i32.select(filled, STACK_OVERFLOW, STACK_UNDERFLOW));
      c.return();
    });
    const results = ['i64', 'i32', 'i64', 'i32', 'i32'] as const;
    const [exponent, exponentSe, significand, se, flags] = call(c, f80.extract, results, ...st.read(0));
    c.if(i32.eqz(st.unmasked(flags, BEFORE)), () => {
      st.write(0, [exponent, exponentSe]);
      st.push([significand, se]);
    });
    st.settle(flags);
  });
  add('examine', [], [], ({ c, st }) => {
    const [significand, signExponent] = st.read(0);
    const code = c.let(c.call('i32', f80.examine, significand, signExponent));
    const empty = i32.or(i32.and(code, C1), C3 | C0);
    st.settle(i32.select(st.filled(0), code, empty), ALL_CODES);
  });
}

/** FCOM's condition codes, C3 C2 C0, for a relation; the same word shifted is ZF, PF and CF. */
function codes(relation: I32): I32 {
  const unordered = i32.select(i32.eq(relation, Relation.Unordered), CONDITION, 0);
  const equal = i32.select(i32.eq(relation, Relation.Equal), C3, unordered);
  return i32.select(i32.eq(relation, Relation.Less), C0, equal);
}

function addComparisons(add: Add, f80: FloatLibrary['f80']): void {
  const compare = ({ c, st }: Body, other: Value80, signaling: I32 | number, pops: I32): void => {
    const args: Array<In<Type>> = [...st.read(0), ...other, st.control, signaling];
    const [relation, flags] = call(c, f80.compare, ['i32', 'i32'], ...args);
    c.if(i32.eqz(st.unmasked(flags, BEFORE)), () => st.popTimes(pops));
    st.settle(i32.or(flags, codes(relation)), ALL_CODES);
  };
  const empty = ({ c, st }: Body, pops: I32): void => {
    c.if(i32.and(st.control, IE), () => st.popTimes(pops));
    st.settle(STACK_UNDERFLOW | CONDITION, ALL_CODES);
  };
  // (index, signaling, pops): FCOM and FUCOM
  add('compare', ['i32', 'i32', 'i32'], [], (b) => {
    const { c, st, int } = b;
    c.if(
      i32.and(st.filled(0), st.filled(int(0))),
      () => compare(b, st.read(int(0)), int(1), int(2)),
      () => empty(b, int(2)),
    );
  });
  // (value, pops): FCOM with memory, and FTST
  add('compareMemory', ['i64', 'i32', 'i32'], [], (b) => {
    const { c, st, int, long } = b;
    c.if(
      st.filled(0),
      () => compare(b, [long(0), int(1)], 1, int(2)),
      () => empty(b, int(2)),
    );
  });
  // (index, signaling, pops) → ZF, PF and CF in their places: FCOMI and FUCOMI, which leave C1 alone
  add('compareFlags', ['i32', 'i32', 'i32'], ['i32'], (b) => {
    const { c, st, int } = b;
    c.if(i32.eqz(i32.and(st.filled(0), st.filled(int(0)))), () => {
      c.if(i32.and(st.control, IE), () => st.popTimes(int(2)));
      st.settle(STACK_UNDERFLOW);
      c.return(i32.const(CONDITION >> 8));
    });
    const args: Array<In<Type>> = [...st.read(0), ...st.read(int(0)), st.control, int(1)];
    const [relation, flags] = call(c, f80.compare, ['i32', 'i32'], ...args);
    c.if(i32.eqz(st.unmasked(flags, BEFORE)), () => st.popTimes(int(2)));
    st.settle(flags, 0);
    c.return(i32.shr_u(codes(relation), 8));
  });
}

/** What is stored, with flags; the registers change in `stored`, after memory has been written. */
function addStores(add: Add, f80: FloatLibrary['f80']): void {
  const UNDERFLOW = i32.const(STACK_UNDERFLOW);
  const emptyGives = ({ c, st }: Body, ...value: ReadonlyArray<I32 | I64>) =>
    c.if(i32.eqz(st.filled(0)), () => c.return(...value, UNDERFLOW));
  add('store32', [], ['i32', 'i32'], (b) => {
    emptyGives(b, i32.const(0xffc0_0000 | 0));
    b.c.return(...call(b.c, f80.store32, ['i32', 'i32'], ...b.st.read(0), b.st.control));
  });
  add('store64', [], ['i64', 'i32'], (b) => {
    emptyGives(b, i64.const(0xfff8n << 48n));
    b.c.return(...call(b.c, f80.store64, ['i64', 'i32'], ...b.st.read(0), b.st.control));
  });
  add('store80', [], ['i64', 'i32', 'i32'], (b) => {
    emptyGives(b, ...INDEFINITE);
    b.c.return(...b.st.read(0), i32.const(0));
  });
  // (truncating, width) → (integer, flags)
  add('toInteger', ['i32', 'i32'], ['i64', 'i32'], (b) => {
    const { c, st, int } = b;
    emptyGives(b, i64.sub(0, i64.shl(1, i64.extend_u(i32.sub(int(1), 1)))));
    const rounding = i32.select(int(0), Rounding.Zero, x87Rounding(st.control));
    c.return(...call(c, f80.toInteger, ['i64', 'i32'], ...st.read(0), st.control, rounding, int(1)));
  });
  add('toDecimal', [], ['i64', 'i32', 'i32'], (b) => {
    emptyGives(b, i64.const(0xc000n << 48n), i32.const(0xffff));
    b.c.return(...call(b.c, f80.toDecimal, RESULT, ...b.st.read(0), b.st.control));
  });
  // (flags, pops): pops is 0 where nothing was stored
  add('stored', ['i32', 'i32'], [], ({ st, int }) => {
    st.popTimes(int(1));
    st.settle(int(0));
  });
}

/** Loads of constants round as the control word says (SDM 2, FLD1 …): [significand, exponent, change where it is
 * rounded up, change where it is rounded down]. */
export const CONSTANTS: Readonly<Record<string, readonly [bigint, number, number, number]>> = {
  fld1: [0x8000_0000_0000_0000n, 0x3fff, 0, 0],
  fldl2t: [0xd49a_784b_cd1b_8afen, 0x4000, 1, 0],
  fldl2e: [0xb8aa_3b29_5c17_f0bcn, 0x3fff, 0, -1],
  fldpi: [0xc90f_daa2_2168_c235n, 0x4000, 0, -1],
  fldlg2: [0x9a20_9a84_fbcf_f799n, 0x3ffd, 0, -1],
  fldln2: [0xb172_17f7_d1cf_79acn, 0x3ffe, 0, -1],
  fldz: [0n, 0, 0, 0],
};
