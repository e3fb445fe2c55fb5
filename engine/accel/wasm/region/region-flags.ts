/**
 * The arithmetic flags within a region: put off until somebody looks, which mostly nobody does.
 *
 * While translating, the flags are a _source_ (what they follow from, semantics/flag-source.ts), and beneath it the
 * locals that hold the two flag words. Where ways meet, what the source is may depend on the way: there it is handed on
 * in locals as well, as late flags (semantics/late-flags.ts; here: _dynamic_), and so it is to the next region, by way of
 * the vCPU's state; whoever else comes next has them computed.
 */
import { P, S } from '../private.ts';
import type { Code, Local } from '../emit/code.ts';
import { i32, i64, type Expr, type I32, type I64, type In } from '../emit/expr.ts';
import type { FlagSource } from '../semantics/flag-source.ts';
import type { Size } from '../semantics/form.ts';
import { signExtend } from '../semantics/flags.ts';
import { lateCarries, LateKind } from '../semantics/late-flags.ts';
import { ops, signExtendIn, topBit, zeroExtend } from '../semantics/ops.ts';

/** What the locals hold where a node begins. */
export type FlagsAt = 'settled' | 'dynamic' | 'nothing' | 'inherited';

/** A source, and the one before it where it keeps some of its flags. */
interface Pending {
  readonly source: FlagSource;
  readonly before: Pending | undefined;
}

/** How many sources that keep some flags may follow each other. */
const DEEPEST = 3;

/** Flags are asked for where there are none, or change where none do: what flag-needs.ts says is wrong. */
export class FlagsMissing extends Error {}

export class RegionFlags {
  readonly #c: Code;
  readonly #result: Local<'i64'>;
  readonly #carries: Local<'i32'>;
  /** The first operand of a dynamic source; the second is its distance from the result. */
  readonly #first: Local<'i64'>;
  readonly #kind: Local<'i32'>;
  #pending: Pending | undefined;
  #beneath: 'settled' | 'dynamic' | 'nothing' = 'settled';
  #inBranch = false;
  /** The region may change the flags, or looks at those it began with. */
  readonly #changes: boolean;
  #looked = false;
  /** They are in the vCPU's state still as they were on entry. */
  #untouched = false;

  /** @param changes an instruction may change the flags */
  constructor(c: Code, changes: boolean) {
    this.#c = c;
    this.#changes = changes;
    this.#result = c.local('i64');
    this.#carries = c.local('i32');
    this.#first = c.local('i64');
    this.#kind = c.local('i32');
  }

  /** What the flags follow from, as far as it has been put off. */
  get sources(): FlagSource[] {
    const sources: FlagSource[] = [];
    for (let at = this.#pending; at !== undefined; at = at.before) sources.push(at.source);
    return sources;
  }

  /** At the start of a node. @param untouched the flags are those that the region was entered with */
  start(at: FlagsAt, untouched: boolean): void {
    this.#untouched = untouched;
    if (at === 'inherited') return;
    this.#pending = undefined;
    this.#beneath = at;
  }

  /** Whoever is left for finds the flags in the vCPU's state: they need not be handed on and stored. */
  get untouched(): boolean {
    return this.#untouched;
  }

  /** Emits what branches off to elsewhere, then is again where it was. */
  aside(emit: () => void): void {
    const [pending, beneath, untouched] = [this.#pending, this.#beneath, this.#untouched];
    emit();
    this.#pending = pending;
    this.#beneath = beneath;
    this.#untouched = untouched;
  }

  defer(source: FlagSource): boolean {
    this.#mustChange();
    if (this.#inBranch) return false;
    if (source.keeps !== undefined) {
      // What carries only CF on needs nothing but the CF of what was before.
      if (source.keeps === 'carry' && this.#pending?.source.keeps === 'carry') {
        this.#pending = { source, before: this.#pending.before };
        return true;
      }
      if (depth(this.#pending) >= DEEPEST) this.settle();
      if (this.#pending === undefined) this.#settleLocals();
    }
    this.#pending = { source, before: source.keeps === undefined ? undefined : this.#pending };
    return true;
  }

  inBranch(body: () => void): void {
    this.settle();
    this.#inBranch = true;
    body();
    this.#inBranch = false;
  }

  /** Both words, in their locals. */
  settle(): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending === undefined) {
      this.#settleLocals();
      return;
    }
    this.#compute(pending);
  }

  #compute({ source, before }: Pending): void {
    if (before !== undefined) this.#compute(before);
    this.#beneath = 'settled';
    source.compute();
  }

  #settleLocals(): void {
    if (this.#beneath === 'nothing') throw new FlagsMissing('flags are asked for where nothing set them');
    if (this.#beneath === 'dynamic') this.#computeDynamic();
    this.#beneath = 'settled';
  }

  result(): I64 {
    this.settle();
    this.#looked = true;
    return this.#result.get;
  }
  carries(): I32 {
    this.settle();
    this.#looked = true;
    return this.#carries.get;
  }
  #mustChange(): void {
    if (!this.#changes) throw new FlagsMissing('flags are changed where nothing was to change them');
    this.#untouched = false;
  }
  setResult(value: I64): void {
    this.#mustChange();
    this.#pending = undefined;
    this.#c.set(this.#result, value);
  }
  setCarries(value: In<'i32'>): void {
    this.#mustChange();
    this.#pending = undefined;
    this.#beneath = 'settled';
    this.#c.set(this.#carries, value);
  }

  /** On the way to a node that begins with `at`, or out of the region. */
  handOn(at: FlagsAt): void {
    if (at === 'inherited' || at === 'nothing') return;
    if (at === 'settled') {
      this.settle();
      return;
    }
    const pending = this.#pending;
    if (pending === undefined) {
      if (this.#beneath === 'dynamic') return;
      this.settle();
      this.#c.set(this.#kind, 0);
      return;
    }
    const { kind, a, result, size, keeps } = pending.source;
    if ((kind !== 'add' && kind !== 'sub') || a === undefined || result === undefined) {
      this.settle();
      this.#c.set(this.#kind, 0);
      return;
    }
    if (keeps === 'carry') {
      const carry = this.#condition(pending.before, 1);
      if (carry === undefined) {
        this.settle();
        this.#c.set(this.#kind, 0);
        return;
      }
      this.#c.set(this.#carries, i32.shl(carry, 31));
    }
    this.#c.set(this.#first, size === 8 ? (a as I64) : i64.extend_u(a as I32));
    this.#c.set(this.#result, signExtend(result, size));
    const subtraction = kind === 'sub' ? LateKind.Subtraction : 0;
    const bits = LateKind.Late | subtraction | (keeps ? LateKind.KeepsCarry : 0);
    this.#c.set(this.#kind, bits | ((64 - 8 * size) << LateKind.shift));
  }

  /** Puts the flags into the vCPU's state, late ones as they are, having handed them on as such. */
  store(cpu: I32): void {
    if (!this.#changes) return;
    const c = this.#c;
    c.store('i64', cpu, this.#result.get, S.flagsRes);
    c.store('i64', cpu, this.#first.get, P.flagsFirst);
    // The kind and flagsAux behind it in one: mostly that is not looked at, and zero.
    const carries = i64.shl(i64.extend_u(this.#carries.get), 32);
    c.store('i64', cpu, i64.or(i64.extend_u(this.#kind.get), carries), P.flagsKind);
  }

  /** When all has been emitted: begins with the flags of the state. @param atEntry what the entry is handed */
  load(cpu: I32, atEntry: FlagsAt): void {
    const c = this.#c;
    if (atEntry === 'nothing' || (!this.#looked && !this.#changes)) return;
    c.front(() => {
      c.set(this.#result, i64.load(cpu, S.flagsRes));
      c.set(this.#carries, i32.load(cpu, S.flagsAux));
      c.set(this.#first, i64.load(cpu, P.flagsFirst));
      c.set(this.#kind, i32.load(cpu, P.flagsKind));
      if (atEntry === 'settled') this.#computeDynamic();
    });
  }

  #computeDynamic(): void {
    const c = this.#c;
    c.if(this.#kind.get, () => {
      const [result, carries] = [this.#result.get, this.#carries.get];
      c.set(this.#carries, lateCarries(c, { result, carries, first: this.#first.get, kind: this.#kind.get }));
      c.set(this.#kind, 0);
    });
  }

  /** A condition by its code, straight from the source; undefined where it takes the flags themselves. */
  condition(code: number): I32 | undefined {
    if (this.#pending === undefined) return undefined;
    const positive = this.#condition(this.#pending, code >> 1);
    if (positive === undefined) return undefined;
    return code & 1 ? i32.eqz(positive) : positive;
  }

  #condition(pending: Pending | undefined, what: number): I32 | undefined {
    if (pending === undefined) return this.#settledCondition(what);
    const { source, before } = pending;
    if (source.keeps === 'carry' && what === 1) return this.#condition(before, 1);
    if (source.keeps === 'carry' && what === 3)
      return either(this.#condition(before, 1), this.#condition(pending, 2));
    if (source.keeps === 'rest' && (what === 2 || what === 4 || what === 5))
      return this.#condition(before, what);
    return sourceCondition(source, what, (other) => this.#condition(pending, other));
  }

  /** From the locals, where these hold the flags that come before a source. */
  #settledCondition(what: number): I32 | undefined {
    if (this.#beneath !== 'settled') return undefined;
    this.#looked = true;
    if (what === 1) return i32.shr_u(this.#carries.get, 31);
    if (what === 2) return i64.eqz(this.#result.get);
    return undefined;
  }
}

function depth(pending: Pending | undefined): number {
  let n = 0;
  for (let at = pending; at !== undefined; at = at.before) n++;
  return n;
}

const either = (x: I32 | undefined, y: I32 | undefined): I32 | undefined =>
  x === undefined || y === undefined ? undefined : i32.or(x, y);

/** A condition of a source by itself: OF, CF, ZF, CF|ZF, SF, PF, SF≠OF, ZF|SF≠OF by number. */
function sourceCondition(
  { kind, a, b, result, size, carry, overflow, zero, parity }: FlagSource,
  what: number,
  other: (what: number) => I32 | undefined,
): I32 | undefined {
  const o = ops(size);
  const sign = (): I32 | undefined =>
    result === undefined ? undefined : o.lt_s(signExtendIn(result, size), o.const(0));
  const operands: [Expr, Expr] | undefined =
    a === undefined || b === undefined ? undefined : [zeroExtend(a, size), zeroExtend(b, size)];
  const signed = (e: Expr, of: Size = size): Expr => signExtendIn(e, of);
  switch (what) {
    case 0:
      if (overflow !== undefined) return overflow();
      if (kind === 'logic') return i32.const(0);
      if (operands === undefined || result === undefined || kind === 'other') return undefined;
      return kind === 'sub'
        ? topBit(o.and(o.xor(a!, b!), o.xor(a!, result)), size)
        : topBit(o.and(o.xor(a!, result), o.xor(b!, result)), size);
    case 1:
      if (carry !== undefined) return carry();
      if (kind === 'logic') return i32.const(0);
      if (operands === undefined || result === undefined || kind === 'other') return undefined;
      return kind === 'sub'
        ? o.lt_u(operands[0], operands[1])
        : o.lt_u(zeroExtend(result, size), operands[0]);
    case 2:
      if (zero !== undefined) return zero();
      if (kind === 'sub' && operands !== undefined) return o.eq(operands[0], operands[1]);
      return result === undefined ? undefined : o.eqz(zeroExtend(result, size));
    case 3:
      if (kind === 'sub' && operands !== undefined) return i32.eqz(o.gt_u(operands[0], operands[1]));
      return kind === 'logic' ? other(2) : either(other(1), other(2));
    case 4:
      return sign();
    case 5: {
      if (parity !== undefined) return parity();
      if (result === undefined) return undefined;
      const low = i32.and(size === 8 ? i32.wrap(result as I64) : (result as I32), 0xff);
      return i32.xor(i32.and(i32.popcnt(low), 1), 1);
    }
    case 6: {
      if (kind === 'sub' && a !== undefined && b !== undefined) return o.lt_s(signed(a), signed(b));
      const [s, v] = [other(4), other(0)];
      return s === undefined || v === undefined ? undefined : kind === 'logic' ? s : i32.xor(s, v);
    }
    default:
      if (kind === 'sub' && a !== undefined && b !== undefined) return i32.eqz(o.lt_s(signed(b), signed(a)));
      return either(other(6), other(2));
  }
}
