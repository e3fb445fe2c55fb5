/** Accesses that share a look into the TLB, where pages end, may not be written, or are not there. */
import { expect, test } from 'vitest';
import { Random } from '../../base/random.ts';
import { ExitReason } from '../contract.ts';
import { bareMachine, CODE, le32, NO_INTERRUPTS, repeat, TABLES } from './bare-machine.ts';

/** Pages that lie side by side for the program, their frames apart from each other. */
const PAGES = 0x5_0000;
const FRAMES = [0x6_7000, 0x6_2000, 0x6_5000, 0x6_0000];
const PRESENT_USER = 5;
const WRITABLE = 2;
const SMAP = 1n << 21n;
const ROUNDS = 12;

const ENTRY = (page: number): number => TABLES + 0x3000 + 8 * ((PAGES >> 12) + page);

/** With an address of rbx or rsi and a displacement: mov rax, []; mov [], rax; mov [], dl; movzx edx, byte []; add [], rax;
 * add rax, []; movups xmm0, []; movups [], xmm0; inc word []; lock add [], eax. The register is in the low bits of ModRM. */
const ACCESSES = [
  [0x48, 0x8b, 0x80], [0x48, 0x89, 0x80], [0x88, 0x90], [0x0f, 0xb6, 0x90], [0x48, 0x01, 0x80], [0x48, 0x03, 0x80],
  [0x0f, 0x10, 0x80], [0x0f, 0x11, 0x80], [0x66, 0xff, 0x80], [0xf0, 0x01, 0x80],
]; // prettier-ignore
const RBX = 3;
const RSI = 6;

function access(random: Random): number[] {
  const bytes = [...random.pick(ACCESSES)];
  bytes[bytes.length - 1]! |= random.pick([RBX, RBX, RSI]);
  return [...bytes, ...le32(random.below(8) === 0 ? random.below(9000) - 4500 : random.below(120) - 60)];
}

/** Some moves and accesses, all in all less than 128 bytes. */
function arm(random: Random): number[] {
  const steps = [access(random), move(random), access(random), move(random), access(random)];
  return steps.slice(random.below(4)).flat();
}

/** mov rsi, rbx; lea rsi, [rbx + disp8]; add rbx, imm8; sub rbx, imm8 */
const move = (random: Random): number[] =>
  random.pick([
    [0x48, 0x89, 0xde],
    [0x48, 0x8d, 0x73, random.below(256)],
    [0x48, 0x83, 0xc3, random.below(60)],
    [0x48, 0x83, 0xeb, random.below(60)],
  ]);

/** What a body is made of; all of it leaves rcx, rdi and, taken together, rsp alone. */
function step(random: Random): number[] {
  switch (random.below(12)) {
    case 0: // push rax; an access; pop rdx
      return [0x50, ...access(random), 0x5a];
    case 1: // call to what follows; pop rdx
      return [0xe8, 0, 0, 0, 0, 0x5a];
    case 2:
    case 3:
      return move(random);
    case 4: {
      // test al, 4; jz over the rest
      const rest = [...access(random), ...access(random)];
      return [0xa8, 4, 0x74, rest.length, ...rest];
    }
    case 5: {
      // jz to the second; the first; jmp over the second: on each way rbx and rsi may become something else
      const [first, second] = [arm(random), arm(random)];
      return [0xa8, 4, 0x74, first.length + 2, ...first, 0xeb, second.length, ...second];
    }
    case 6: // cmovz rbx, rdi
      return [0x48, 0x0f, 0x44, 0xdf];
    default:
      return access(random);
  }
}

interface Program {
  readonly body: readonly number[];
  /** Of each page's entry, in the end. */
  readonly flags: readonly number[];
  readonly base: number;
  readonly stack: number;
}

/** @param before regions that are made first: every other has shared looks */
function outcome(tier: string, { body, flags, base, stack }: Program, before = 0) {
  const m = bareMachine(NO_INTERRUPTS, { tier });
  FRAMES.forEach((frame, page) => {
    for (let at = 0; at < 4096; at += 4)
      m.ram.setUint32(frame + at, Math.imul(frame + at, 0x9e37_79b1), true);
    m.ram.setUint32(ENTRY(page), frame | PRESENT_USER | WRITABLE, true);
  });
  for (let n = 0; n < before; n++) {
    // nop; hlt
    m.load([0x90, 0xf4], CODE + 0x2000 + 0x100 * n);
    m.run();
  }
  // mov rbx, rdi; the body; add rdi, 4
  m.load([...repeat(ROUNDS, [0x48, 0x89, 0xfb, ...body, 0x48, 0x83, 0xc7, 4]), 0xf4]);
  const start = (at: number): ExitReason => {
    m.state.gpr[7] = BigInt(PAGES + base);
    m.state.gpr[6] = BigInt(PAGES + base);
    m.state.gpr[4] = BigInt(PAGES + stack);
    m.state.rip = BigInt(at);
    m.state.activity = 0;
    return m.run();
  };
  // Once with all there, so that the code is translated.
  const first = start(CODE);
  if (first !== ExitReason.Halt) return { exit: first };
  FRAMES.forEach((frame, page) =>
    m.ram.setUint32(ENTRY(page), flags[page] === 0 ? 0 : frame | flags[page]!, true),
  );
  m.cpu.flushTlb(true);
  // Then after reads of what is there: mov rax, [page], for each; jmp CODE
  const reads = FRAMES.flatMap((_, page) =>
    flags[page] === 0 ? [] : [0x48, 0x8b, 4, 0x25, ...le32(PAGES + 4096 * page)],
  );
  const again = CODE + 0x1000;
  m.load([...reads, 0xe9, ...le32(CODE - (again + reads.length + 5))], again);
  const exit = start(again);
  const { gpr, rip, cr2 } = m.state;
  const memory = FRAMES.map((frame) =>
    [...new Uint8Array(m.ram.buffer, m.ram.byteOffset + frame, 4096)].join(),
  );
  return { exit, rip, cr2, gpr: [...gpr], flags: m.state.flagsRes, memory };
}

test.each(Array.from({ length: 8 }, (_, seed) => seed))(
  'programs do as tier 0 has them do, seed %i',
  (seed) => {
    const random = new Random(400 + seed);
    const exits = new Set<ExitReason>();
    for (let program = 0; program < 20; program++) {
      const body = Array.from({ length: 3 + random.below(14) }, () => step(random)).flat();
      const flags = FRAMES.map(() => random.pick([7, 7, 7, 7, PRESENT_USER, 0]));
      const base = random.below(3) * 4096 + random.pick([4096, 2000, 2000]) + random.below(80) - 60;
      const stack = random.below(3) * 4096 + random.pick([4096, 2000]) + random.below(4) * 8;
      const all = { body, flags, base, stack };
      const expected = outcome('0', all);
      exits.add(expected.exit);
      for (const [tier, before] of [
        ['eager', 0],
        ['eager', 1],
        ['interrupt', 0],
      ] as const)
        expect(outcome(tier, all, before), `program ${program}, ${tier}, ${before}`).toEqual(expected);
    }
    // Programs end, and others fault.
    expect(exits).toEqual(new Set([ExitReason.Halt, ExitReason.Shutdown]));
  },
);

test.each(['0', 'eager'])('an access behind CLAC asks for itself whether it may be made, tier %s', (tier) => {
  // In turns with and without shared looks.
  for (let times = 0; times < 4; times++) {
    const m = bareMachine(NO_INTERRUPTS, { tier });
    m.ram.setUint32(ENTRY(0), FRAMES[0]! | PRESENT_USER | WRITABLE, true);
    m.state.cr4 |= SMAP;
    m.state.gpr[3] = BigInt(PAGES);
    // What translates in turns has had so many; then the TLB has the page for STAC. stac; mov rax, [rbx]; clac; hlt
    for (let n = 0; n <= times; n++) {
      m.load([0x0f, 0x01, 0xcb, 0x48, 0x8b, 0x03, 0x0f, 0x01, 0xca, 0xf4], CODE + 0x100 * n);
      expect(m.run()).toBe(ExitReason.Halt);
    }
    // The same, but mov rdx, [rbx + 8] before hlt.
    m.load([0x0f, 0x01, 0xcb, 0x48, 0x8b, 0x03, 0x0f, 0x01, 0xca, 0x48, 0x8b, 0x53, 8, 0xf4], CODE + 0x1000);
    expect(m.run()).toBe(ExitReason.Shutdown);
    expect(m.state.rip).toBe(BigInt(CODE + 0x1000 + 9));
  }
});

const WAYS = [['0', 0], ['eager', 0], ['eager', 1], ['interrupt', 0], ['interrupt', 1]] as const; // prettier-ignore

test.each(WAYS)('a page that was read is not written where it may not be, tier %s, %i', (tier, before) => {
  // mov rax, [rdi]; mov [rdi + 8], rax; sub rdi, 4
  const body = [0x48, 0x8b, 0x07, 0x48, 0x89, 0x47, 8, 0x48, 0x83, 0xef, 4];
  const program = { body, flags: [PRESENT_USER, 7, 7, 7], base: 0x100, stack: 0x2000 };
  const { exit, rip, cr2 } = outcome(tier, program, before);
  // Behind mov ecx, and mov rbx, rdi and the first of these.
  expect([exit, rip, cr2]).toEqual([ExitReason.Shutdown, BigInt(CODE + 11), BigInt(PAGES + 0x108)]);
});

test.each(WAYS)('where ways meet, what is known is what all have in common, tier %s, %i', (tier, before) => {
  // test cl, 1; jz to the second; lea rsi, [rdi + 8]; jmp over it; lea rsi, [rdi + 64]; then mov rax, [rdi];
  // mov rdx, [rsi]; add r8, rdx; sub rdi, 4
  const body = [
    0xf6, 0xc1, 1, 0x74, 6, 0x48, 0x8d, 0x77, 8, 0xeb, 4, 0x48, 0x8d, 0x77, 64,
    0x48, 0x8b, 0x07, 0x48, 0x8b, 0x16, 0x49, 0x01, 0xd0, 0x48, 0x83, 0xef, 4,
  ]; // prettier-ignore
  const program = { body, flags: [7, 7, 7, 7], base: 0x100, stack: 0x2000 };
  expect(outcome(tier, program, before)).toEqual(outcome('0', program));
});
