/** Memory accesses in hot code that the TLB has nothing for, in code whose parts lie far from each other. */
import { expect, test } from 'vitest';
import { ExitReason } from '../contract.ts';
import { bareMachine, CODE, le32, NO_INTERRUPTS, TABLES } from './bare-machine.ts';

/** A function, mapped 512 GiB above code that calls it: what is between them fits no 32 bits. */
const FUNCTION = 0x9000;
const FAR = 0x80_0000_8000n;
/** The tables for that. */
const MORE_TABLES = 0x3_0000;
/** Pages that are read, with a number in each. */
const PAGES = 0x20_0000;
const PAGE_COUNT = 1024;
const NUMBER = 0x10;

test.each(['0', '1', 'eager'] as const)('all is read, also where it was not before, tier %s', (tier) => {
  const m = bareMachine(NO_INTERRUPTS, { tier });
  m.ram.setUint32(TABLES + 8, MORE_TABLES | 7, true);
  m.ram.setUint32(MORE_TABLES, (MORE_TABLES + 0x1000) | 7, true);
  m.ram.setUint32(MORE_TABLES + 0x1000, (MORE_TABLES + 0x2000) | 7, true);
  m.ram.setUint32(MORE_TABLES + 0x2000 + 8 * 8, FUNCTION | 7, true);
  // Where the lower half of FAR alone leads, the guest stops.
  m.load(Array<number>(4096).fill(0xf4), Number(FAR & 0xffff_ffffn));
  for (let page = 0; page < PAGE_COUNT; page++) m.ram.setUint32(PAGES + 4096 * page + NUMBER, page, true);
  // add rsi, r8; and esi, bytes - 1; mov edx, [rsi + PAGES + NUMBER]; add rbx, rdx; ret
  const wrap = [0x81, 0xe6, ...le32(4096 * PAGE_COUNT - 1)];
  const read = [0x8b, 0x96, ...le32(PAGES + NUMBER)];
  m.load([0x4c, 0x01, 0xc6, ...wrap, ...read, 0x48, 0x01, 0xd3, 0xc3], FUNCTION);
  // l: call rax; dec ecx; jnz l; hlt
  m.load([0xff, 0xd0, 0xff, 0xc9, 0x75, 0xfa, 0xf4]);
  const run = (rounds: number, step: number): bigint => {
    m.state.gpr[0] = FAR;
    m.state.gpr[1] = BigInt(rounds);
    m.state.gpr[3] = 0n;
    m.state.gpr[6] = 0n;
    m.state.gpr[8] = BigInt(step);
    m.state.rip = BigInt(CODE);
    m.state.activity = 0;
    expect(m.run()).toBe(ExitReason.Halt);
    return m.state.gpr[3]!;
  };
  // One page, until that is known to be hot; then the others.
  expect(run(tier === '1' ? 400_000 : 100, 0)).toBe(0n);
  const all = (PAGE_COUNT * (PAGE_COUNT - 1)) / 2;
  expect(run(3 * PAGE_COUNT, 4096)).toBe(BigInt(3 * all));
});
