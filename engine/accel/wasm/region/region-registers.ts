/**
 * The registers that a region keeps in locals: general registers, and halves of vector registers. Each is loaded where
 * residence.ts says, which is known, as what is dirty where, only when all of the region has been emitted: so loads and
 * stores are emitted last.
 *
 * What has been written (is _dirty_) is put back on the ways out, and general registers before an access that looks into
 * the TLB by itself as well: it may have to be left there, and then there is nothing to put back, for which many values
 * would have to be kept and many places be compiled.
 */
import { vcpuLayout } from '../../../vcpu/state.ts';
import type { Code, Local } from '../emit/code.ts';
import { i64, v128, type I32, type I64, type V128 } from '../emit/expr.ts';
import { S } from '../private.ts';
import type { RegionNode } from './graph.ts';
import { GENERAL, registersIn, type RegisterSet, type Residence } from './residence.ts';

/** Where vector registers begin within the vCPU's state, and bytes of a half of one. */
export const VECTORS = vcpuLayout.offset.ymm;
export const HALF = 16;

/** The number of the half at an offset among the vector registers. */
export const halfAt = (offset: number): number => GENERAL + ((offset - VECTORS) >> 4);

/** What a node has done with registers so far. */
interface NodeRegisters {
  /** How deep the node's own statements nest: what is deeper is done in some cases only. */
  readonly depth: number;
  readonly used: { general: number; halves: number };
  readonly exposed: { general: number; halves: number };
  readonly written: { general: number; halves: number };
  readonly dirty: { general: number; halves: number };
  saves: boolean;
}

export class RegionRegisters {
  readonly #c: Code;
  readonly #cpu: I32;
  readonly #general = new Map<number, Local<'i64'>>();
  readonly #halves = new Map<number, Local<'v128'>>();
  #residence: Residence | undefined;
  #node!: RegionNode;
  #here!: NodeRegisters;
  /** What the nodes use and write, as far as they have been emitted. */
  readonly touched = new Map<RegionNode, NodeRegisters>();

  constructor(c: Code, cpu: I32) {
    this.#c = c;
    this.#cpu = cpu;
    c.front(() => c.later(() => this.#load(this.#residence!.atEntry)));
  }

  /** All has been emitted, and so it is known where registers are. */
  reside(residence: Residence): void {
    this.#residence = residence;
  }

  /** A node's code begins here. */
  begin(node: RegionNode): void {
    this.touched.set(node, {
      depth: this.#c.depth,
      used: { general: 0, halves: 0 },
      exposed: { general: 0, halves: 0 },
      written: { general: 0, halves: 0 },
      dirty: { general: 0, halves: 0 },
      saves: false,
    });
    this.resume(node);
    this.#c.later(() => this.#load(this.#residence!.loadsAt(node)));
  }

  /** What follows belongs to a node again. */
  resume(node: RegionNode): void {
    this.#node = node;
    this.#here = this.touched.get(node)!;
  }

  #local<K extends 'i64' | 'v128'>(locals: Map<number, Local<K>>, n: number, type: K): Local<K> {
    let local = locals.get(n);
    if (local === undefined) {
      local = this.#c.lasting(type);
      locals.set(n, local);
    }
    return local;
  }

  #load(numbers: readonly number[]): void {
    const c = this.#c;
    for (const n of numbers) {
      if (n < GENERAL) c.set(this.#local(this.#general, n, 'i64'), i64.load(this.#cpu, S.gpr + 8 * n));
      else c.set(this.#local(this.#halves, n, 'v128'), v128.load(this.#cpu, VECTORS + HALF * (n - GENERAL)));
    }
  }

  #store(set: RegisterSet): void {
    const c = this.#c;
    for (const n of registersIn(set)) {
      if (n < GENERAL) c.store('i64', this.#cpu, this.#local(this.#general, n, 'i64').get, S.gpr + 8 * n);
      else {
        const half = this.#local(this.#halves, n, 'v128').get;
        c.store('v128', this.#cpu, half, VECTORS + HALF * (n - GENERAL));
      }
    }
  }

  /** A register is read, or written in part, or all of it is written. */
  #touch(kind: 'general' | 'halves', bit: number, whole: boolean): void {
    const { used, exposed, written, depth } = this.#here;
    used[kind] |= bit;
    if (whole && this.#c.depth === depth) written[kind] |= bit;
    else if ((written[kind] & bit) === 0) exposed[kind] |= bit;
  }

  /** The local of a general register, to be read. */
  general(n: number): I64 {
    this.#touch('general', 1 << n, false);
    return this.#local(this.#general, n, 'i64').get;
  }
  setGeneral(n: number, value: I64): void {
    this.#touch('general', 1 << n, true);
    this.#here.dirty.general |= 1 << n;
    this.#c.set(this.#local(this.#general, n, 'i64'), value);
  }

  /** That of a half of a vector register, by {@link halfAt}. */
  half(n: number): V128 {
    this.#touch('halves', 1 << (n - GENERAL), false);
    return this.#local(this.#halves, n, 'v128').get;
  }
  setHalf(n: number, value: V128): void {
    const bit = 1 << (n - GENERAL);
    this.#touch('halves', bit, true);
    this.#here.dirty.halves |= bit;
    this.#c.set(this.#local(this.#halves, n, 'v128'), value);
  }

  /** Puts back what is dirty, on a way out. */
  store(): void {
    this.#putBack(this.#here.dirty.halves, true);
  }

  /** Puts back what general registers are dirty, before an access. */
  save(): void {
    const here = this.#here;
    this.#putBack(0, false);
    // In some cases only.
    if (this.#c.depth !== here.depth) return;
    here.saves = true;
    here.dirty.general = 0;
  }

  /** @param halves what has been written of vector registers, and whether what was dirty before is put back of these */
  #putBack(halves: number, inherited: boolean): void {
    const node = this.#node;
    const { saves, dirty } = this.#here;
    const { general } = dirty;
    if (saves && general === 0 && !inherited) return;
    this.#c.later(() => {
      const before = this.#residence!.dirty(node);
      this.#store({
        general: general | (saves ? 0 : before.general),
        halves: halves | (inherited ? before.halves : 0),
      });
    });
  }
}
