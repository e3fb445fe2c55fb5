import { expect, test } from 'vitest';
import type { RegionNode } from './graph.ts';
import { registersIn, residence, type Touched } from './residence.ts';
import { structure } from './structure.ts';

/** Nodes by name, with the ways between them; the first is the entry. */
function graphOf(ways: Readonly<Record<string, string>>): Map<string, RegionNode> {
  const nodes = new Map<string, RegionNode>();
  for (const name of Object.keys(ways)) {
    nodes.set(name, {
      rip: BigInt(nodes.size), instructions: [], taken: undefined, guess: undefined, next: undefined, nextRip: undefined,
      returns: [], ways: [],
    }); // prettier-ignore
  }
  for (const [name, to] of Object.entries(ways)) {
    const [taken, next] = to.split('').map((each) => nodes.get(each));
    const node = nodes.get(name)!;
    Object.assign(node, { taken, next, ways: [taken, next].filter((n) => n !== undefined) });
  }
  return nodes;
}

/** Where register 1 is loaded and may be dirty, being used and written in some nodes. */
function resident(ways: Readonly<Record<string, string>>, used: string, written = '', saves = '') {
  const nodes = graphOf(ways);
  const shape = structure([...nodes.values()][0]!);
  const touched = new Map<RegionNode, Touched>();
  for (const [name, node] of nodes) {
    const of = (names: string) => ({ general: names.includes(name) ? 2 : 0, halves: 0 });
    touched.set(node, {
      used: of(used + written),
      exposed: of(used),
      written: of(written),
      dirty: of(written),
      saves: saves.includes(name),
    });
  }
  const kept = residence(shape, touched);
  const names = (which: (node: RegionNode) => boolean) =>
    [...nodes].flatMap(([name, node]) => (which(node) ? name : [])).join('');
  return {
    entry: kept.atEntry.length > 0,
    loads: names((node) => kept.loadsAt(node).includes(1)),
    dirty: names((node) => registersIn(kept.dirty(node)).includes(1)),
  };
}

test('what is used on one way only is loaded there', () => {
  expect(resident({ a: 'bc', b: '', c: '' }, 'b')).toEqual({
    entry: false,
    loads: 'b',

    dirty: '',
  });
});

test('what is written on one of two ways that meet is loaded before they part, for whoever leaves behind them', () => {
  expect(resident({ s: 'a', a: 'bc', b: 'd', c: 'd', d: '' }, '', 'b')).toEqual({
    entry: false, loads: 'a', dirty: 'd',
  }); // prettier-ignore
});

test('what is used in a loop is loaded before it', () => {
  expect(resident({ s: 'a', a: 'b', b: 'c', c: 'bd', d: '' }, 'c')).toEqual({
    entry: false, loads: 'a', dirty: '',
  }); // prettier-ignore
});

test('in loops of loops, before the outermost', () => {
  expect(resident({ s: 'a', a: 'b', b: 'c', c: 'cd', d: 'be', e: '' }, 'c')).toEqual({
    entry: false, loads: 'a', dirty: '',
  }); // prettier-ignore
});

test('where the loop begins with the region, before everything', () => {
  expect(resident({ a: 'b', b: 'ac', c: '' }, 'b', 'b')).toEqual({
    entry: true, loads: '', dirty: 'abc',
  }); // prettier-ignore
});

test('what is used behind a loop alone is loaded there', () => {
  expect(resident({ a: 'b', b: 'bc', c: '' }, 'c')).toEqual({
    entry: false,
    loads: 'c',

    dirty: '',
  });
});

test('what is put back on the way is not dirty behind it', () => {
  expect(resident({ s: 'a', a: 'b', b: 'c', c: '' }, 'c', 'a', 'b')).toMatchObject({ dirty: 'b' });
});

test('what is written before it is read, on all ways, is not loaded', () => {
  expect(resident({ s: 'a', a: 'bc', b: 'd', c: 'd', d: '' }, 'd', 'bc')).toEqual({
    entry: false, loads: '', dirty: 'd',
  }); // prettier-ignore
  expect(resident({ a: 'b', b: '' }, '', 'a')).toEqual({ entry: false, loads: '', dirty: 'b' });
  // Once round the loop it has been written, but not before.
  expect(resident({ s: 'a', a: 'bc', b: 'a', c: '' }, 'a', 'b')).toMatchObject({ entry: true });
});
