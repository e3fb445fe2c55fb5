/**
 * VEX forms of SSE instructions: what the SSE form does, done with a source apart from the destination, on one or two
 * 128-bit lanes, the rest of the destination cleared (SDM 1, 14.1.3 and 14.3; volume 2, 2.3).
 *
 * While a semantic function runs for a lane, an Env's reads and writes of vectors come here. Reading the first operand
 * gives the first source; what is written is kept until all lanes are done, so that faults of any come first.
 */
import type { Local } from '../emit/code.ts';
import {
  f32x4, f64x2, i32, i32x4, i64x2, v128, type Expr, type F32, type F64, type I32, type I64, type V128,
} from '../emit/expr.ts'; // prettier-ignore
import type { Env } from './env.ts';
import type { Operand } from './form.ts';
import type { Semantic } from './registry.ts';

/** What a form's VEX prefix says, beside the operand that VEX.vvvv names. */
export interface VexForm {
  /** Vector length in bytes. */
  readonly bytes: 16 | 32;
  /** The second operand is the first source; else the destination's old value is none. */
  readonly separate: boolean;
  /** The results of both lanes are the halves of one. */
  readonly narrow: boolean;
}

const LANE = 16;

/** How far an eight-bit immediate's bits for the upper lane lie above those for the lower one. */
const IMMEDIATE_STEP: Readonly<Record<string, number>> = {
  blendps: 4,
  blendpd: 2,
  shufpd: 2,
  vpermilpd: 2,
  mpsadbw: 3,
  vperm2f128: 4,
  vpermq: 4,
};

export class VexOperands {
  /** As the SSE form has them. */
  readonly operands: readonly Operand[];
  readonly #e: Env;
  readonly #form: VexForm;
  readonly #target: Operand | undefined;
  readonly #source: Operand | undefined;
  readonly #step: number;
  readonly #aligned: boolean;
  #lane: 0 | 1 = 0;
  /** Host address of the memory operand, read once. */
  #host: I32 | undefined;
  /** Whole operands read once for both lanes. */
  readonly #shared = new Map<Operand, Expr>();
  #flags: Local<'i32'> | undefined;
  readonly #written: Array<{ operand: Operand; lane: 0 | 1; bytes: number; value: Expr }> = [];

  constructor(e: Env, form: VexForm, name: string) {
    const [target, source, ...others] = e.form.operands;
    this.#e = e;
    this.#form = form;
    this.#target = target;
    this.#source = form.separate ? source : target;
    this.operands = form.separate && target !== undefined ? [target, ...others] : e.form.operands;
    this.#aligned = name === 'movaps';
    this.#step = IMMEDIATE_STEP[name] ?? 0;
  }

  get lanes(): ReadonlyArray<0 | 1> {
    return this.#form.bytes === LANE ? [0] : [0, 1];
  }
  /** The one being done. */
  get lane(): 0 | 1 {
    return this.#lane;
  }
  move(lane: 0 | 1): void {
    this.#lane = lane;
  }

  /** The immediate's bits for this lane. */
  immediate(imm: I32): I32 {
    return this.#lane === 0 ? imm : i32.shr_u(imm, this.#step);
  }

  /** `bytes` of an operand at this lane. Bound. */
  read(operand: Operand, bytes: number): Expr {
    return this.#part(operand, bytes, LANE * this.#lane, this.#form.bytes === LANE ? bytes : 2 * LANE);
  }

  /** The part of a narrower operand that this lane widens: `bytes` of it, zero-extended. Bound. */
  readLow(operand: Operand, bytes: 2 | 4 | 8): V128 {
    const at = bytes * this.#lane;
    const { c } = this.#e;
    if (operand.kind !== 'mem') return c.let(this.#e.registerLow(operand, bytes, at));
    return c.let(this.#e.loadLow(this.#memory(bytes * this.lanes.length), bytes, at));
  }

  /** The lowest element of an operand as a number of its type. Bound. */
  readFloat<T extends 'f32' | 'f64'>(operand: Operand, type: T): Expr<T> {
    const { c } = this.#e;
    const from = this.#sourceOf(operand);
    if (from.kind !== 'mem') return c.let(this.#e.registerFloat(from, type));
    return c.let(this.#e.loadFloat(this.#memory(type === 'f32' ? 4 : 8), type));
  }

  /** The low `bytes` of an operand, the same for every lane. Bound. */
  shared(operand: Operand, bytes: number): Expr {
    let value = this.#shared.get(operand);
    if (value === undefined) {
      value = this.#part(operand, bytes, 0, bytes);
      this.#shared.set(operand, value);
    }
    return value;
  }

  /** A lane of an operand as long as the form's vectors. Bound. */
  half(operand: Operand, lane: 0 | 1): V128 {
    return this.#part(operand, LANE, LANE * lane, this.#form.bytes) as V128;
  }

  #part(operand: Operand, bytes: number, at: number, memoryBytes: number): Expr {
    const { c } = this.#e;
    const from = this.#sourceOf(operand);
    if (from.kind !== 'mem') return c.let(this.#e.readRegister(from, bytes, at));
    return c.let(this.#e.loadHost(this.#memory(memoryBytes), bytes, at));
  }

  /** Where the first operand is read from. */
  #sourceOf(operand: Operand): Operand {
    return operand === this.#target && this.#source !== undefined ? this.#source : operand;
  }

  /** Host address of the memory operand, to read from. */
  #memory(bytes: number): I32 {
    this.#host ??= this.#hostOf(bytes, false);
    return this.#host;
  }

  /** Host address of the memory operand. Only aligned moves mind where it is (SDM 1, 14.9). */
  #hostOf(bytes: number, write: boolean): I32 {
    const linear = this.#e.c.let(this.#e.memLinear());
    if (this.#aligned) this.#e.requireAligned(linear, this.#form.bytes);
    return this.#e.host(linear, bytes, write);
  }

  /** Keeps what this lane writes; fewer than 16 bytes of a register go with the rest of the first source. */
  write(operand: Operand, bytes: number, value: Expr): void {
    const { c } = this.#e;
    if (operand.kind !== 'mem' && bytes < LANE) {
      const before = this.read(operand, LANE) as V128;
      this.write(operand, LANE, replaceLowest(before, value));
      return;
    }
    this.#written.push({ operand, lane: this.#lane, bytes, value: c.let(value) });
  }

  /** Keeps the exceptions of a lane where there is another. @returns false where there is not */
  keepFlags(flags: I32): boolean {
    if (this.#form.bytes === LANE) return false;
    const { c } = this.#e;
    this.#flags ??= c.local('i32');
    c.set(this.#flags, i32.or(this.#flags.get, flags));
    return true;
  }
  /** Before the first lane: a handler's or region's local may have been used before. */
  begin(): void {
    if (this.#form.bytes === LANE) return;
    this.#flags = this.#e.c.local('i32');
    this.#e.c.set(this.#flags, 0);
  }

  /** After the last lane: exceptions, stores, registers. @param settle reports exceptions */
  finish(settle: (flags: I32) => void): void {
    const { c } = this.#e;
    const flags = this.#flags?.get;
    if (flags !== undefined) c.unlikely(flags, () => settle(flags));
    const stores = this.#written.filter(({ operand }) => operand.kind === 'mem');
    const [first] = stores;
    if (first !== undefined) {
      const host = this.#hostOf(first.bytes * stores.length, true);
      for (const { lane, bytes, value } of stores) this.#e.storeRaw(i32.add(host, LANE * lane), bytes, value);
      this.#e.finishStore(host);
    }
    const registers = this.#written.filter(({ operand }) => operand.kind !== 'mem');
    for (const { operand, lane, value } of registers) {
      const write = (v: V128, at: number) => this.#e.writeRegister(operand, v, LANE, false, at);
      const other = registers.find((each) => each.operand === operand && each.lane === 1);
      if (lane === 1 && this.#form.narrow) continue;
      if (lane === 0 && this.#form.narrow && other !== undefined) {
        const joined = v128.shuffle(
          value as V128,
          other.value as V128,
          Array.from({ length: 16 }, (_, i) => (i < 8 ? i : i + 8)),
        );
        write(joined, 0);
      } else write(value as V128, LANE * lane);
      if (lane === 0 && (other === undefined || this.#form.narrow)) this.#e.clearUpper(operand);
    }
  }
}

/** A vector with another lowest element, of the value's type. */
export function replaceLowest(v: V128, value: Expr): V128 {
  switch (value.type) {
    case 'i32':
      return i32x4.replace(v, 0, value as I32);
    case 'i64':
      return i64x2.replace(v, 0, value as I64);
    case 'f32':
      return f32x4.replace(v, 0, value as F32);
    default:
      return f64x2.replace(v, 0, value as F64);
  }
}

/** Does the VEX form of what `semantic` does. @param settle reports the floating-point exceptions of both lanes */
export function onLanes(
  e: Env,
  form: VexForm,
  name: string,
  semantic: Semantic,
  settle: (e: Env, flags: I32) => void,
): void {
  const vex = new VexOperands(e, form, name);
  vex.begin();
  e.vex = vex;
  for (const lane of vex.lanes) {
    vex.move(lane);
    semantic(e);
  }
  e.vex = undefined;
  vex.finish((flags) => settle(e, flags));
}
