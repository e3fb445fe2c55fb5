/** Tier 0's environment: operands are found through the instruction's record. */
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import type { Code, Local } from '../emit/code.ts';
import { JUMP_TARGETS, Mem, P, REC, REC_BYTES, S } from '../private.ts';
import { Env } from '../semantics/env.ts';
import type { FormContext, Operand } from '../semantics/form.ts';
import type { Runtime } from '../semantics/runtime.ts';
import { countEntry } from './entry-count.ts';

/** Parameters of a handler: vCPU state, record, budget left when the block was entered. A region has no use for the record,
 * and is given 0 by whoever has its handler from the jump cache, and the vCPU's state again by another region. */
export const HANDLER_PARAMS = ['i32', 'i32', 'i32'] as const;

/** RIP of a record's instruction. */
export const ripOf = (cpu: I32, record: I32): I64 =>
  i64.add(i64.load32_u(record, REC.rip), i64.load(cpu, P.codePage));

/** Goes on with a handler that may be a region's, which then has this much of the budget. @param type of handlers */
export function enterHandler(c: Code, type: number, handler: I32, cpu: I32, record: I32, budget: I32): void {
  c.store('i32', cpu, budget, P.regionsSince);
  c.returnCallIndirect(type, handler, cpu, record, budget);
}

export class RecordEnv extends Env {
  readonly #record: Local<'i32'>;
  readonly #budget: Local<'i32'>;
  readonly #handlerType: number;

  /** @param handlerType index of the handlers' signature in the module */
  constructor(c: Code, form: FormContext, runtime: Runtime, handlerType: number) {
    super(c, form, runtime, c.param('i32', 0).get);
    this.#record = c.param('i32', 1);
    this.#budget = c.param('i32', 2);
    this.#handlerType = handlerType;
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
    return ripOf(this.cpu, this.record());
  }
  override nextRip(): I64 {
    return i64.add(this.rip(), i64.load8_u(this.record(), REC.length));
  }
  override segment(): I32 {
    return i32.load8_u(this.record(), REC.segment);
  }
  override target(): I64 {
    return i64.add(this.imm64(), i64.load(this.cpu, P.codePage));
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
    enterHandler(this.c, this.#handlerType, i32.load(record, REC.handler), this.cpu, record, budget);
  }

  /** On to the next record, where no region begins. */
  next(): void {
    const record = this.record();
    this.c.returnCallIndirect(
      this.#handlerType,
      i32.load(record, REC_BYTES + REC.handler),
      this.cpu,
      i32.add(record, REC_BYTES),
      this.budget(),
    );
  }

  override jumpDirect(): void {
    const c = this.c;
    if (!this.form.chained) {
      this.jump(this.target());
      return;
    }
    const left = c.let(this.spent());
    const chain = c.let(i32.load(this.record(), REC.chain));
    c.if(
      i32.and(i32.ne(chain, 0), i32.ge_s(left, 0)),
      () => {
        countEntry(c, chain, () => c.returnCall(this.runtime.hot, this.cpu, chain, left));
        this.enter(chain, left);
      },
      undefined,
      'likely',
    );
    c.returnCall(this.runtime.link, this.cpu, this.record(), left);
  }

  override jumpComputed(rip: I64): void {
    // For regions, which go on to where it has led before.
    const at = i32.and(i32.shr_u(this.record(), 2), (JUMP_TARGETS - 1) << 3);
    this.c.store('i64', i32.add(i32.load(this.cpu, P.jumpTargets), at), rip);
    this.jump(rip);
  }

  override jump(rip: I64): void {
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
