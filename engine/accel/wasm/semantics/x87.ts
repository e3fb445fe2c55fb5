/**
 * The x87 instructions that are emitted code. Each waits for a pending exception, reads memory, notes itself for
 * FSTENV, and calls its function of x87-library.ts; stores write memory before registers change.
 *
 * Intel SDM volume 1, chapter 8; each instruction in volume 2.
 */
import type { Func } from '../emit/code.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import { call, ControlWord, FloatFlag } from '../float/format.ts';
import { S } from '../private.ts';
import { define } from './registry.ts';
import type { Env } from './env.ts';
import type { Operand } from './form.ts';
import { condition, setArithmeticFlags } from './flags.ts';
import { helper } from './sse-operand.ts';
import { CONSTANTS } from './x87-library.ts';
import { CONTROL_BITS, StatusWord, type Value80 } from './x87-registers.ts';
import { waitForException } from './x87-wait.ts';

const func = (e: Env, name: string): Func => helper(e, `x87.${name}`);

/** Notes the instruction and its memory operand: FOP, FIP and FDP (SDM 1, 8.1.8, 8.1.9). */
function track(e: Env, opcode: I32 | number, memory = false): void {
  e.setField32('fop', opcode);
  e.setField64('fip', e.rip());
  e.setField32('fcs', i32.load(e.cpu, S.segSelector + 4));
  if (!memory) return;
  e.setField64('fdp', e.memOffset());
  e.setField32('fds', i32.load(i32.add(e.cpu, i32.shl(e.segment(), 2)), S.segSelector));
}

/** FOP of an instruction D8 + `escape` with modrm.reg `extension`: the low opcode bits and modrm. */
const memoryOpcode = (e: Env, escape: number, extension: number): I32 =>
  i32.or((escape << 8) | (extension << 3), i32.and(e.imm(), 0xc7));

/** 16 i of the operand ST(i). Bound. */
function indexOf(e: Env, operand: Operand): I32 {
  const { base, offset } = e.register(operand);
  return e.c.let(i32.add(i32.sub(base, e.cpu), offset - S.fpr));
}

/** Defines an instruction whose modrm byte is known. */
function plain(name: string, escape: number, modrm: number, emit: (e: Env) => void): void {
  define(name, (e) => {
    waitForException(e);
    track(e, (escape << 8) | modrm);
    emit(e);
  });
}

/** Defines an instruction on ST(i); `first` is the modrm byte of ST(0). */
function onRegister(name: string, escape: number, first: number, emit: (e: Env, index: I32) => void): void {
  define(name, (e) => {
    waitForException(e);
    const index = indexOf(e, e.operands[0]!);
    track(e, i32.or((escape << 8) | first, i32.shr_u(index, 4)));
    emit(e, index);
  });
}

// Memory operands as 80-bit numbers.

type Reader = (e: Env, operand: Operand) => { value: Value80; flags: I32 };

const NONE = i32.const(0);

/** A number of 4 or 8 bytes through a conversion that gives no flags. */
function convert(e: Env, operand: Operand, bytes: 4 | 8, name: string): Value80 {
  return call(e.c, helper(e, name), ['i64', 'i32'], e.readN(operand, bytes));
}

/** An integer of 2, 4 or 8 bytes. */
function readInteger(e: Env, operand: Operand, bytes: 2 | 4 | 8): Value80 {
  const { base, offset } =
    operand.kind === 'mem' ? { base: e.memHost(bytes, false), offset: 0 } : e.register(operand);
  const load = bytes === 2 ? i64.load16_s : bytes === 4 ? i64.load32_s : i64.load;
  return call(e.c, helper(e, 'f80.extendInteger'), ['i64', 'i32'], e.c.let(load(base, offset)));
}

const real =
  (bytes: 4 | 8): Reader =>
  (e, operand) => ({
    value: convert(e, operand, bytes, bytes === 4 ? 'f80.widen32' : 'f80.widen64'),
    flags: NONE,
  });
const integer =
  (bytes: 2 | 4 | 8): Reader =>
  (e, operand) => ({ value: readInteger(e, operand, bytes), flags: NONE });
const loaded =
  (bytes: 4 | 8): Reader =>
  (e, operand) => {
    const load = helper(e, bytes === 4 ? 'f80.load32' : 'f80.load64');
    const [significand, signExponent, flags] = call(
      e.c,
      load,
      ['i64', 'i32', 'i32'],
      e.readN(operand, bytes),
    );
    return { value: [significand, signExponent], flags };
  };

/** Ten bytes: significand, or 16 decimal digits, and the rest. Bound. */
function readTen(e: Env): Value80 {
  const at = e.memHost(10, false);
  return [e.c.let(i64.load(at)), e.c.let(i32.load16_u(at, 8))];
}

// Arithmetic and comparison.

const OPERATIONS = ['add', 'mul', 'com', 'comp', 'sub', 'subr', 'div', 'divr'] as const;
const MEMORY_FORMS: ReadonlyArray<readonly [prefix: string, suffix: string, escape: number, read: Reader]> = [
  ['f', '_m32', 0, real(4)],
  ['f', '_m64', 4, real(8)],
  ['fi', '_m32', 2, integer(4)],
  ['fi', '_m16', 6, integer(2)],
];

for (const [extension, operation] of OPERATIONS.entries()) {
  const reversed = operation.endsWith('r') ? 1 : 0;
  const base = operation.slice(0, 3);
  const pops = operation === 'comp' ? 1 : 0;
  for (const [prefix, suffix, escape, read] of MEMORY_FORMS) {
    define(`${prefix}${operation}${suffix}`, (e) => {
      waitForException(e);
      const { value } = read(e, e.operands[0]!);
      track(e, memoryOpcode(e, escape, extension), true);
      if (base === 'com') e.c.run(func(e, 'compareMemory'), e.cpu, ...value, pops);
      else e.c.run(func(e, `${base}Memory`), e.cpu, ...value, reversed);
    });
  }
  if (base === 'com') {
    onRegister(`f${operation}_st`, 0, 0xc0 | (extension << 3), (e, index) => {
      e.c.run(func(e, 'compare'), e.cpu, index, 1, pops);
    });
    continue;
  }
  onRegister(`f${operation}_st`, 0, 0xc0 | (extension << 3), (e, index) => {
    const operands = reversed ? [index, 0] : [0, index];
    e.c.run(func(e, base), e.cpu, 0, ...operands, 0);
  });
  // With ST(i) as the destination the reversed opcodes change places.
  const row = extension < 4 ? extension : extension ^ 1;
  for (const [name, escape, times] of [
    [`f${operation}_sti`, 4, 0],
    [`f${operation}p_sti`, 6, 1],
  ] as const) {
    onRegister(name, escape, 0xc0 | (row << 3), (e, index) => {
      const operands = reversed ? [0, index] : [index, 0];
      e.c.run(func(e, base), e.cpu, index, ...operands, times);
    });
  }
}

onRegister('fucom', 5, 0xe0, (e, index) => e.c.run(func(e, 'compare'), e.cpu, index, 0, 0));
onRegister('fucomp', 5, 0xe8, (e, index) => e.c.run(func(e, 'compare'), e.cpu, index, 0, 1));
plain('fucompp', 2, 0xe9, (e) => e.c.run(func(e, 'compare'), e.cpu, 16, 0, 2));
plain('fcompp', 6, 0xd9, (e) => e.c.run(func(e, 'compare'), e.cpu, 16, 1, 2));
plain('ftst', 1, 0xe4, (e) => e.c.run(func(e, 'compareMemory'), e.cpu, 0, 0, 0));

for (const [name, escape, first, signaling, pops] of [
  ['fucomi', 3, 0xe8, 0, 0],
  ['fcomi', 3, 0xf0, 1, 0],
  ['fucomip', 7, 0xe8, 0, 1],
  ['fcomip', 7, 0xf0, 1, 1],
] as const) {
  onRegister(name, escape, first, (e, index) => {
    const word = e.c.call('i32', func(e, 'compareFlags'), e.cpu, index, signaling, pops);
    setArithmeticFlags(e, word);
  });
}

// Operations on ST(0), and on ST(0) and ST(1).

for (const [name, modrm, function_] of [
  ['fxam', 0xe5, 'examine'],
  ['fxtract', 0xf4, 'extract'],
  ['fprem1', 0xf5, 'prem1'],
  ['fprem', 0xf8, 'prem'],
  ['fsqrt', 0xfa, 'sqrt'],
  ['frndint', 0xfc, 'roundToIntegral'],
  ['fscale', 0xfd, 'scale'],
] as const) {
  plain(name, 1, modrm, (e) => e.c.run(func(e, function_), e.cpu));
}
plain('fchs', 1, 0xe0, (e) => e.c.run(func(e, 'sign'), e.cpu, 0xffff, 0x8000));
plain('fabs', 1, 0xe1, (e) => e.c.run(func(e, 'sign'), e.cpu, 0x7fff, 0));
plain('fnop', 1, 0xd0, () => {});

// Loads.

const LOADS: ReadonlyArray<readonly [name: string, escape: number, extension: number, read: Reader]> = [
  ['fld_m32', 1, 0, loaded(4)],
  ['fld_m64', 5, 0, loaded(8)],
  ['fld_m80', 3, 5, (e) => ({ value: readTen(e), flags: NONE })],
  ['fild_m16', 7, 0, integer(2)],
  ['fild_m32', 3, 0, integer(4)],
  ['fild_m64', 7, 5, integer(8)],
  [
    'fbld',
    7,
    4,
    (e) => ({ value: call(e.c, helper(e, 'f80.fromDecimal'), ['i64', 'i32'], ...readTen(e)), flags: NONE }),
  ],
];
for (const [name, escape, extension, read] of LOADS) {
  define(name, (e) => {
    waitForException(e);
    const { value, flags } = read(e, e.operands[0]!);
    track(e, memoryOpcode(e, escape, extension), true);
    e.c.run(func(e, 'push'), e.cpu, ...value, flags);
  });
}
onRegister('fld_st', 1, 0xc0, (e, index) => e.c.run(func(e, 'pushRegister'), e.cpu, index));

for (const [i, [name, [significand, signExponent, up, down]]] of Object.entries(CONSTANTS).entries()) {
  plain(name, 1, 0xe8 + i, (e) => {
    const rounding = i32.and(i32.shr_u(e.field32('fcw'), ControlWord.RoundShift), 3);
    // Down and toward zero are 1 and 3; all constants are positive.
    const downward = i64.select(i32.and(rounding, 1), BigInt(down), 0);
    const change = i64.select(i32.eq(rounding, 2), BigInt(up), downward);
    const value = up === 0 && down === 0 ? i64.const(significand) : i64.add(significand, change);
    e.c.run(func(e, 'push'), e.cpu, value, signExponent, 0);
  });
}

// Stores.

/** Exceptions that keep a store from being made where they are not masked. */
const NOT_STORED = FloatFlag.IE | FloatFlag.OE | FloatFlag.UE;

interface Store {
  readonly name: string;
  readonly escape: number;
  readonly extension: number;
  readonly bytes: 2 | 4 | 8 | 10;
  readonly pops: 0 | 1;
  /** The value to store, of ten bytes in two parts, and flags. */
  compute(e: Env): readonly [I32 | I64, I32] | readonly [I64, I32, I32];
}

function defineStore({ name, escape, extension, bytes, pops, compute }: Store): void {
  define(name, (e) => {
    waitForException(e);
    // Faults of memory come before those of the operation, whether it stores or not.
    const at = e.memHost(bytes, true);
    const result = compute(e);
    const flags = result.length === 3 ? result[2] : result[1];
    const masks = i32.xor(e.field32('fcw'), -1);
    const stops = e.c.let(i32.and(i32.and(flags, masks), NOT_STORED));
    e.c.if(i32.eqz(stops), () => {
      e.storeRaw(at, bytes === 10 ? 8 : bytes, result[0]);
      if (result.length === 3) e.storeRaw(i32.add(at, 8), 2, result[1]);
      e.finishStore(at);
    });
    track(e, memoryOpcode(e, escape, extension), true);
    e.c.run(func(e, 'stored'), e.cpu, flags, pops === 0 ? 0 : i32.eqz(stops));
  });
}

for (const [name, escape, extension, pops] of [
  ['fst_m32', 1, 2, 0],
  ['fstp_m32', 1, 3, 1],
] as const) {
  const compute: Store['compute'] = (e) => call(e.c, func(e, 'store32'), ['i32', 'i32'], e.cpu);
  defineStore({ name, escape, extension, pops, bytes: 4, compute });
}
for (const [name, escape, extension, pops] of [
  ['fst_m64', 5, 2, 0],
  ['fstp_m64', 5, 3, 1],
] as const) {
  const compute: Store['compute'] = (e) => call(e.c, func(e, 'store64'), ['i64', 'i32'], e.cpu);
  defineStore({ name, escape, extension, pops, bytes: 8, compute });
}
for (const [name, escape, extension, function_] of [
  ['fstp_m80', 3, 7, 'store80'],
  ['fbstp', 7, 6, 'toDecimal'],
] as const) {
  const compute: Store['compute'] = (e) => call(e.c, func(e, function_), ['i64', 'i32', 'i32'], e.cpu);
  defineStore({ name, escape, extension, pops: 1, bytes: 10, compute });
}
for (const [name, escape, extension, pops, bytes, truncates] of [
  ['fist_m16', 7, 2, 0, 2, 0],
  ['fistp_m16', 7, 3, 1, 2, 0],
  ['fist_m32', 3, 2, 0, 4, 0],
  ['fistp_m32', 3, 3, 1, 4, 0],
  ['fistp_m64', 7, 7, 1, 8, 0],
  ['fisttp_m16', 7, 1, 1, 2, 1],
  ['fisttp_m32', 3, 1, 1, 4, 1],
  ['fisttp_m64', 5, 1, 1, 8, 1],
] as const) {
  const compute: Store['compute'] = (e) => {
    const [value, flags] = call(e.c, func(e, 'toInteger'), ['i64', 'i32'], e.cpu, truncates, 8 * bytes);
    return [bytes === 8 ? value : i32.wrap(value), flags];
  };
  defineStore({ name, escape, extension, pops, bytes, compute });
}
onRegister('fst_st', 5, 0xd0, (e, index) => e.c.run(func(e, 'move'), e.cpu, index, 0));
onRegister('fstp_st', 5, 0xd8, (e, index) => e.c.run(func(e, 'move'), e.cpu, index, 1));
onRegister('fstp_quiet', 1, 0xd8, (e, index) => e.c.run(func(e, 'moveQuietly'), e.cpu, index));

// Moves within the stack.

onRegister('fxch', 1, 0xc8, (e, index) => e.c.run(func(e, 'exchange'), e.cpu, index));
onRegister('ffree', 5, 0xc0, (e, index) => e.c.run(func(e, 'free'), e.cpu, index, 0));
onRegister('ffreep', 7, 0xc0, (e, index) => e.c.run(func(e, 'free'), e.cpu, index, 1));
for (const [i, name] of ['b', 'e', 'be', 'u'].entries()) {
  // Condition codes 2 (B), 4 (E), 6 (BE) and 10 (P), or the next for the negation.
  const code = i === 3 ? 10 : 2 * i + 2;
  for (const [prefix, escape, negated] of [
    ['fcmov', 2, 0],
    ['fcmovn', 3, 1],
  ] as const) {
    onRegister(prefix + name, escape, 0xc0 | (i << 3), (e, index) => {
      e.c.run(func(e, 'moveIf'), e.cpu, index, condition(e, code + negated));
    });
  }
}

/** FINCSTP and FDECSTP: TOP alone. */
function moveTop(name: string, modrm: number, by: number): void {
  plain(name, 1, modrm, (e) => {
    const fsw = e.c.let(e.field32('fsw'));
    const top = i32.and(i32.add(fsw, by << 11), StatusWord.Top);
    e.setField32('fsw', i32.or(i32.and(fsw, ~(StatusWord.Top | FloatFlag.C1)), top));
  });
}
moveTop('fdecstp', 0xf6, -1);
moveTop('fincstp', 0xf7, 1);

// Control. What clears an exception ends IGNNE#, which the board asserts for as long as there is FERR#.

define('fldcw', (e) => {
  waitForException(e);
  const word = e.readN(e.operands[0]!, 2) as I32;
  const fcw = e.c.let(i32.or(i32.and(word, CONTROL_BITS), 0x40));
  e.setField32('fcw', fcw);
  const fsw = e.c.let(i32.and(e.field32('fsw'), ~(StatusWord.ES | StatusWord.Busy)));
  const pending = e.c.let(i32.and(i32.and(fsw, i32.xor(fcw, -1)), FloatFlag.Exceptions));
  e.setField32('fsw', i32.or(fsw, i32.select(pending, StatusWord.ES | StatusWord.Busy, 0)));
  e.setField32('ignne', i32.select(pending, e.field32('ignne'), 0));
});
define('fnstcw', (e) => e.writeN(e.operands[0]!, 2, e.field32('fcw')));
define('fnstsw', (e) => e.writeN(e.operands[0]!, 2, e.field32('fsw')));
define('fnstsw_ax', (e) => e.setGpr(0, e.field32('fsw'), 2));
define('fnclex', (e) => {
  const cleared = FloatFlag.Exceptions | StatusWord.SF | StatusWord.ES | StatusWord.Busy;
  e.setField32('fsw', i32.and(e.field32('fsw'), ~cleared));
  e.setField32('ignne', 0);
});
define('fninit', (e) => {
  e.setField32('fcw', 0x37f);
  for (const field of ['fsw', 'ftw', 'fop', 'fcs', 'fds', 'ignne'] as const) e.setField32(field, 0);
  e.setField64('fip', 0);
  e.setField64('fdp', 0);
});
define('fsetpm', () => {});
define('fwait', (e) => waitForException(e));
