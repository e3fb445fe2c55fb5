/**
 * Where the registers of a region are loaded, and where they may be dirty.
 *
 * A register is loaded in the last node that all nodes are dominated by in which it has to be in its local, but in none
 * that is inside a loop: what has been written there is not in the vCPU's state. It has to be in its local where it is
 * used, and where it may have been written before, for whoever leaves from there.
 */
import { successors, type RegionNode } from './graph.ts';
import type { Structured } from './structure.ts';

/** General registers are known by their numbers, halves of vector registers by those that follow. */
export const GENERAL = 16;
export const isGeneral = (n: number): boolean => n < GENERAL;

/** What a node does with registers. */
export interface Touched {
  /** Those it reads or writes. */
  readonly used: Set<number>;
  /** Those it writes and does not put back. */
  readonly dirty: ReadonlySet<number>;
  /** It puts back general registers that were dirty when it began. */
  saves: boolean;
}

export interface Residence {
  /** Loaded before everything else. */
  readonly atEntry: readonly number[];
  /** Loaded where a node begins. */
  loadsAt(node: RegionNode): readonly number[];
  /** In their locals in a node. */
  loaded(node: RegionNode): ReadonlySet<number>;
  /** Those that may be dirty where a node begins. */
  dirty(node: RegionNode): ReadonlySet<number>;
}

/** @param touched by node; of those that are missing nothing is touched */
export function residence(shape: Structured, touched: ReadonlyMap<RegionNode, Touched>): Residence {
  const { order } = shape;
  const entry = order[0]!;
  const dirty = dirtyAtStart(shape, touched);
  const loopsOf = loops(shape);
  /** Where what is wanted in all of some nodes is loaded; undefined: before everything else. */
  const placeFor = (nodes: readonly RegionNode[]): RegionNode | undefined => {
    let place = nodes.reduce((a, b) => shape.common(a, b));
    for (;;) {
      const header = loopsOf.get(place);
      if (header === undefined) return place === entry ? undefined : place;
      if (header === entry) return undefined;
      place = shape.dominator(header);
    }
  };
  const wanted = new Map<number, RegionNode[]>();
  for (const node of order) {
    for (const n of new Set([...(touched.get(node)?.used ?? []), ...dirty.get(node)!]))
      wanted.set(n, [...(wanted.get(n) ?? []), node]);
  }
  const atEntry: number[] = [];
  const loads = new Map<RegionNode, number[]>();
  for (const [n, nodes] of wanted) {
    const place = placeFor(nodes);
    if (place === undefined) atEntry.push(n);
    else loads.set(place, [...(loads.get(place) ?? []), n]);
  }
  const loaded = new Map<RegionNode, ReadonlySet<number>>();
  for (const node of order) {
    const before = node === entry ? atEntry : loaded.get(shape.dominator(node))!;
    loaded.set(node, new Set([...before, ...(loads.get(node) ?? [])]));
  }
  return {
    atEntry,
    loadsAt: (node) => loads.get(node) ?? [],
    loaded: (node) => loaded.get(node)!,
    dirty: (node) => dirty.get(node)!,
  };
}

/** What may be dirty on any way to a node. */
function dirtyAtStart(
  { order, isInside }: Structured,
  touched: ReadonlyMap<RegionNode, Touched>,
): Map<RegionNode, Set<number>> {
  const dirty = new Map(order.map((node) => [node, new Set<number>()]));
  for (let changed = true; changed;) {
    changed = false;
    for (const from of order) {
      const own = touched.get(from);
      const kept = [...dirty.get(from)!].filter((n) => !(own?.saves === true && isGeneral(n)));
      for (const to of successors(from)) {
        if (!isInside(from, to)) continue;
        const there = dirty.get(to)!;
        const { size } = there;
        for (const n of kept) there.add(n);
        for (const n of own?.dirty ?? []) there.add(n);
        changed ||= there.size !== size;
      }
    }
  }
  return dirty;
}

/** The header of a loop that a node is inside of, for each that is inside one. */
function loops({ order, isInside, isBack }: Structured): Map<RegionNode, RegionNode> {
  const predecessors = new Map<RegionNode, RegionNode[]>(order.map((node) => [node, []]));
  for (const from of order)
    for (const to of successors(from)) if (isInside(from, to)) predecessors.get(to)!.push(from);
  const header = new Map<RegionNode, RegionNode>();
  for (const from of order) {
    for (const to of successors(from)) {
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
