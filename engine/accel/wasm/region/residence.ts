/**
 * Where the registers of a region are loaded, and where they may be dirty.
 *
 * A register is loaded in the last node that all nodes are dominated by in which it has to be in its local, but in none
 * that is inside a loop: what has been written there is not in the vCPU's state. It has to be in its local where it is
 * used, and where it may have been written before, for whoever leaves from there. What is written before it is read, and
 * before there is a way out that may find it unwritten, is not loaded.
 */
import type { RegionNode } from './graph.ts';
import type { Structured } from './structure.ts';

/** General registers are known by their numbers, halves of vector registers by those that follow. */
export const GENERAL = 16;

/** Some of a region's registers, each a bit. */
export interface RegisterSet {
  readonly general: number;
  readonly halves: number;
}

export const NO_REGISTERS: RegisterSet = { general: 0, halves: 0 };
const ALL_REGISTERS: RegisterSet = { general: -1, halves: -1 };

/** The numbers of those in a set. */
export function registersIn({ general, halves }: RegisterSet): number[] {
  const numbers: number[] = [];
  for (let rest = general; rest !== 0; rest &= rest - 1) numbers.push(31 - Math.clz32(rest & -rest));
  for (let rest = halves; rest !== 0; rest &= rest - 1) numbers.push(GENERAL + 31 - Math.clz32(rest & -rest));
  return numbers;
}

/** What a node does with registers. */
export interface Touched {
  /** Those it reads or writes. */
  readonly used: RegisterSet;
  /** Of these, those it reads, all or in part, before it has written them; and those it writes whatever happens. */
  readonly exposed: RegisterSet;
  readonly written: RegisterSet;
  /** Those it writes and does not put back. */
  readonly dirty: RegisterSet;
  /** It puts back general registers that were dirty when it began. */
  readonly saves: boolean;
}

export interface Residence {
  /** Loaded before everything else. */
  readonly atEntry: readonly number[];
  /** Loaded where a node begins. */
  loadsAt(node: RegionNode): readonly number[];
  /** Those that may be dirty where a node begins. */
  dirty(node: RegionNode): RegisterSet;
}

/** @param touched by node; of those that are missing nothing is touched */
export function residence(shape: Structured, touched: ReadonlyMap<RegionNode, Touched>): Residence {
  const { order } = shape;
  const entry = order[0]!;
  const dirty = dirtyAtStart(shape, touched);
  const wanted = wantedOf(shape, touched, dirty);
  const loopsOf = loops(shape);
  /** Where what is wanted below a node is loaded; undefined: before everything else. */
  const placeFor = (below: RegionNode): RegionNode | undefined => {
    let place = below;
    for (;;) {
      const header = loopsOf.get(place);
      if (header === undefined) return place === entry ? undefined : place;
      if (header === entry) return undefined;
      place = shape.dominator(header);
    }
  };
  /** The last node that all are dominated by that want a register, by its number. */
  const above: Array<RegionNode | undefined> = [];
  for (const node of order) {
    for (const n of registersIn(either(touched.get(node)?.used ?? NO_REGISTERS, dirty.get(node)!))) {
      const other = above[n];
      above[n] = other === undefined ? node : shape.common(other, node);
    }
  }
  const atEntry: number[] = [];
  const loads = new Map<RegionNode, number[]>();
  for (const [n, below] of above.entries()) {
    if (below === undefined || !wanted.has(n)) continue;
    const place = placeFor(below);
    const there = place === undefined ? atEntry : loads.get(place);
    if (there === undefined) loads.set(place!, [n]);
    else there.push(n);
  }
  return {
    atEntry,
    loadsAt: (node) => loads.get(node) ?? [],
    dirty: (node) => dirty.get(node) ?? NO_REGISTERS,
  };
}

const either = (a: RegisterSet, b: RegisterSet): RegisterSet => ({
  general: a.general | b.general,
  halves: a.halves | b.halves,
});

/** What may be dirty on any way to a node. */
function dirtyAtStart(
  { order, isInside }: Structured,
  touched: ReadonlyMap<RegionNode, Touched>,
): Map<RegionNode, RegisterSet> {
  const dirty = new Map(order.map((node) => [node, NO_REGISTERS]));
  for (let changed = true; changed;) {
    changed = false;
    for (const from of order) {
      const own = touched.get(from);
      const { general, halves } = dirty.get(from)!;
      const left = either({ general: own?.saves === true ? 0 : general, halves }, own?.dirty ?? NO_REGISTERS);
      for (const to of from.ways) {
        if (!isInside(from, to)) continue;
        const there = dirty.get(to)!;
        const all = either(there, left);
        if (all.general === there.general && all.halves === there.halves) continue;
        dirty.set(to, all);
        changed = true;
      }
    }
  }
  return dirty;
}

/** The registers whose values from before the region somebody wants: in some node they are read, or may be dirty and be put
 * back, without having been written on all ways there. */
function wantedOf(
  { order, isInside }: Structured,
  touched: ReadonlyMap<RegionNode, Touched>,
  dirty: ReadonlyMap<RegionNode, RegisterSet>,
): ReadonlySet<number> {
  const written = new Map(order.map((node, i) => [node, i === 0 ? NO_REGISTERS : ALL_REGISTERS]));
  for (let changed = true; changed;) {
    changed = false;
    for (const from of order) {
      const left = either(written.get(from)!, touched.get(from)?.written ?? NO_REGISTERS);
      for (const to of from.ways) {
        if (!isInside(from, to)) continue;
        const there = written.get(to)!;
        const both = { general: there.general & left.general, halves: there.halves & left.halves };
        if (both.general === there.general && both.halves === there.halves) continue;
        written.set(to, both);
        changed = true;
      }
    }
  }
  const wanted = new Set<number>();
  for (const node of order) {
    const { general, halves } = either(touched.get(node)?.exposed ?? NO_REGISTERS, dirty.get(node)!);
    const before = written.get(node)!;
    for (const n of registersIn({ general: general & ~before.general, halves: halves & ~before.halves }))
      wanted.add(n);
  }
  return wanted;
}

/** The header of a loop that a node is inside of, for each that is inside one. */
function loops({ order, isInside, isBack }: Structured): Map<RegionNode, RegionNode> {
  const predecessors = new Map<RegionNode, RegionNode[]>(order.map((node) => [node, []]));
  for (const from of order)
    for (const to of from.ways) if (isInside(from, to)) predecessors.get(to)!.push(from);
  const header = new Map<RegionNode, RegionNode>();
  for (const from of order) {
    for (const to of from.ways) {
      if (!isInside(from, to) || !isBack(from, to)) continue;
      const body = new Set([to]);
      const pending = [from];
      for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
        if (body.has(node)) continue;
        body.add(node);
        pending.push(...predecessors.get(node)!);
      }
      for (const node of body) header.set(node, to);
    }
  }
  return header;
}
