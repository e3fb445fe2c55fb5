/**
 * Where an instruction's meaning meets the code it becomes.
 *
 * A semantic function says what an instruction does, once, in terms of an {@link Env}: operands to read and
 * write, flags, jumps, faults. The env decides where operands live: in tier 0 (interpreter/record-env.ts)
 * they are found through the instruction's record, in tier 1 they are known.
 *
 * The one rule of order: everything that can fault or leave (memory reads, memory writes, checks) comes
 * before the first register or flag is written, because a left instruction is run again from its start.
 */
import type { Code, Label, Local } from '../emit/code.ts';
import {
  f32, f64, i32, i32x4, i64, lift, v128, type Expr, type I32, type I64, type In, type Type, type V128,
} from '../emit/expr.ts'; // prettier-ignore
import { P, S, SlowInfo, TLB_ENTRY, xmmOffset } from '../private.ts';
import { atomicModify } from './atomic.ts';
import type { FlagSource } from './flag-source.ts';
import type { FormContext, Operand, Size } from './form.ts';
import { complexNumber } from './registry.ts';
import type { Runtime } from './runtime.ts';
import { tlbEntry } from './tlb-entry.ts';
import type { VexOperands } from './vex.ts';

/** What an access at a host address is for: true writes, 'modify' reads what is there first, 'lock' does both
 * at once as far as other vCPUs can see. */
export type HostAccess = boolean | 'modify' | 'lock';

export abstract class Env {
  readonly c: Code;
  readonly #form: FormContext;
  readonly runtime: Runtime;
  /** Address of the vCPU's state. */
  readonly cpu: I32;
  /** While a function runs for a lane of a VEX form: where its vectors are. */
  vex: VexOperands | undefined;

  constructor(c: Code, form: FormContext, runtime: Runtime, cpu: I32) {
    this.c = c;
    this.#form = form;
    this.runtime = runtime;
    this.cpu = cpu;
  }

  /** What the form fixes. */
  get form(): FormContext {
    return this.#form;
  }

  // What each tier supplies.

  /** State-relative address (an i32 to add constant offsets to) of a register operand. */
  abstract register(operand: Operand): { base: I32; offset: number };
  /** The immediate, sign-extended. */
  abstract imm(): I32;
  abstract imm64(): I64;
  /** Address of this instruction, and of the next (not truncated to the mode's width). */
  abstract rip(): I64;
  abstract nextRip(): I64;
  /** Linear address of the modrm memory operand (checked, where segments are). */
  abstract memLinear(): I64;
  /** Offset of the memory operand within its segment, zero-extended from the address size. */
  abstract memOffset(): I64;
  /** Number of the memory operand's segment register. */
  abstract segment(): I32;
  /** Direct target of a relative jump. */
  abstract target(): I64;
  /** The record argument of runtime functions. */
  abstract record(): I32;
  abstract budget(): I32;
  /** Goes to the direct target, which has been checked. */
  abstract jumpDirect(): void;
  /** Goes to a computed address (truncated to the mode's width) that has been checked. */
  abstract jump(rip: I64): void;

  /** The same for a near jump or call, which may well go where it went before. */
  jumpComputed(rip: I64): void {
    this.jump(rip);
  }
  /** Runs the instruction again (a repeated string operation), interruptibly. */
  abstract again(): void;
  /** Leaves behind this instruction, for the interpreter to look at events and state anew. */
  abstract leaveNext(): void;

  // Leaving.

  get size(): Size {
    return this.form.size;
  }
  get bits(): number {
    return this.form.size * 8;
  }
  get operands(): readonly Operand[] {
    return this.vex?.operands ?? this.form.operands;
  }

  /** Leaves; the exit code has been set by a runtime function. */
  leave(): void {
    this.c.cold();
    this.c.returnCall(this.runtime.leave, this.cpu, this.record(), this.budget());
  }

  /** Leaves with an exception. Nothing must have been written before. */
  raise(vector: number, errorCode: In<'i32'> = 0): void {
    this.c.cold();
    this.c.returnCall(this.runtime.raise, this.cpu, this.record(), this.budget(), vector, errorCode);
  }

  /** Raises #GP(0) where a near jump may not go: beyond CS, or not canonical (SDM 2, JMP). */
  checkTarget(rip: I64): void {
    const biased = i64.add(rip, i64.load(this.cpu, P.ripBias));
    this.c.if(i64.gt_u(biased, i64.load(this.cpu, P.ripLimit)), () => this.raise(13, 0));
  }

  /** The same for the direct target; one on the same page needs no check. */
  checkDirect(): void {
    if (!this.form.chained) this.checkTarget(this.target());
  }

  /** Does the whole instruction in TypeScript (system/cpu.ts) and goes on or leaves as it says. */
  complex(name: string): void {
    this.complexNumbered(i32.const(complexNumber(name)));
  }

  /** The same by number. */
  complexNumbered(number: I32): void {
    const result = this.c.let(this.c.call('i32', this.runtime.complex, this.record(), number));
    this.c.if(result, () =>
      this.c.returnCall(this.runtime.leaveComplex, this.cpu, this.record(), this.budget(), result),
    );
  }

  // State fields.

  field32(name: keyof typeof S): I32 {
    return i32.load(this.cpu, S[name]);
  }
  field64(name: keyof typeof S): I64 {
    return i64.load(this.cpu, S[name]);
  }
  setField32(name: keyof typeof S, value: In<'i32'>): void {
    this.c.store('i32', this.cpu, value, S[name]);
  }
  setField64(name: keyof typeof S, value: In<'i64'>): void {
    this.c.store('i64', this.cpu, value, S[name]);
  }

  // General registers, by number or by state offset. Tier 1 keeps them in locals and overrides these.

  /** `bytes` (1, 2, 4 → i32, zero-extended; 8 → i64) at an offset within the general registers. */
  readGpr(offset: number, bytes: Size): Expr {
    return this.#loadN(this.cpu, offset, bytes);
  }
  /** Writes there; 4 bytes clear the upper half where `extend` is set. */
  writeGpr(offset: number, value: Expr, bytes: Size, extend: boolean): void {
    if (bytes === 4 && extend) this.c.store('i64', this.cpu, i64.extend_u(value as I32), offset);
    else this.#storeN(this.cpu, offset, bytes, value);
  }

  gpr64(n: number): I64 {
    return this.readGpr(S.gpr + 8 * n, 8) as I64;
  }
  gpr32(n: number): I32 {
    return this.readGpr(S.gpr + 8 * n, 4) as I32;
  }
  gpr16(n: number): I32 {
    return this.readGpr(S.gpr + 8 * n, 2) as I32;
  }
  setGpr64(n: number, value: In<'i64'>): void {
    this.writeGpr(S.gpr + 8 * n, lift('i64', value), 8, false);
  }
  /** By the operand size: 64 whole, 32 zero-extended, 16 and 8 into the low part. */
  setGpr(n: number, value: Expr, size: Size = this.size): void {
    this.writeGpr(S.gpr + 8 * n, value, size, true);
  }
  /** Zero-extended; i64 for size 8, else i32. */
  gpr(n: number, size: Size = this.size): Expr {
    return this.readGpr(S.gpr + 8 * n, size);
  }

  // The two words of the arithmetic flags (see flags.ts). Tier 1 overrides these as well.

  flagsResult(): I64 {
    return i64.load(this.cpu, S.flagsRes);
  }
  flagsCarries(): I32 {
    return i32.load(this.cpu, S.flagsAux);
  }
  setFlagsResult(value: I64): void {
    this.c.store('i64', this.cpu, value, S.flagsRes);
  }
  setFlagsCarries(value: In<'i32'>): void {
    this.c.store('i32', this.cpu, value, S.flagsAux);
  }
  /** An operation's flags may be kept as its operands until somebody asks.
   * @returns false where they must be computed now */
  deferFlags(_source: FlagSource): boolean {
    return false;
  }
  /** A condition straight from deferred flags; undefined where it has to be computed from the flags. */
  deferredCondition(_code: number): I32 | undefined {
    return undefined;
  }
  /** Emits what sets the flags on one way through it and not on another. */
  flagsInBranch(body: () => void): void {
    body();
  }

  // Operands.

  /** Value type of general operands of this form. */
  get type(): 'i32' | 'i64' {
    return this.form.size === 8 ? 'i64' : 'i32';
  }

  /** A local of the value's type, to be changed with `c.assign`. */
  variable(value: Expr): Local<Type> {
    const local = this.c.local(value.type);
    this.c.assign(local, value);
    return local;
  }

  #loadN(base: I32, offset: number, bytes: number): Expr {
    switch (bytes) {
      case 1:
        return i32.load8_u(base, offset);
      case 2:
        return i32.load16_u(base, offset);
      case 4:
        return i32.load(base, offset);
      case 8:
        return i64.load(base, offset);
      default:
        return v128.load(base, offset);
    }
  }

  #storeN(base: I32, offset: number, bytes: number, value: Expr): void {
    const kind = bytes === 1 ? 'i32_8' : bytes === 2 ? 'i32_16' : value.type;
    this.c.store(kind, base, value as In<Type>, offset);
  }

  /** Reads raw bytes: 1, 2, 4 → i32 (zero-extended), 8 → i64, 16 → v128. Bound to a local. */
  readN(operand: Operand, bytes: number): Expr {
    if (
      this.vex !== undefined &&
      (operand.kind === 'mem' || operand.kind === 'reg' || operand.kind === 'fixed')
    )
      return this.vex.read(operand, bytes);
    switch (operand.kind) {
      case 'reg':
      case 'fixed':
        return this.c.let(this.readRegister(operand, bytes));
      case 'mem':
        return this.loadLinear(this.memLinear(), bytes);
      case 'imm':
        return this.#sized(this.imm(), bytes);
      case 'imm64':
        return bytes === 8 ? this.imm64() : i32.wrap(this.imm64());
      case 'const':
        return bytes === 8 ? i64.const(operand.value) : i32.const(operand.value);
    }
  }

  /** Reads a float or double of a vector register or memory. Bound. */
  readFloat<T extends 'f32' | 'f64'>(operand: Operand, type: T): Expr<T> {
    if (this.vex !== undefined) return this.vex.readFloat(operand, type);
    if (operand.kind !== 'mem') return this.c.let(this.registerFloat(operand, type));
    const load = (host: I32, offset: number) => this.loadFloat(host, type, offset);
    return this.loadBy(this.memLinear(), type === 'f32' ? 4 : 8, load);
  }

  #sized(imm: I32, bytes: number): Expr {
    if (bytes === 8) return i64.extend_s(imm);
    return bytes === 1 ? i32.and(imm, 0xff) : bytes === 2 ? i32.and(imm, 0xffff) : imm;
  }

  /** Writes raw bytes; no extension into the rest of a register. Memory must be written before registers. */
  writeN(operand: Operand, bytes: number, value: Expr): void {
    if (this.vex !== undefined) {
      this.vex.write(operand, bytes, value);
      return;
    }
    if (operand.kind === 'mem') {
      this.storeLinear(this.memLinear(), bytes, value);
      return;
    }
    this.writeRegister(operand, value, bytes, false);
  }

  /** Raw bytes of a register operand, from byte `at` of it. */
  readRegister(operand: Operand, bytes: number, at = 0): Expr {
    const { base, offset } = this.register(operand);
    return this.#loadN(base, offset + at, bytes);
  }
  /** Writes them; 4 bytes clear the rest of 8 where `extend` is set. */
  writeRegister(operand: Operand, value: Expr, bytes: number, extend: boolean, at = 0): void {
    const { base, offset } = this.register(operand);
    if (bytes === 4 && extend) this.c.store('i64', base, i64.extend_u(value as I32), offset);
    else this.#storeN(base, offset + at, bytes, value);
  }
  /** The lowest element of a vector register as a number of its type; its bits stay what they are. */
  registerFloat<T extends 'f32' | 'f64'>(operand: Operand, type: T): Expr<T> {
    const { base, offset } = this.register(operand);
    return this.loadFloat(base, type, offset);
  }
  /** The low bytes of a vector register, zeros above. */
  registerLow(operand: Operand, bytes: 2 | 4 | 8, at = 0): V128 {
    const { base, offset } = this.register(operand);
    return this.loadLow(base, bytes, offset + at);
  }
  /** A half of the vector register of a number below 16. */
  vectorByNumber(number: I32, half: 0 | 1): V128 {
    return v128.load(i32.add(this.cpu, i32.shl(number, 5)), xmmOffset(0) + 16 * half);
  }
  /** Clears the upper 16 bytes of a vector register. */
  clearUpper(operand: Operand): void {
    this.writeRegister(operand, v128.zero, 16, false, 16);
  }

  /** Reads a general operand at the form's size, zero-extended. */
  read(operand: Operand, size: Size = this.size): Expr {
    return this.readN(operand, size);
  }

  /** Writes a general operand at the form's size; a 32-bit register write clears the upper half. */
  write(operand: Operand, value: Expr, size: Size = this.size): void {
    if (operand.kind === 'mem') this.writeN(operand, size, value);
    else this.writeRegister(operand, value, size, true);
  }

  /**
   * Reads an operand, computes, writes back; atomically where the form is locked.
   * @param compute from the old value (bound) to the new one; may be encoded more than once
   * @returns the old value, bound
   */
  modify(operand: Operand, compute: (old: Expr) => Expr, size: Size = this.size): Expr {
    if (operand.kind !== 'mem') {
      const old = this.read(operand, size);
      this.write(operand, compute(old), size);
      return old;
    }
    return this.modifyHost(this.host(this.memLinear(), size, this.modifying), compute, size);
  }

  /** The access of an operand that is read, computed with and written back. */
  get modifying(): HostAccess {
    return this.form.lock ? 'lock' : 'modify';
  }

  /** {@link modify} at a host address for writing. */
  modifyHost(address: I32, compute: (old: Expr) => Expr, size: Size = this.size): Expr {
    if (this.form.lock) return atomicModify(this, address, size, compute);
    const old = this.c.let(this.#loadN(address, 0, size));
    this.#storeN(address, 0, size, compute(old));
    this.finishStore(address);
    return old;
  }

  // Memory.

  /**
   * The host address at which `bytes` (up to 64) at a linear address can be read or written now. Leaves
   * with a page fault or a device access where they cannot. Bound. After a store through it,
   * {@link finishStore} must follow. `stack`: an implied stack access, for which a non-canonical address is
   * #SS instead of #GP. After a 'lock' access nothing may leave before finishStore.
   */
  host(linear: I64, bytes: number, write: HostAccess, stack = false): I32 {
    const c = this.c;
    const lin = c.let(linear);
    const address = c.local('i32');
    c.block((found: Label) => {
      const fast = this.fastHost(lin, bytes, write !== false);
      c.set(address, fast.address);
      c.brIf(found, fast.hit, 'likely');
      c.set(address, this.slowHost(lin, bytes, write, stack));
    });
    if (write === 'lock' && bytes > 1) {
      // No atomic instruction of the host does these.
      const split = bytes === 16 ? i32.eqz(this.bounced(address.get)) : i32.and(address.get, bytes - 1);
      c.unlikely(i32.and(i32.ne(split, 0), i32.load(this.cpu, P.shared)), () => {
        c.set(address, this.slowHost(lin, bytes, write, stack));
      });
    }
    return address.get;
  }

  /** Address of the TLB in use. */
  tlb(): I32 {
    return i32.load(this.cpu, P.tlb);
  }

  /** What the TLB has for an access (at a bound linear address): where it leads, if `hit`. */
  fastHost(lin: I64, bytes: number, write: boolean): { address: I32; hit: I32 } {
    const c = this.c;
    const entry = c.let(i32.add(this.tlb(), tlbEntry(i32.wrap(lin))));
    const tag = i64.load(entry, write ? TLB_ENTRY.write : TLB_ENTRY.read);
    // On the tag's page this is the offset on it. The tag comes first: V8 folds a load that comes second, but makes it as well.
    const within = c.let(i64.xor(tag, lin));
    const addend = c.let(i32.load(entry, TLB_ENTRY.addend));
    return {
      address: i32.add(i32.wrap(lin), addend),
      hit: i64.le_u(within, 4096 - bytes),
    };
  }

  /** The same where the TLB has nothing, in the end by way of TypeScript. Leaves where that cannot be. Bound. */
  slowHost(lin: I64, bytes: number, write: HostAccess, stack: boolean): I32 {
    const address = this.c.let(this.askSlow(lin, bytes, write, stack));
    this.c.unlikely(i32.eqz(address), () => this.leave());
    return address;
  }

  /** The same, but 0 where it cannot be, with the exit code set. */
  askSlow(lin: I64, bytes: number, write: HostAccess, stack: boolean): I32 {
    this.c.store('i64', this.cpu, lin, P.slowAddress);
    const modify = write === 'modify' || write === 'lock' ? SlowInfo.modify : 0;
    const lock = write === 'lock' ? SlowInfo.lock : 0;
    const info = bytes | (write ? SlowInfo.write : 0) | (stack ? SlowInfo.stack : 0) | modify | lock;
    return this.c.call('i32', this.runtime.slow, this.cpu, this.record(), info);
  }

  /** True where a host address is the bounce buffer. */
  bounced(address: I32): I32 {
    return i32.lt_u(i32.sub(address, i32.add(this.cpu, P.bounce)), 64);
  }

  /** Carries a store at a host address through to a device or a second page, where it has to be. */
  finishStore(address: I32): void {
    this.c.unlikely(this.bounced(address), () => {
      this.c.unlikely(i32.eqz(this.c.call('i32', this.runtime.commit)), () => this.leave());
    });
  }

  /** Ends an access to memory itself that others had to be kept out of, after its store. */
  finishHeld(): void {
    this.c.unlikely(i32.load(this.cpu, P.held), () => this.c.drop(this.c.call('i32', this.runtime.commit)));
  }

  /** Loads at a host address. */
  loadHost(address: I32, bytes: number, offset = 0): Expr {
    return this.#loadN(address, offset, bytes);
  }
  /** Loads a float or double there. */
  loadFloat<T extends 'f32' | 'f64'>(address: I32, type: T, offset = 0): Expr<T> {
    return (type === 'f32' ? f32.load(address, offset) : f64.load(address, offset)) as Expr<T>;
  }
  /** Loads 2, 4 or 8 bytes there into a vector, zeros above. */
  loadLow(address: I32, bytes: 2 | 4 | 8, offset = 0): V128 {
    if (bytes === 8) return v128.load64_zero(address, offset);
    if (bytes === 4) return v128.load32_zero(address, offset);
    return i32x4.replace(v128.zero, 0, i32.load16_u(address, offset));
  }

  /** Stores at a host address that is known to be guest memory. */
  storeRaw(address: I32, bytes: number, value: Expr, offset = 0): void {
    this.#storeN(address, offset, bytes, value);
  }

  /** Stores at a host address, wherever that leads. */
  storeHost(address: I32, bytes: number, value: Expr): void {
    this.#storeN(address, 0, bytes, value);
    this.finishStore(address);
  }

  /** Loads 1, 2, 4, 8 or 16 bytes at a linear address. Bound. */
  loadLinear(linear: I64, bytes: number, stack = false): Expr {
    return this.loadBy(linear, bytes, (host, offset) => this.#loadN(host, offset, bytes), stack);
  }

  /** Loads in a given way, which may be encoded more than once. Bound. */
  loadBy<T extends Type>(
    linear: I64,
    bytes: number,
    load: (host: I32, offset: number) => Expr<T>,
    stack = false,
  ): Expr<T> {
    return this.c.let(load(this.host(linear, bytes, false, stack), 0));
  }

  storeLinear(linear: I64, bytes: number, value: Expr, stack = false): void {
    const bound = this.c.let(value);
    const address = this.host(linear, bytes, true, stack);
    this.#storeN(address, 0, bytes, bound);
    this.finishStore(address);
  }

  /** Host address of the modrm memory operand. */
  memHost(bytes: number, write: boolean): I32 {
    return this.host(this.memLinear(), bytes, write);
  }

  /** Raises #GP(0) unless the linear address is a multiple of `bytes` (a power of two). */
  requireAligned(linear: I64, bytes: number): void {
    this.c.if(i32.and(i32.wrap(linear), bytes - 1), () => this.raise(13, 0));
  }

  /** Reads a 16-byte operand, which in memory must be aligned unless said otherwise (SDM 1, 4.1.1). */
  readV(operand: Operand, aligned = true): V128 {
    if (operand.kind !== 'mem' || this.vex !== undefined) return this.readN(operand, 16) as V128;
    const linear = this.c.let(this.memLinear());
    if (aligned) this.requireAligned(linear, 16);
    return this.loadLinear(linear, 16) as V128;
  }

  writeV(operand: Operand, value: V128, aligned = true): void {
    if (operand.kind !== 'mem' || this.vex !== undefined) {
      this.writeN(operand, 16, value);
      return;
    }
    const linear = this.c.let(this.memLinear());
    if (aligned) this.requireAligned(linear, 16);
    this.storeLinear(linear, 16, value);
  }

  /**
   * Linear address of `offset` (zero-extended to 64 bits) in a segment, for implied operands. Where
   * segments are checked, #SS(0) for the stack segment and #GP(0) for the others is raised.
   * @param segment number, known or from the record
   */
  linear(segment: number | I32, offset: I64, bytes: number, write: boolean): I64 {
    const mode = this.form.address;
    return this.linearIn(mode === '64' || mode === '32in64', segment, offset, bytes, write);
  }

  /** As {@link linear}, for either kind of mode. */
  linearIn(flat: boolean, segment: number | I32, offset: I64, bytes: number, write: boolean): I64 {
    const c = this.c;
    if (flat && typeof segment === 'number' && segment < 4) return offset;
    const at = (size: number): I32 =>
      typeof segment === 'number'
        ? i32.add(this.cpu, segment * size)
        : i32.add(this.cpu, i32.mul(segment, size));
    if (flat) return i64.add(offset, i64.load(c.let(at(8)), S.segBase));
    const off = c.let(offset);
    const bounds = c.let(at(4));
    const lo = i64.load32_u(bounds, write ? S.segWriteLo : S.segReadLo);
    const hi = i64.load32_u(bounds, write ? S.segWriteHi : S.segReadHi);
    c.unlikely(i32.or(i64.lt_u(off, lo), i64.gt_u(i64.add(off, bytes - 1), hi)), () => {
      if (typeof segment === 'number') this.raise(segment === 2 ? 12 : 13, 0);
      else this.raiseDynamic(i32.select(i32.eq(segment, 2), 12, 13));
    });
    return i64.and(i64.add(off, i64.load(c.let(at(8)), S.segBase)), 0xffff_ffffn);
  }

  /**
   * Linear address `delta` bytes from the modrm memory operand, of forms whose address record makes no
   * check (`nocheck`); the sum wraps as the address size does.
   */
  memLinearAt(delta: I64 | number, bytes: number, write: boolean): I64 {
    const mode = this.form.address;
    const flat = mode === '64' || mode === '32in64';
    const sum = i64.add(this.memOffset(), delta);
    const offset = mode === '64' ? sum : i64.and(sum, mode === '16' ? 0xffff : 0xffff_ffffn);
    return this.linearIn(flat, this.segment(), offset, bytes, write);
  }

  /** Leaves with an exception whose vector is computed; error code 0. */
  raiseDynamic(vector: I32): void {
    this.c.cold();
    this.c.returnCall(this.runtime.raise, this.cpu, this.record(), this.budget(), vector, 0);
  }

  // The stack.

  #stackPointer(delta: number): I64 {
    const { stack } = this.form;
    if (stack === 8) return i64.add(this.gpr64(4), delta);
    if (stack === 4) return i64.extend_u(i32.add(this.gpr32(4), delta));
    return i64.extend_u(i32.and(i32.add(this.gpr16(4), delta), 0xffff));
  }

  /** Linear address `delta` bytes from the top of the stack, for an access of `bytes`. Bound. */
  stackLinear(delta: number, bytes: number, write: boolean): I64 {
    return this.c.let(this.linearIn(this.form.stack === 8, 2, this.#stackPointer(delta), bytes, write));
  }

  /** Moves the stack pointer, by the width of the stack. */
  addStackPointer(delta: number | I32): void {
    const { stack } = this.form;
    if (stack === 8)
      this.setGpr64(4, i64.add(this.gpr64(4), typeof delta === 'number' ? delta : i64.extend_s(delta)));
    else this.setGpr(4, i32.add(this.gpr32(4), delta), stack);
  }

  /** Pushes a value of 2, 4 (i32) or 8 (i64) bytes. */
  push(value: Expr, bytes: Size): void {
    this.storeLinear(this.stackLinear(-bytes, bytes, true), bytes, value, true);
    this.addStackPointer(-bytes);
  }

  /** Reads the top of the stack without moving the pointer. Bound. */
  top(bytes: Size, delta = 0): Expr {
    return this.loadLinear(this.stackLinear(delta, bytes, false), bytes, true);
  }
}
