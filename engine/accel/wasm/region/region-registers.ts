/**
 * The registers that a region keeps in locals: general registers, and halves of vector registers. Each is loaded where
 * residence.ts says.
 *
 * What has been written (is _dirty_) is put back on the ways out, and general registers before an instruction that reads
 * or writes memory as well: it may have to be left there, and then there is nothing to put back, for which many values
 * would have to be kept and many places be compiled.
 */
import { vcpuLayout } from '../../../vcpu/state.ts';
import type { Code, Local } from '../emit/code.ts';
import { i64, v128, type I32, type V128 } from '../emit/expr.ts';
import { S } from '../private.ts';
import type { RegionNode } from './graph.ts';
import { GENERAL, isGeneral, type Residence, type Touched } from './residence.ts';
import { Untranslatable } from './untranslatable.ts';

/** Where vector registers begin within the vCPU's state, and bytes of a half of one. */
export const VECTORS = vcpuLayout.offset.ymm;
export const HALF = 16;

/** The number of the half at an offset among the vector registers. */
export const halfAt = (offset: number): number => GENERAL + ((offset - VECTORS) >> 4);

export class RegionRegisters {
  readonly #c: Code;
  readonly #cpu: I32;
  readonly #general = new Map<number, Local<'i64'>>();
  readonly #halves = new Map<number, Local<'v128'>>();
  readonly #residence: Residence | undefined;
  #node: RegionNode | undefined;
  #loaded: ReadonlySet<number> = new Set();
  /** What is dirty, by node, as far as that has been emitted. */
  readonly #dirty = new Map<RegionNode, Set<number>>();
  /** What the nodes use and write, found out by translating them. */
  readonly touched = new Map<RegionNode, Touched>();

  /** @param residence absent where it is only to be found out what is touched */
  constructor(c: Code, cpu: I32, residence?: Residence) {
    this.#c = c;
    this.#cpu = cpu;
    this.#residence = residence;
    for (const n of residence?.atEntry ?? []) c.front(() => this.#load(n));
  }

  /** A node's code begins here. */
  begin(node: RegionNode): void {
    this.#dirty.set(node, new Set(this.#residence?.dirty(node)));
    if (this.#residence === undefined)
      this.touched.set(node, { used: new Set(), dirty: this.#dirty.get(node)!, saves: false });
    this.resume(node);
    for (const n of this.#residence?.loadsAt(node) ?? []) this.#load(n);
  }

  /** What follows belongs to a node again. */
  resume(node: RegionNode): void {
    this.#node = node;
    if (this.#residence !== undefined) this.#loaded = this.#residence.loaded(node);
  }

  #local<K extends 'i64' | 'v128'>(locals: Map<number, Local<K>>, n: number, type: K): Local<K> {
    let local = locals.get(n);
    if (local === undefined) {
      local = this.#c.lasting(type);
      locals.set(n, local);
    }
    return local;
  }

  #load(n: number): void {
    const c = this.#c;
    if (isGeneral(n)) c.set(this.#local(this.#general, n, 'i64'), i64.load(this.#cpu, S.gpr + 8 * n));
    else c.set(this.#local(this.#halves, n, 'v128'), v128.load(this.#cpu, VECTORS + HALF * (n - GENERAL)));
  }

  #store(n: number): void {
    const c = this.#c;
    if (isGeneral(n)) c.store('i64', this.#cpu, this.#local(this.#general, n, 'i64').get, S.gpr + 8 * n);
    else {
      const half = this.#local(this.#halves, n, 'v128').get;
      c.store('v128', this.#cpu, half, VECTORS + HALF * (n - GENERAL));
    }
  }

  #touch(n: number, writes: boolean): void {
    if (this.#residence === undefined) this.touched.get(this.#node!)!.used.add(n);
    else if (!this.#loaded.has(n)) throw new Untranslatable();
    if (writes) this.#dirty.get(this.#node!)!.add(n);
  }

  /** The local of a general register. */
  general(n: number, writes: boolean): Local<'i64'> {
    this.#touch(n, writes);
    return this.#local(this.#general, n, 'i64');
  }

  /** That of a half of a vector register, by {@link halfAt}. */
  half(n: number): V128 {
    this.#touch(n, false);
    return this.#local(this.#halves, n, 'v128').get;
  }
  setHalf(n: number, value: V128): void {
    this.#touch(n, true);
    this.#c.set(this.#local(this.#halves, n, 'v128'), value);
  }

  /** Puts back what is dirty, on a way out. */
  store(): void {
    for (const n of this.#dirty.get(this.#node!)!) this.#store(n);
  }

  /** Puts back what general registers are dirty, before an instruction. */
  save(): void {
    const dirty = this.#dirty.get(this.#node!)!;
    if (this.#residence === undefined) this.touched.get(this.#node!)!.saves = true;
    for (const n of dirty) {
      if (!isGeneral(n)) continue;
      this.#store(n);
      dirty.delete(n);
    }
  }
}
