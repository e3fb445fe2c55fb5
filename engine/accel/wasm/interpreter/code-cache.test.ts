/** Which pages are watched for writes, and for how long. */
import { expect, test } from 'vitest';
import { tier0 } from '../region/own-translator.ts';
import type { CodeMode } from './block-index.ts';
import { CodeCache } from './code-cache.ts';

const ARENA = 0x1_0000;
/** Two pages of code. */
const PAGE = 0x2_0000;
const NEXT = PAGE + 0x1000;

const MODE: CodeMode = {
  id: 0, code: 64, stack: 8, real: false, features: new Set(), csBase: 0, csLimit: 0xffff_ffff,
  x87: 0, fwait: 0, mmx: 0, sse: 0, avx: 0, ymm: 0, step: false,
}; // prettier-ignore

/** A cache over memory with code at an address, and the pages it has watched. */
function cache(code: readonly number[], at: number) {
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
  new Uint8Array(memory.buffer).set(code, at);
  const watched = new Set<number>();
  const found = new CodeCache(tier0(), memory, ARENA, 0x1_0000, { fetch: (low) => low });
  found.onCodePage = (page) => watched.add(page);
  found.onPageFree = (page) => watched.delete(page);
  return { code: found, watched };
}

test('a page is watched from its first block to its last', () => {
  const { code, watched } = cache([0x90, 0xc3, 0x90, 0xc3], PAGE);
  code.find(PAGE, 0, MODE);
  code.find(PAGE + 2, 0, MODE);
  expect([...watched]).toEqual([PAGE]);
  code.written(PAGE, 1);
  expect([...watched]).toEqual([PAGE]);
  code.written(PAGE + 100, 8);
  expect([...watched]).toEqual([PAGE]);
  code.written(PAGE, 4096);
  expect([...watched]).toEqual([]);
});

test('a page that was only looked at is not watched', () => {
  // jz; mov eax, imm32, of which all but a byte is on the next page, so that it is another block's.
  const { code, watched } = cache([0x74, 0x02, 0xb8, 1, 2, 3, 4, 0xc3], NEXT - 3);
  code.find(NEXT - 3, 0, MODE);
  expect([...watched]).toEqual([PAGE]);
  // Run, it is.
  code.find(NEXT - 1, 0, MODE);
  expect(watched).toEqual(new Set([PAGE, NEXT]));
});

test('a page that is written again and again beside its code is not watched, but the longer each time', () => {
  const { code, watched } = cache([0x90, 0xc3], PAGE);
  for (const patience of [64, 128, 256]) {
    code.find(PAGE, 0, MODE);
    for (let i = 1; i < patience; i++) code.written(PAGE + 512, 8);
    code.dropWorn();
    expect([...watched]).toEqual([PAGE]);
    code.written(PAGE + 512, 8);
    code.dropWorn();
    expect([...watched]).toEqual([]);
  }
});

test('blocks are limited, whatever room their records have', { timeout: 60_000 }, () => {
  const PAGES = 1024;
  const arena = 16 * 2 ** 20;
  const code = 0x2_0000;
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  // jmp to the next instruction, a block each.
  new Uint16Array(memory.buffer).fill(0x00eb, code / 2, arena / 2);
  const found = new CodeCache(tier0(), memory, arena, PAGES * 0x1_0000 - arena, { fetch: (low) => low });
  const blocks = 510_000;
  for (let i = 0; i < blocks; i++) found.find(code + 2 * i, 0, MODE);
  expect(found.generation).toBe(1);
});
