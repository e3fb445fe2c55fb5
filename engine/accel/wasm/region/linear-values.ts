/**
 * Which values of a region's locals differ by a constant, as far as straight code shows: after `lea rdi, [rbx+16]` and
 * `push rax`, RDI is RBX + 16 and RSP is 8 below what it was. A value is a _origin_, of which nothing is known but that it
 * is the same wherever it occurs, and an offset from it (modulo 2^64).
 */
import type { Code, Local } from '../emit/code.ts';
import { constant, i64, Pseudo, type Expr, type Type } from '../emit/expr.ts';

export interface LinearValue {
  readonly origin: number;
  readonly offset: bigint;
}

/** The origin of constants: zero. */
const NOTHING = 0;

export class LinearValues {
  readonly #c: Code;
  /** By the index of the local; of those that are missing nothing has been asked yet. */
  #known = new Map<number, LinearValue>();
  /** How deep the statements nest that are run one after another. */
  #depth = 0;
  #origins = NOTHING;

  constructor(c: Code) {
    this.#c = c;
    c.onSet = (local, value) => this.#set(local, value);
  }

  /** Straight code begins here. @param inherits all of it is run behind what has been emitted last */
  begin(inherits: boolean): void {
    this.#depth = this.#c.depth;
    if (!inherits) this.#known.clear();
  }

  /** What is emitted now is run whenever the straight code is. */
  get straight(): boolean {
    return this.#c.depth === this.#depth;
  }

  /** Emits what branches off to elsewhere, then knows what it knew before. */
  aside(emit: () => void): void {
    const [known, depth] = [this.#known, this.#depth];
    this.#known = new Map(known);
    emit();
    this.#known = known;
    this.#depth = depth;
  }

  /** The value of an expression of 64 bits. */
  of(e: Expr): LinearValue {
    if (e.op === Pseudo.LocalGet) {
      const local = Number(e.imm);
      let value = this.#known.get(local);
      if (value === undefined) this.#known.set(local, (value = this.#fresh()));
      return value;
    }
    if (e.op === Pseudo.I64Const) return { origin: NOTHING, offset: BigInt(e.imm) };
    const by = e.b === undefined ? undefined : constant(e.b);
    if (by !== undefined && (e.op === ADD || e.op === SUB)) {
      const { origin, offset } = this.of(e.a!);
      return { origin, offset: BigInt.asIntN(64, e.op === ADD ? offset + by : offset - by) };
    }
    return this.#fresh();
  }

  #fresh(): LinearValue {
    return { origin: ++this.#origins, offset: 0n };
  }

  #set({ type, index }: Local<Type>, value: Expr | undefined): void {
    if (type !== 'i64') return;
    // What is set in some cases only has a value of its own from there on.
    if (this.straight && value !== undefined) this.#known.set(index, this.of(value));
    else this.#known.delete(index);
  }
}

const ADD = i64.add(i64.load(0), 1).op;
const SUB = i64.sub(i64.load(0), 1).op;
