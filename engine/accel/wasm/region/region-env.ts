/**
 * Tier 1's environment: everything the record says is known while translating, general registers and flags
 * live in WebAssembly locals for the whole region, and flags are computed only where somebody may look.
 */
import { vcpuLayout, Seg } from '../../../vcpu/state.ts';
import type { Code, Label, Local } from '../emit/code.ts';
import {
  constant,
  i32,
  i64,
  type Expr,
  type I32,
  type I64,
  type In,
  type Type,
  type V128,
} from '../emit/expr.ts';
import { ADDRESS_MODES, Fixed } from '../interpreter/forms.ts';
import { Leave, Mem, P, REC, S, SlowInfo, xmmOffset } from '../private.ts';
import type { FlagSource } from '../semantics/flag-source.ts';
import { Env, type HostAccess } from '../semantics/env.ts';
import type { FormContext, Operand, Size } from '../semantics/form.ts';
import { firstEntry, returnSite } from '../semantics/jump-entry.ts';
import type { Runtime } from '../semantics/runtime.ts';
import type { RegionInstruction, RegionNode } from './graph.ts';
import { PageWindows } from './page-windows.ts';
import { RegionFlags } from './region-flags.ts';
import { RegionRegisters } from './region-registers.ts';
import { RegionVectors } from './region-vectors.ts';
import type { RecordReader } from './source.ts';
import { Untranslatable } from './untranslatable.ts';

/** Bits for a number of instructions: regions have fewer. */
export const BEFORE_BITS = 10;

/** Bits of a linear address with 4-level paging. */
const LINEAR_BITS = 48n;

const REGISTERS = 16;
const RSP = 4;
const GPR_END = S.gpr + 8 * REGISTERS;
const ZERO = vcpuLayout.offset.zero;

/** Where a region's body is left, by whoever has changed the flags and whoever finds them in the vCPU's state still: to go
 * on outside; and to have tier 0 go on with what is rare. One place for all of that is less to compile, and to hold in the
 * host's caches, than a way out of each. */
export interface WaysOut {
  readonly exit: Label;
  readonly exitUntouched: Label;
  readonly rare: Label;
  readonly rareUntouched: Label;
}

/** What all instructions of a region share. */
export class RegionState {
  readonly c: Code;
  readonly cpu: I32;
  readonly budget: Local<'i32'>;
  /** Where to go on, and the byte offset of the entry in the jump cache that may name the region there. */
  readonly rip: Local<'i64'>;
  readonly entry: Local<'i32'>;
  /** Gives each way out, and each call, a link's entry of its own. */
  readonly link: () => number;
  readonly flags: RegionFlags;
  readonly vectors: RegionVectors;
  #tlb: Local<'i32'> | undefined;
  #page: Local<'i64'> | undefined;
  readonly registers: RegionRegisters;
  /** Undefined where each access looks into the TLB by itself. */
  readonly windows: PageWindows | undefined;
  /** Where the region's body is left, once it is being emitted. */
  out: WaysOut | undefined;
  /** What tier 0 is to go on with: the instruction, relative to the region's page, and in the low {@link BEFORE_BITS} how many
   * of its node have been run. */
  readonly rareAt: Local<'i64'>;

  /**
   * @param uppers offsets of the upper halves of vector registers that 256-bit instructions name
   * @param changesFlags some instruction may
   * @param windows see {@link PageWindows}
   * @param link gives each way out, and each call, the offset of a link's entry in the jump cache
   */
  constructor(
    c: Code,
    uppers: ReadonlySet<number>,
    changesFlags: boolean,
    windows: boolean,
    link: () => number,
  ) {
    this.c = c;
    this.link = link;
    this.cpu = c.param('i32', 0).get;
    this.registers = new RegionRegisters(c, this.cpu);
    this.vectors = new RegionVectors(c, this.cpu, this.registers, uppers);
    this.budget = c.param('i32', 2);
    this.rip = c.local('i64');
    this.entry = c.local('i32');
    this.rareAt = c.local('i64');
    this.flags = new RegionFlags(c, changesFlags);
    this.windows = windows ? new PageWindows(c, () => this.tlb) : undefined;
  }

  /** A node's code begins here. @param inherits it stands where the one way to it does */
  begin(node: RegionNode, inherits: boolean): void {
    this.registers.begin(node);
    this.windows?.begin(inherits);
  }

  /** Emits what branches off to elsewhere, then is again where it was. */
  aside(emit: () => void): void {
    const flagsAside = (): void => this.flags.aside(emit);
    if (this.windows === undefined) flagsAside();
    else this.windows.aside(flagsAside);
  }

  /** Address of the TLB in use. */
  get tlb(): I32 {
    return this.#tlbLocal().get;
  }

  /** Where AC has changed. */
  changeTlb(): void {
    this.windows?.close();
    this.c.set(this.#tlbLocal(), i32.load(this.cpu, P.tlb));
  }

  #tlbLocal(): Local<'i32'> {
    if (this.#tlb === undefined) {
      const tlb = (this.#tlb = this.c.lasting('i32'));
      this.c.front(() => this.c.set(tlb, i32.load(this.cpu, P.tlb)));
    }
    return this.#tlb;
  }

  /** RIP of the first byte of the page the region was entered at, which its other RIPs are relative to. */
  get page(): I64 {
    if (this.#page === undefined) {
      const page = (this.#page = this.c.lasting('i64'));
      this.c.front(() => this.c.set(page, i64.and(i64.load(this.cpu, P.codePage), -4096n)));
    }
    return this.#page.get;
  }
}

export class RegionEnv extends Env {
  readonly #state: RegionState;
  readonly #reader: RecordReader;
  #at: RegionInstruction;
  #form: FormContext;
  /** Instructions of the node before this one: what the budget has not been charged yet. */
  #before = 0;
  /** Emits the way to the direct target; set for the last instruction of a node. */
  onTaken: () => void = () => {};
  /** The direct target is the region's. */
  staysInside = false;
  /** Emits the ways to known targets of a computed jump, the node having been charged. */
  onJump: (target: I64) => void = () => {};

  constructor(state: RegionState, runtime: Runtime, reader: RecordReader, first: RegionInstruction) {
    super(state.c, first.form, runtime, state.cpu);
    this.#state = state;
    this.#reader = reader;
    this.#at = first;
    this.#form = first.form;
  }

  /** Goes on to another instruction. @param before instructions of its node before it */
  move(to: RegionInstruction, before: number): void {
    this.#at = to;
    this.#form = to.form;
    this.#before = before;
  }

  /** Regions are 64-bit code, where a target must be canonical. What is so in 48 bits is so in 57 as well; of what is not,
   * tier 0 judges, which knows how wide linear addresses are. */
  override checkTarget(rip: I64): void {
    const above = i32.wrap(i64.shr_s(rip, LINEAR_BITS - 1n));
    this.c.unlikely(i32.gt_u(i32.add(above, 1), 1), () => this.#toTier0());
  }

  /** What is the region's is known to lie where code may be: its pages have been looked up. */
  override checkDirect(): void {
    if (!this.staysInside) super.checkDirect();
  }

  /** Emits what branches off to elsewhere, then is again where it was. */
  aside(emit: () => void): void {
    const [at, form, before] = [this.#at, this.#form, this.#before];
    this.#state.aside(emit);
    this.#at = at;
    this.#form = form;
    this.#before = before;
  }

  override get form(): FormContext {
    return this.#form;
  }

  // Where operands are.

  override record(): I32 {
    return i32.const(0);
  }
  override budget(): I32 {
    return this.#state.budget.get;
  }
  override imm(): I32 {
    return i32.const(this.#reader.words[(this.#at.record + REC.imm) >> 2]!);
  }
  override imm64(): I64 {
    return i64.const(this.#reader.quads[(this.#at.record + REC.imm64) >> 3]!);
  }
  override rip(): I64 {
    return this.placed(this.#at.rip);
  }
  override nextRip(): I64 {
    return this.placed(this.#at.rip + BigInt(this.#at.length));
  }
  override target(): I64 {
    return this.placed(this.relativeTarget());
  }
  /** The direct target, relative to the region's page. */
  relativeTarget(): bigint {
    return this.#reader.quads[(this.#at.record + REC.imm64) >> 3]!;
  }
  /** What a RIP relative to the region's page is now. */
  placed(rip: bigint): I64 {
    return i64.add(this.#state.page, rip);
  }
  override segment(): I32 {
    return i32.const(this.#reader.bytes[this.#operandRecord + REC.segment]!);
  }

  #offset(operand: Operand): number {
    if (operand.kind === 'fixed') return operand.offset;
    if (operand.kind !== 'reg') throw new Untranslatable();
    return this.#reader.halves[(this.#at.record + REC[operand.slot]) >> 1]!;
  }
  override register(operand: Operand): { base: I32; offset: number } {
    const offset = this.#offset(operand);
    // One that is a local would be looked for where it is not.
    if (offset < GPR_END || RegionVectors.holds(offset)) throw new Untranslatable();
    return { base: this.cpu, offset };
  }
  override readRegister(operand: Operand, bytes: number, at = 0): Expr {
    const offset = this.#offset(operand);
    if (offset < GPR_END) return this.readGpr(offset + at, bytes as Size);
    if (RegionVectors.holds(offset)) return this.#state.vectors.read(offset + at, bytes);
    return super.readRegister(operand, bytes, at);
  }
  override writeRegister(operand: Operand, value: Expr, bytes: number, extend: boolean, at = 0): void {
    const offset = this.#offset(operand);
    if (offset < GPR_END) this.writeGpr(offset + at, value, bytes as Size, extend);
    else if (RegionVectors.holds(offset)) this.#state.vectors.write(offset + at, value, bytes);
    else super.writeRegister(operand, value, bytes, extend, at);
  }
  override registerFloat<T extends 'f32' | 'f64'>(operand: Operand, type: T): Expr<T> {
    return this.#state.vectors.float(this.#offset(operand), type);
  }
  override registerLow(operand: Operand, bytes: 2 | 4 | 8, at = 0): V128 {
    const offset = this.#offset(operand);
    if (RegionVectors.holds(offset)) return this.#state.vectors.low(offset + at, bytes);
    return super.registerLow(operand, bytes, at);
  }
  override vectorByNumber(number: I32, half: 0 | 1): V128 {
    const known = constant(number);
    if (known === undefined) throw new Untranslatable();
    return this.#state.vectors.read(xmmOffset(Number(known)) + 16 * half, 16) as V128;
  }
  override clearUpper(operand: Operand): void {
    this.#state.vectors.clearUpper(this.#offset(operand) + 16);
  }

  override readGpr(offset: number, bytes: Size): Expr {
    const whole = this.#state.registers.general((offset - S.gpr) >> 3);
    if (bytes === 8) return whole;
    const low = i32.wrap(whole);
    if (bytes === 4) return low;
    const shifted = (offset & 7) === 0 ? low : i32.shr_u(low, 8);
    return i32.and(shifted, bytes === 1 ? 0xff : 0xffff);
  }
  override writeGpr(offset: number, value: Expr, bytes: Size, extend: boolean): void {
    const n = (offset - S.gpr) >> 3;
    const { registers } = this.#state;
    if (bytes === 8) registers.setGeneral(n, value as I64);
    else if (bytes === 4 && extend) registers.setGeneral(n, i64.extend_u(value as I32));
    else {
      const shift = (offset & 7) * 8;
      const mask = bytes === 1 ? 0xffn : bytes === 2 ? 0xffffn : 0xffff_ffffn;
      const part = i64.shl(i64.and(i64.extend_u(value as I32), mask), shift);
      const rest = i64.and(registers.general(n), ~(mask << BigInt(shift)));
      registers.setGeneral(n, i64.or(rest, part));
    }
  }

  // Memory operands.

  /** The record that says where the operand is. */
  get #operandRecord(): number {
    return this.#at.address >= 0 ? this.#at.address : this.#at.record;
  }

  #register64(field: number, at: number): I64 {
    const offset = this.#reader.halves[(at + field) >> 1]!;
    return offset === ZERO ? i64.const(0) : (this.readGpr(offset, 8) as I64);
  }

  override memOffset(): I64 {
    const reader = this.#reader;
    const at = this.#operandRecord;
    const disp = reader.words[(at + REC.disp) >> 2]!;
    if (this.#at.address >= 0) {
      const handler = reader.words[at >> 2]!;
      const quad = reader.quads[(at + REC.imm64) >> 3]!;
      if (handler === Fixed.Absolute) return i64.const(quad);
      if (handler === Fixed.Relative)
        return reader.bytes[at + REC.scale] === 0
          ? this.placed(quad)
          : i64.and(this.placed(quad), 0xffff_ffffn);
      const mode = ADDRESS_MODES[Math.floor((handler - Fixed.Address) / 3)];
      const sum = this.#sum(at, disp);
      return mode === '64' ? sum : i64.and(sum, 0xffff_ffffn);
    }
    return this.form.mem === Mem.RipRelative ? this.placed(this.#at.rip + BigInt(disp)) : this.#sum(at, disp);
  }

  #sum(at: number, disp: number): I64 {
    const base = this.#register64(REC.base, at);
    const full = this.#at.address >= 0 || this.form.mem === Mem.Full;
    if (!full) return i64.add(base, disp);
    const scaled = i64.shl(this.#register64(REC.index, at), this.#reader.bytes[at + REC.scale]!);
    return i64.add(i64.add(base, scaled), disp);
  }

  override memLinear(): I64 {
    const segment = this.#reader.bytes[this.#operandRecord + REC.segment]!;
    const offset = this.memOffset();
    if (segment !== Seg.FS && segment !== Seg.GS) return offset;
    return i64.add(offset, i64.load(this.cpu, S.segBase + 8 * segment));
  }

  // What is rare is tier 0's, from its instruction on, of which nothing has been written yet: accesses that the TLB has
  // nothing for, exceptions, what is done in TypeScript. A region has no room for the way of each.

  override tlb(): I32 {
    return this.#state.tlb;
  }

  override host(linear: I64, bytes: number, write: HostAccess): I32 {
    const { c } = this;
    const { address, hit } = this.fastHost(c.let(linear), bytes, write !== false);
    c.unlikely(i32.eqz(hit), () => this.#toTier0());
    const at = c.let(address);
    if (write === 'lock' && bytes > 1) {
      // No atomic instruction of the host does these.
      const split = bytes === 16 ? i32.const(1) : i32.and(at, bytes - 1);
      c.unlikely(i32.and(i32.ne(split, 0), i32.load(this.cpu, P.shared)), () => this.#toTier0());
    }
    return at;
  }

  // What the TLB has is memory itself, which nobody has been kept out of.

  override bounced(): I32 {
    return i32.const(0);
  }
  override finishHeld(): void {}

  /**
   * Makes an access (at a bound linear address).
   * @param use emits it, at a host address and an offset; once or twice
   */
  #access(lin: I64, bytes: number, write: boolean, use: (host: I32, offset: number) => void): void {
    const { c } = this;
    const { windows, registers } = this.#state;
    if (windows === undefined) {
      registers.save();
      const { address, hit } = this.fastHost(lin, bytes, write);
      c.unlikely(i32.eqz(hit), () => this.#toTier0());
      use(c.let(address), 0);
      return;
    }
    const info = bytes | (write ? SlowInfo.write : 0);
    const alone = (): I32 => c.call('i32', this.runtime.look, this.cpu, lin, info);
    const window = windows.find(lin, bytes, write);
    if (window === undefined) {
      registers.save();
      const { hit, host, retry } = windows.look(lin, bytes, write, alone);
      c.unlikely(i32.eqz(hit), () => {
        retry();
        this.#toTier0();
      });
      use(host, 0);
      return;
    }
    const otherwise = (): void => {
      const host = c.let(alone());
      c.unlikely(i32.eqz(host), () => this.#toTier0());
      use(host, 0);
    };
    c.if(window.base, () => use(window.base, window.offset), otherwise, 'likely');
  }

  /** Leaves before this instruction, with which tier 0 goes on. */
  #toTier0(): void {
    const { c } = this;
    c.cold();
    const { flags, registers, rareAt, out } = this.#state;
    registers.store();
    c.set(rareAt, (this.#at.rip << BigInt(BEFORE_BITS)) | BigInt(this.#before));
    if (!flags.untouched) flags.aside(() => flags.handOn('dynamic'));
    c.br(flags.untouched ? out!.rareUntouched : out!.rare);
  }

  override loadBy<T extends Type>(
    linear: I64,
    bytes: number,
    load: (host: I32, offset: number) => Expr<T>,
  ): Expr<T> {
    const { c } = this;
    let value: Local<Type> | undefined;
    this.#access(c.let(linear), bytes, false, (host, offset) => {
      const loaded = load(host, offset);
      c.assign((value ??= c.local(loaded.type)), loaded);
    });
    return value!.get as Expr<T>;
  }

  override storeLinear(linear: I64, bytes: number, value: Expr): void {
    const { c } = this;
    const bound = c.let(value);
    this.#access(c.let(linear), bytes, true, (host, offset) => this.storeRaw(host, bytes, bound, offset));
  }

  override modify(operand: Operand, compute: (old: Expr) => Expr, size: Size = this.size): Expr {
    if (operand.kind !== 'mem' || this.form.lock) return super.modify(operand, compute, size);
    const { c } = this;
    const at = c.local('i32');
    this.#access(c.let(this.memLinear()), size, true, (host, offset) => c.set(at, i32.add(host, offset)));
    const old = c.let(this.loadHost(at.get, size));
    this.storeRaw(at.get, size, compute(old));
    return old;
  }

  // Leaving.

  override raise(): void {
    this.#toTier0();
  }
  override raiseDynamic(): void {
    this.#toTier0();
  }

  /** Goes on at an address outside the region, the node's instructions having been charged.
   * @param rip as it is, or relative to the region's page */
  goOutside(rip: bigint | I64): void {
    const { c } = this;
    const state = this.#state;
    const { untouched } = state.flags;
    // Each way out says what the flags follow from; mostly nobody computes them.
    if (!untouched) state.flags.aside(() => state.flags.handOn('dynamic'));
    c.set(state.rip, typeof rip === 'bigint' ? this.placed(rip) : rip);
    c.set(state.entry, typeof rip === 'bigint' ? state.link() : this.#entryOf(rip));
    state.registers.store();
    c.br(untouched ? state.out!.exitUntouched : state.out!.exit);
  }

  /** Offset of the jump-cache entry that may be a computed target's. */
  #entryOf(rip: I64): I32 {
    if (this.#at.form.name !== 'ret') return firstEntry(this.c.let(i32.wrap(rip)));
    // The return address has been taken off the stack, and more where an immediate says so.
    const taken =
      8 + (this.form.operands.some(({ kind }) => kind === 'imm') ? Number(constant(this.imm())) : 0);
    return i32.load(this.#returnSite(taken));
  }

  /** Notes where a call comes back to, its return address being on the stack. */
  #call(): void {
    if (this.#at.form.name !== 'call' && this.#at.form.name !== 'callr') return;
    this.c.store('i32', this.#returnSite(0), this.#state.link());
  }

  /** Address of the return site of a return address so many bytes below the top of the stack. */
  #returnSite(below: number): I32 {
    const top = this.readGpr(S.gpr + 8 * RSP, 4) as I32;
    return i32.add(i32.load(this.cpu, P.returnSites), returnSite(i32.sub(top, below)));
  }

  /** Charges the node's instructions to the budget. */
  charge(instructions: number): void {
    const { budget } = this.#state;
    this.c.set(budget, i32.sub(budget.get, instructions));
  }

  override jumpDirect(): void {
    this.#call();
    this.onTaken();
  }
  override jump(rip: I64): void {
    const target = this.c.let(rip);
    this.#call();
    this.charge(this.#before + 1);
    this.onJump(target);
    this.goOutside(target);
  }
  override again(): void {
    throw new Untranslatable();
  }
  override leaveNext(): void {
    const { c } = this;
    const { flags, registers, budget } = this.#state;
    c.cold();
    c.store('i32', this.cpu, Leave.Changed, P.exitCode);
    registers.store();
    if (!flags.untouched)
      flags.aside(() => {
        flags.handOn('dynamic');
        flags.store(this.cpu);
      });
    const rip = i64.const(this.#at.rip + BigInt(this.#at.length));
    c.returnCall(this.runtime.leaveRegion, this.cpu, rip, i32.sub(budget.get, this.#before + 1));
  }
  override complexNumbered(): void {
    this.#toTier0();
  }

  // Flags.

  override deferFlags(source: FlagSource): boolean {
    return this.#state.flags.defer(source);
  }
  override flagsInBranch(body: () => void): void {
    this.#state.flags.inBranch(body);
  }
  override flagsResult(): I64 {
    return this.#state.flags.result();
  }
  override flagsCarries(): I32 {
    return this.#state.flags.carries();
  }
  override setFlagsResult(value: I64): void {
    this.#state.flags.setResult(value);
  }
  override setFlagsCarries(value: In<'i32'>): void {
    this.#state.flags.setCarries(value);
  }
  override deferredCondition(code: number): I32 | undefined {
    return this.#state.flags.condition(code);
  }
}
