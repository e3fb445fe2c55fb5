/** Tier 0's environment: operands are found through the instruction's record. */
import { i32, i64, type Expr, type I32, type I64 } from '../emit/expr.ts';
import type { Code, Label, Local } from '../emit/code.ts';
import { JUMP_TARGETS, Mem, P, REC, REC_BYTES, S } from '../private.ts';
import { Env } from '../semantics/env.ts';
import type { FormContext, Operand } from '../semantics/form.ts';
import type { Runtime } from '../semantics/runtime.ts';

/** Parameters of a handler: vCPU state, record, budget left when the block was entered. */
export const HANDLER_PARAMS = ['i32', 'i32', 'i32'] as const;

/** Where forms go on that share a function. */
export interface Ways {
  /** A loop that goes on with whatever the record is then. */
  readonly again: Label;
  /** The end of a block behind which it goes on at `rip`. */
  readonly jumped: Label;
  readonly rip: Local<'i64'>;
}

export class RecordEnv extends Env {
  readonly #record: Local<'i32'>;
  readonly #budget: Local<'i32'>;
  readonly #handlerType: number;
  readonly #ways: Ways | undefined;

  /**
   * @param handlerType index of the handlers' signature in the module
   * @param ways undefined where it has a function of its own, which calls the next's
   */
  constructor(c: Code, form: FormContext, runtime: Runtime, handlerType: number, ways?: Ways) {
    super(c, form, runtime, c.param('i32', 0).get);
    this.#record = c.param('i32', 1);
    this.#budget = c.param('i32', 2);
    this.#handlerType = handlerType;
    this.#ways = ways;
  }

  override record(): I32 {
    return this.#record.get;
  }
  override budget(): I32 {
    return this.#budget.get;
  }

  override register(operand: Operand): { base: I32; offset: number } {
    if (operand.kind === 'fixed') return { base: this.cpu, offset: operand.offset };
    if (operand.kind !== 'reg') throw new Error(`operand of kind ${operand.kind} is no register`);
    return { base: i32.add(this.cpu, i32.load16_u(this.record(), REC[operand.slot])), offset: 0 };
  }
  override imm(): I32 {
    return i32.load(this.record(), REC.imm);
  }
  override imm64(): I64 {
    return i64.load(this.record(), REC.imm64);
  }
  override rip(): I64 {
    return this.#placed(REC.rip);
  }
  override nextRip(): I64 {
    return i64.add(this.rip(), i64.load8_u(this.record(), REC.length));
  }
  override segment(): I32 {
    return i32.load8_u(this.record(), REC.segment);
  }
  override target(): I64 {
    return this.#placed(REC.imm64);
  }

  /** A field of the record that is relative to the page of the code. */
  #placed(field: number): I64 {
    return i64.add(i64.load(this.record(), field), i64.load(this.cpu, P.codePage));
  }

  #field(at: number): I64 {
    return i64.load(i32.add(this.cpu, i32.load16_u(this.record(), at)), 0);
  }
  #displacement(): I64 {
    return i64.load32_s(this.record(), REC.disp);
  }

  /** Offset by way of base, index and displacement, not cut to an address size. */
  fullOffset(): I64 {
    const scaled = i64.shl(this.#field(REC.index), i64.load8_u(this.record(), REC.scale));
    return i64.add(i64.add(this.#field(REC.base), scaled), this.#displacement());
  }

  override memOffset(): I64 {
    switch (this.form.mem) {
      case Mem.BaseDisp:
        return i64.add(this.#field(REC.base), this.#displacement());
      case Mem.Full:
        return this.fullOffset();
      case Mem.RipRelative:
        return i64.add(this.rip(), this.#displacement());
      default:
        return i64.load(this.cpu, P.eaOffset);
    }
  }

  override memLinear(): I64 {
    switch (this.form.mem) {
      case Mem.Full:
        return i64.add(this.fullOffset(), this.segmentBase());
      case Mem.Record:
        return i64.load(this.cpu, P.ea);
      default:
        return this.memOffset();
    }
  }

  /** Base of the record's segment. */
  segmentBase(): I64 {
    return i64.load(i32.add(this.cpu, i32.shl(this.segment(), 3)), S.segBase);
  }

  /** The budget less the instructions of the block up to this one. */
  spent(): I32 {
    return i32.sub(this.budget(), i32.load8_u(this.record(), REC.ordinal));
  }

  /** Continues with the record at an address. */
  enter(record: I32, budget: I32): void {
    const { c } = this;
    if (this.#ways !== undefined) {
      c.set(this.#budget, budget);
      c.set(this.#record, record);
      c.br(this.#ways.again);
      return;
    }
    this.c.returnCallIndirect(this.#handlerType, i32.load(record, REC.handler), this.cpu, record, budget);
  }

  /** On to the next record. */
  next(): void {
    const record = this.record();
    if (this.#ways !== undefined) {
      this.c.set(this.#record, i32.add(record, REC_BYTES));
      this.c.br(this.#ways.again);
      return;
    }
    this.c.returnCallIndirect(
      this.#handlerType,
      i32.load(record, REC_BYTES + REC.handler),
      this.cpu,
      i32.add(record, REC_BYTES),
      this.budget(),
    );
  }

  // Where the TLB says that memory is written, nothing has to be carried through to anywhere.
  override storeLinear(linear: I64, bytes: number, value: Expr, stack = false): void {
    const { c } = this;
    const bound = c.let(value);
    const lin = c.let(linear);
    const { hit, address } = this.fastHost(lin, bytes, true);
    const straight = () => this.storeRaw(address, bytes, bound);
    const around = () => this.storeHost(this.slowHost(lin, bytes, true, stack), bytes, bound);
    c.if(hit, straight, around, 'likely');
  }

  override jumpDirect(): void {
    const c = this.c;
    if (!this.form.chained) {
      this.jump(this.target());
      return;
    }
    const left = c.let(this.spent());
    const chain = c.let(i32.load(this.record(), REC.chain));
    c.block((other) => {
      c.brIf(other, i32.eqz(chain), 'unlikely');
      c.brIf(other, i32.lt_s(left, 0), 'unlikely');
      this.enter(chain, left);
    });
    c.returnCall(this.runtime.link, this.cpu, this.record(), left);
  }

  override jumpComputed(rip: I64): void {
    // For regions, which go on to where it has led before.
    const at = i32.and(i32.shr_u(this.record(), 2), (JUMP_TARGETS - 1) << 3);
    this.c.store('i64', i32.add(i32.load(this.cpu, P.jumpTargets), at), rip);
    this.jump(rip);
  }

  override jump(rip: I64): void {
    const { c } = this;
    if (this.#ways !== undefined) {
      c.set(this.#ways.rip, rip);
      c.set(this.#budget, this.spent());
      c.br(this.#ways.jumped);
      return;
    }
    this.c.returnCall(this.runtime.lookup, this.cpu, rip, this.spent());
  }

  override again(): void {
    const c = this.c;
    const left = c.let(i32.sub(this.budget(), 1));
    c.unlikely(i32.lt_s(left, 0), () => {
      c.store('i32', this.cpu, 0, P.exitCode);
      c.returnCall(this.runtime.leave, this.cpu, this.record(), left);
    });
    this.enter(this.record(), left);
  }

  override leaveNext(): void {
    this.c.returnCall(this.runtime.leaveNext, this.cpu, this.record(), this.budget());
  }
}
