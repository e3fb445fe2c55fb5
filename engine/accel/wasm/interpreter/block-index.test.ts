import { expect, test } from 'vitest';
import { type Block, BlockIndex, type CodeMode } from './block-index.ts';

const mode = (id: number): CodeMode => ({
  id, code: 64, real: false, features: new Set(), stack: 8, csBase: 0, csLimit: 0, x87: 0, fwait: 0, mmx: 0, sse: 0, avx: 0, ymm: 0,
  step: false,
}); // prettier-ignore
const MODE = mode(1);

const block = (from: number, low: number, rest: Partial<Block> = {}): Block => ({
  record: 0, end: 0, mode: MODE, low, high: 0, from, to: from + 4, from2: 0, to2: 0, next: undefined, samples: 0, links: undefined,
  ...rest,
}); // prettier-ignore

const noSecondPage = (): number => {
  throw new Error('no second page was to be asked for');
};

test('a block is found by its byte, address and mode, and by nothing less', () => {
  const index = new BlockIndex();
  const one = block(0x1000, 0x40_1000);
  const moved = block(0x1000, 0x50_1000);
  index.add(one);
  index.add(moved);
  for (let time = 0; time < 2; time++) {
    expect(index.find(0x1000, 0x40_1000, 0, MODE, noSecondPage)).toBe(one);
    expect(index.find(0x1000, 0x50_1000, 0, MODE, noSecondPage)).toBe(moved);
    expect(index.find(0x1000, 0x40_1000, 1, MODE, noSecondPage)).toBeUndefined();
    expect(index.find(0x1000, 0x40_1000, 0, mode(2), noSecondPage)).toBeUndefined();
    expect(index.find(0x1001, 0x40_1000, 0, MODE, noSecondPage)).toBeUndefined();
  }
});

test('a block that ends on a second page is found while that page is where it was', () => {
  const index = new BlockIndex();
  const here = block(0x1ffe, 0x40_1ffe, { from2: 0x7000, to2: 0x7002 });
  const there = block(0x1ffe, 0x40_1ffe, { from2: 0x9000, to2: 0x9002 });
  index.add(here);
  index.add(there);
  const find = (page: number) => index.find(0x1ffe, 0x40_1ffe, 0, MODE, () => page);
  expect([find(0x7000), find(0x9000), find(0x7000), find(0x5000)]).toEqual([here, there, here, undefined]);
});

test('what has been removed is not found, its like are', () => {
  const index = new BlockIndex();
  const blocks = [1, 2, 3].map((n) => block(0x1000, n << 12));
  for (const each of blocks) index.add(each);
  const find = (n: number) => index.find(0x1000, n << 12, 0, MODE, noSecondPage);
  expect(find(2)).toBe(blocks[1]);
  index.remove(blocks[1]!);
  expect([find(1), find(2), find(3)]).toEqual([blocks[0], undefined, blocks[2]]);
  index.remove(blocks[2]!);
  index.remove(blocks[0]!);
  expect([find(1), find(3)]).toEqual([undefined, undefined]);
  index.add(blocks[0]!);
  index.clear();
  expect(find(1)).toBeUndefined();
});

test('of many that differ in their address alone the oldest is to go', () => {
  const index = new BlockIndex();
  const blocks: Block[] = [];
  for (let n = 0; n < 40; n++) {
    const added = block(0x1000, n << 12);
    blocks.push(added);
    const dropped = index.add(added);
    if (dropped !== undefined) {
      expect(dropped).toBe(blocks.shift());
      index.remove(dropped);
    }
  }
  expect(blocks.length).toBeLessThan(10);
  for (const each of blocks) expect(index.find(0x1000, each.low, 0, MODE, noSecondPage)).toBe(each);
  // Those of another mode are counted for themselves.
  expect(index.add(block(0x1000, 0, { mode: mode(2) }))).toBeUndefined();
});
