/**
 * Function bodies: statements appended in order, expressions encoded where they are consumed, locals
 * handed out as needed, structured control flow as callbacks.
 */
import { ByteWriter } from './bytes.ts';
import {
  callExpr,
  callIndirectExpr,
  constant,
  lift,
  localGet,
  Pseudo,
  type Expr,
  type In,
  type Type,
} from './expr.ts';

const TYPE_CODE: Record<Type, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };

/** The encoding of a value type. */
export const typeCode = (type: Type): number => TYPE_CODE[type];

/** A function that can be called: its index in the module, or its place in table 1 with the index of its
 * type in the module, and its signature. */
export interface Func {
  readonly index: number;
  readonly table?: { readonly slot: number; readonly type: number };
  readonly params: readonly Type[];
  readonly results: readonly Type[];
}

/** A local that is assigned more than once. `get` is its value at the point of consumption. */
export interface Local<T extends Type> {
  readonly type: T;
  readonly index: number;
  readonly get: Expr<T>;
}

/** A branch target: the end of a block, or the start of a loop. */
export interface Label {
  readonly depth: number;
}

/** Locals that are of use for a while only. */
export type Temporaries = Array<Local<Type>>;

/** Which way a conditional branch mostly goes: what is rarely run is laid out, and its registers saved, away
 * from the usual way (WebAssembly branch hinting, metadata.code.branch_hint). */
export type Hint = 'likely' | 'unlikely';

/** A hint about the `if` or `br_if` at an offset, in bytes from the start of a function's locals. */
export interface BranchHint {
  readonly offset: number;
  readonly hint: Hint;
}

/** A hint while the body is being written. */
interface Hinted {
  readonly out: ByteWriter;
  readonly offset: number;
  hint: Hint | undefined;
}

/** A place whose statements are known only when everything else is. */
interface Later {
  readonly out: ByteWriter;
  readonly offset: number;
  /** How many structures it is within. */
  readonly depth: number;
  readonly emit: () => void;
}

type Store = 'i32' | 'i64' | 'f32' | 'f64' | 'v128' | 'i32_8' | 'i32_16' | 'i64_8' | 'i64_16' | 'i64_32';

const STORE: Record<Store, readonly [op: number, align: number, type: Type]> = {
  i32: [0x36, 2, 'i32'],
  i64: [0x37, 3, 'i64'],
  f32: [0x38, 2, 'f32'],
  f64: [0x39, 3, 'f64'],
  v128: [(0xfd << 16) | 0x0b, 4, 'v128'],
  i32_8: [0x3a, 0, 'i32'],
  i32_16: [0x3b, 1, 'i32'],
  i64_8: [0x3c, 0, 'i64'],
  i64_16: [0x3d, 1, 'i64'],
  i64_32: [0x3e, 2, 'i64'],
};

export class Code {
  #out = new ByteWriter();
  /** What comes before everything else. */
  readonly #front = new ByteWriter();
  readonly #params: readonly Type[];
  /** Those that are no parameters, by their indices. */
  readonly #locals: Local<Type>[] = [];
  readonly #free: Record<Type, Local<Type>[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] };
  #scope: Temporaries | undefined;
  #depth = 0;
  readonly #hints: Hinted[] = [];
  /** In the order of their places, in each of the two writers. */
  readonly #laters: Later[] = [];
  /** The `if` whose arm is being written, and what it means if that arm is rarely run. */
  #arm: { readonly branch: Hinted; readonly rare: Hint } | undefined;

  /** Is told what a local is given, before that is emitted; of what a call gives with other results nothing is known. */
  onSet: (local: Local<Type>, value: Expr | undefined) => void = () => {};

  constructor(params: readonly Type[]) {
    this.#params = params;
  }

  /** How many structures are open: what is written within one more may be run in some cases only. */
  get depth(): number {
    return this.#depth;
  }

  /** Parameter `index`. */
  param<T extends Type>(type: T, index: number): Local<T> {
    if (this.#params[index] !== type) throw new TypeError(`parameter ${index} is not ${type}`);
    return { type, index, get: localGet(type, index) };
  }

  /** A fresh local; zero until assigned (but see {@link scope}: a reused one holds its old value). */
  local<T extends Type>(type: T): Local<T> {
    const local = (this.#free[type].pop() as Local<T> | undefined) ?? this.lasting(type);
    this.#scope?.push(local);
    return local;
  }

  /** The same, but never one that was another before, nor reused. */
  lasting<T extends Type>(type: T): Local<T> {
    const index = this.#params.length + this.#locals.length;
    const local = { type, index, get: localGet(type, index) };
    this.#locals.push(local);
    return local;
  }

  /** Locals made inside `body` are reused after it. */
  scope(body: () => void): void {
    this.reuse(this.temporaries(body));
  }

  /** The locals made inside `body`, which are reused when {@link reuse} is told so. */
  temporaries(body: () => void): Temporaries {
    const outer = this.#scope;
    const mine: Temporaries = [];
    this.#scope = mine;
    body();
    this.#scope = outer;
    return mine;
  }

  reuse(temporaries: Temporaries): void {
    for (const local of temporaries) this.#free[local.type].push(local);
  }

  /** Evaluates now, into a fresh local; the value may then be used any number of times. Constants and
   * locals bound by `let` stay as they are. */
  let<T extends Type>(value: Expr<T>): Expr<T> {
    if (value.op === Pseudo.I32Const || value.op === Pseudo.I64Const) return value;
    const local = this.local(value.type);
    this.set(local, value as unknown as In<T>);
    return local.get;
  }

  /** Statements of `body` go to the start of the function, after those put there before. */
  front(body: () => void): void {
    const [out, depth, arm] = [this.#out, this.#depth, this.#arm];
    this.#out = this.#front;
    this.#depth = 0;
    this.#arm = undefined;
    body();
    this.#out = out;
    this.#depth = depth;
    this.#arm = arm;
  }

  /** Statements of `emit` go here, but are emitted when everything else has been: plain ones and branches, without structure. */
  later(emit: () => void): void {
    this.#laters.push({ out: this.#out, offset: this.#out.length, depth: this.#depth, emit });
  }

  /** A local with a first value. */
  var<T extends Type>(type: T, value: In<T>): Local<T> {
    const local = this.local(type);
    this.set(local, value);
    return local;
  }

  set<T extends Type>(local: Local<T>, value: In<T>): void {
    this.assign(local, lift(local.type, value));
  }

  /** {@link set} where the types are known to agree only at run time. @throws TypeError where they do not */
  assign(local: Local<Type>, value: Expr): void {
    if (value.type !== local.type) throw new TypeError(`${value.type} assigned to a local of ${local.type}`);
    this.onSet(local, value);
    this.#expr(value);
    this.#out.byte(0x21);
    this.#out.u32(local.index);
  }

  /** Stores `value` at `address` + `offset`; `i32_8` stores the low byte of an i32, and so on. */
  store(kind: Store, address: In<'i32'>, value: In<Type>, offset = 0): void {
    const [op, align, type] = STORE[kind];
    this.#expr(lift('i32', address));
    this.#expr(lift(type, value as In<typeof type>));
    this.#op(op);
    this.#out.u32(align);
    this.#out.u32(offset);
  }

  /** Sequentially consistent store of a naturally aligned i32 or i64. */
  atomicStore(kind: 'i32' | 'i64', address: In<'i32'>, value: In<'i32'> | In<'i64'>, offset = 0): void {
    this.#expr(lift('i32', address));
    this.#expr(lift(kind, value as In<typeof kind>));
    this.#op((0xfe << 16) | (kind === 'i32' ? 0x17 : 0x18));
    this.#out.u32(kind === 'i32' ? 2 : 3);
    this.#out.u32(offset);
  }

  fence(): void {
    this.#op((0xfe << 16) | 0x03);
    this.#out.byte(0);
  }

  /** memory.copy and memory.fill: bulk operations; the ranges must lie in memory. */
  memoryCopy(to: In<'i32'>, from: In<'i32'>, bytes: In<'i32'>): void {
    for (const e of [to, from, bytes]) this.#expr(lift('i32', e));
    this.#op((0xfc << 16) | 10);
    this.#out.byte(0);
    this.#out.byte(0);
  }
  memoryFill(to: In<'i32'>, value: In<'i32'>, bytes: In<'i32'>): void {
    for (const e of [to, value, bytes]) this.#expr(lift('i32', e));
    this.#op((0xfc << 16) | 11);
    this.#out.byte(0);
  }

  /** @param hint whether the condition mostly holds; otherwise {@link cold} in an arm says it */
  if(condition: In<'i32'>, then: () => void, otherwise?: () => void, hint?: Hint): void {
    const known = constant(lift('i32', condition));
    if (known !== undefined) {
      if (known !== 0n) then();
      else otherwise?.();
      return;
    }
    this.#expr(lift('i32', condition));
    const outer = this.#arm;
    const branch = this.#hint(hint);
    this.#out.byte(0x04);
    this.#out.byte(0x40);
    this.#depth++;
    this.#arm = { branch, rare: 'unlikely' };
    then();
    if (otherwise) {
      this.#out.byte(0x05);
      this.#arm = { branch, rare: 'likely' };
      otherwise();
    }
    this.#arm = outer;
    this.#depth--;
    this.#out.byte(0x0b);
  }

  /** An `if` whose body is rarely run. */
  unlikely(condition: In<'i32'>, then: () => void): void {
    this.if(condition, then, undefined, 'unlikely');
  }

  /** The arm of the innermost `if` that is being written is rarely run. */
  cold(): void {
    if (this.#arm !== undefined) this.#arm.branch.hint ??= this.#arm.rare;
  }

  /** A hint about the instruction that is written next. */
  #hint(hint: Hint | undefined): Hinted {
    const branch = { out: this.#out, offset: this.#out.length, hint };
    this.#hints.push(branch);
    return branch;
  }

  /** A block; branching to the label leaves it. */
  block(body: (leave: Label) => void): void {
    this.#structure(0x02, body);
  }

  /** A loop; branching to the label starts the next round, falling off the end leaves it. */
  loop(body: (again: Label) => void): void {
    this.#structure(0x03, body);
  }

  #structure(op: number, body: (label: Label) => void): void {
    this.#out.byte(op);
    this.#out.byte(0x40);
    this.#depth++;
    body({ depth: this.#depth });
    this.#depth--;
    this.#out.byte(0x0b);
  }

  br(label: Label): void {
    this.#out.byte(0x0c);
    this.#out.u32(this.#depth - label.depth);
  }

  brIf(label: Label, condition: In<'i32'>, hint?: Hint): void {
    this.#expr(lift('i32', condition));
    this.#hint(hint);
    this.#out.byte(0x0d);
    this.#out.u32(this.#depth - label.depth);
  }

  /** Branches to `labels[index]`, or to `otherwise` beyond them. */
  brTable(index: In<'i32'>, labels: readonly Label[], otherwise: Label): void {
    this.#expr(lift('i32', index));
    this.#out.byte(0x0e);
    this.#out.u32(labels.length);
    for (const label of labels) this.#out.u32(this.#depth - label.depth);
    this.#out.u32(this.#depth - otherwise.depth);
  }

  return(...values: Expr[]): void {
    for (const value of values) this.#expr(value);
    this.#out.byte(0x0f);
  }

  unreachable(): void {
    this.#out.byte(0x00);
  }

  /** A call for its value, as an expression: encoded (and made) where it is consumed. */
  call<T extends Type>(type: T, func: Func, ...args: Array<In<Type>>): Expr<T> {
    if (func.results[0] !== type) throw new TypeError(`function ${func.index} does not return ${type}`);
    const values = this.#arguments(func, args);
    if (func.table) return callIndirectExpr(type, func.table.type, [...values, lift('i32', func.table.slot)]);
    return callExpr(type, func.index, values);
  }

  /** Encodes a call to a function, whose arguments have been encoded. @param tail as a tail call */
  #callTo(func: Func, tail: boolean): void {
    if (func.table) {
      this.#expr(lift('i32', func.table.slot));
      this.#out.byte(tail ? 0x13 : 0x11);
      this.#out.u32(func.table.type);
      this.#out.u32(1);
    } else {
      this.#out.byte(tail ? 0x12 : 0x10);
      this.#out.u32(func.index);
    }
  }

  /** A call made now; results are dropped. */
  run(func: Func, ...args: Array<In<Type>>): void {
    for (const arg of this.#arguments(func, args)) this.#expr(arg);
    this.#callTo(func, false);
    for (let i = 0; i < func.results.length; i++) this.#out.byte(0x1a);
  }

  /** A call made now with several results, each bound to a local. */
  callMulti(func: Func, ...args: Array<In<Type>>): Array<Local<Type>> {
    for (const arg of this.#arguments(func, args)) this.#expr(arg);
    this.#callTo(func, false);
    const locals = func.results.map((type) => this.local(type));
    for (const local of locals.toReversed()) {
      this.onSet(local, undefined);
      this.#out.byte(0x21);
      this.#out.u32(local.index);
    }
    return locals;
  }

  /** Tail call. */
  returnCall(func: Func, ...args: Array<In<Type>>): void {
    for (const arg of this.#arguments(func, args)) this.#expr(arg);
    this.#callTo(func, true);
  }

  /** Tail call through table 0. @param type index of the signature in the module */
  returnCallIndirect(type: number, index: In<'i32'>, ...args: Expr[]): void {
    for (const arg of args) this.#expr(arg);
    this.#expr(lift('i32', index));
    this.#out.byte(0x13);
    this.#out.u32(type);
    this.#out.u32(0);
  }

  drop(value: Expr): void {
    this.#expr(value);
    this.#out.byte(0x1a);
  }

  #arguments(func: Func, args: Array<In<Type>>): Expr[] {
    if (args.length !== func.params.length) {
      throw new TypeError(`function ${func.index} takes ${func.params.length} arguments, not ${args.length}`);
    }
    return args.map((arg, i) => {
      const type = func.params[i]!;
      const e = lift(type, arg as In<typeof type>);
      if (e.type !== type) throw new TypeError(`argument ${i} is ${e.type}, not ${type}`);
      return e;
    });
  }

  #op(op: number): void {
    if (op < 0x100) {
      this.#out.byte(op);
      return;
    }
    this.#out.byte(op >>> 16);
    this.#out.u32(op & 0xffff);
  }

  #expr(e: Expr): void {
    if (e.a !== undefined) {
      this.#expr(e.a);
      if (e.b !== undefined) {
        this.#expr(e.b);
        if (e.c !== undefined) this.#expr(e.c);
      }
    }
    if (e.args !== undefined) for (const arg of e.args) this.#expr(arg);
    const out = this.#out;
    this.#op(e.op);
    switch (e.op) {
      case Pseudo.I32Const:
        out.i32(Number(e.imm));
        return;
      case Pseudo.I64Const:
        out.i64(BigInt(e.imm));
        return;
      case Pseudo.F32Const:
        out.f32(Number(e.imm));
        return;
      case Pseudo.F64Const:
        out.f64(Number(e.imm));
        return;
      case Pseudo.LocalGet:
      case Pseudo.GlobalGet:
      case Pseudo.Call:
        out.u32(Number(e.imm));
        return;
      case Pseudo.CallIndirect:
        out.u32(Number(e.imm));
        out.byte(1);
        return;
    }
    if (e.op >= 0x28 && e.op <= 0x35) {
      out.u32(e.align);
      out.u32(Number(e.imm));
      return;
    }
    const prefix = e.op >>> 16;
    const sub = e.op & 0xffff;
    if (prefix === 0xfe || (prefix === 0xfd && (sub <= 0x0a || sub === 0x5c || sub === 0x5d))) {
      out.u32(e.align);
      out.u32(Number(e.imm));
    } else if (prefix === 0xfd && (sub === 0x0c || sub === 0x0d)) {
      out.append(e.bytes!);
    } else if (prefix === 0xfd && sub >= 0x15 && sub <= 0x22) {
      out.byte(Number(e.imm));
    }
  }

  /** Appends the encoded body with its locals, as the code section has it. Nothing can be emitted any more.
   * @returns the hints about its branches */
  finish(body: ByteWriter): readonly BranchHint[] {
    const start = body.length;
    const [front, main] = [this.#front, this.#out].map((out) => this.#filled(out)) as [Filled, Filled];
    const runs: Array<[count: number, type: Type]> = [];
    for (const { type } of this.#locals) {
      const last = runs.at(-1);
      if (last?.[1] === type) last[0]++;
      else runs.push([1, type]);
    }
    body.u32(runs.length);
    for (const [count, type] of runs) {
      body.u32(count);
      body.byte(TYPE_CODE[type]);
    }
    const hints: BranchHint[] = [];
    for (const { whole, hinted } of [front, main]) {
      for (const { offset, hint } of hinted) hints.push({ offset: offset + body.length - start, hint });
      body.appendWriter(whole);
    }
    body.byte(0x0b);
    return hints;
  }

  /** What a writer has been given, with what was to come later, and the hints about it in order. */
  #filled(out: ByteWriter): Filled {
    const whole = new ByteWriter();
    const hinted: BranchHint[] = [];
    const hints = this.#hints.filter((at) => at.out === out).toSorted((a, b) => a.offset - b.offset);
    let done = 0;
    let next = 0;
    const upTo = (end: number): void => {
      for (; next < hints.length && hints[next]!.offset < end; next++) {
        const { offset, hint } = hints[next]!;
        if (hint !== undefined) hinted.push({ offset: offset - done + whole.length, hint });
      }
      whole.appendWriter(out, done, end);
      done = end;
    };
    for (const later of this.#laters) {
      if (later.out !== out) continue;
      upTo(later.offset);
      this.#out = whole;
      this.#depth = later.depth;
      later.emit();
    }
    upTo(out.length);
    return { whole, hinted };
  }
}

/** All that one writer has, and its hints. */
interface Filled {
  readonly whole: ByteWriter;
  readonly hinted: readonly BranchHint[];
}
