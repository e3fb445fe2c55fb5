/** What regions leave to tier 0: it finds everything as it was before the instruction. */
import { describe, expect, test, vi } from 'vitest';
import { Arena } from '../../../memory/layout.ts';
import { Coherence, coherenceBytes } from '../../../vcpu/coherence.ts';
import { ExitReason } from '../../contract.ts';
import { HOT } from '../interpreter/entry-count.ts';
import { Cr4 } from '../system/registers.ts';
import { bareMachine, CODE, DATA, le32, MIB, NO_INTERRUPTS, repeat, STACK, TABLES } from '../bare-machine.ts';

const PRESENT = 7;
/** The last two pages of the lower canonical addresses, and where they lie. */
const EDGE = 0x7fff_ffff_e000n;
const FRAME = 0x1f_e000;
/** So often that all of it is translated together. */
const ROUNDS = 50_000;

const COPIED = 20_000;

const JUMPS = [
  ['jmp', [0xe9]],
  ['call', [0xe8]],
  ['jz', [0x0f, 0x84]],
] as const;

test.each(['0', 'eager', 'interrupt'])(
  'a jump beyond canonical addresses faults where it stands, tier %s',
  (tier) => {
    for (const [name, opcode] of JUMPS) {
      const m = bareMachine(NO_INTERRUPTS, { tier });
      m.ram.setUint32(TABLES + 8 * 255, (TABLES + 0x1000) | PRESENT, true);
      m.ram.setUint32(TABLES + 0x1000 + 8 * 511, (TABLES + 0x2000) | PRESENT, true);
      m.ram.setUint32(TABLES + 0x2000 + 8 * 511, (TABLES + 0x3000) | PRESENT, true);
      // inc rbx; jmp to the next page; there dec ecx; jnz back; and the jump
      const first = [0x48, 0xff, 0xc3];
      m.load([...first, 0xe9, ...le32(0x1000 - first.length - 5)], FRAME);
      const back = [0xff, 0xc9, 0x0f, 0x85, ...le32(-0x1000 - 8)];
      m.load([...back, ...opcode, ...le32(0x1010 - back.length - opcode.length - 4)], FRAME + 0x1000);
      m.state.gpr[1] = BigInt(ROUNDS);
      m.state.rip = EDGE;
      expect(m.run(1_000_000), name).toBe(ExitReason.Shutdown);
      const { rip, gpr } = m.state;
      expect([rip, gpr[3], gpr[4]], name).toEqual([EDGE + 0x1008n, BigInt(ROUNDS), BigInt(STACK)]);
    }
  },
);

describe.each(['0', '1', 'eager', 'interrupt'])('with 5-level paging, tier %s', (tier) => {
  const FUNCTION = 0x2_0000;
  const WIDE = 1n << 48n;
  /** Calls a function again and again, all of it above or below 2^48: inc rdx; ret. */
  const calling = (where: bigint, target: bigint) => {
    const m = bareMachine(NO_INTERRUPTS, { tier });
    const top = 2 * MIB;
    m.ram.setUint32(top, TABLES | PRESENT, true);
    m.ram.setUint32(top + 8, TABLES | PRESENT, true);
    m.state.cr3 = BigInt(top);
    m.state.cr4 |= BigInt(Cr4.LA57);
    m.load([0x48, 0xff, 0xc2, 0xc3], FUNCTION);
    m.load([...repeat(ROUNDS, [0xff, 0xd3]), 0xf4]); // call rbx
    m.state.gpr[2] = 0n;
    m.state.gpr[3] = target;
    m.state.rip = where + BigInt(CODE);
    return { reason: m.run(1_000_000), rip: m.state.rip - where, done: m.state.gpr[2] };
  };
  const all = { reason: ExitReason.Halt, rip: BigInt(CODE + 5 + 2 + 8 + 1), done: BigInt(ROUNDS) };

  test.each([
    ['calls', 0n, WIDE],
    ['returns', WIDE, 0n],
    ['both', WIDE, WIDE],
  ])('%s go to what is canonical in 57 bits', (_what, where, other) => {
    expect(calling(where, other + BigInt(FUNCTION))).toEqual(all);
  });

  test('what is not canonical in 57 bits faults where it stands', () => {
    const faulting = { reason: ExitReason.Shutdown, rip: BigInt(CODE + 5), done: 0n };
    expect(calling(0n, (1n << 56n) + BigInt(FUNCTION))).toEqual(faulting);
  });
});

test('all that has been run is counted, whoever ran it', () => {
  // add rbx, rcx; mov rax, [rbx + DATA]; div ecx; add rbx, 4096: each round on a page of its own
  const body = [
    0x48, 0x01, 0xcb, 0x48, 0x8b, 0x83, ...le32(DATA), 0x31, 0xd2, 0xf7, 0xf1, 0x48, 0x81, 0xc3, ...le32(4096),
  ]; // prettier-ignore
  const counted = ['0', 'eager', 'interrupt'].map((tier) => {
    const m = bareMachine(NO_INTERRUPTS, { tier });
    m.load([...repeat(20, body), 0xf4]);
    expect(m.run(100_000)).toBe(ExitReason.Halt);
    return m.cpu.instructions();
  });
  const each = 7;
  expect(counted).toEqual(counted.map(() => 1 + 20 * each + 1));
});

/** Goes round with MOVSB, which regions leave to tier 0, at the end of each. */
function withMovsb(tier: string, body: readonly number[]) {
  const m = bareMachine(NO_INTERRUPTS, { tier });
  m.load([...repeat(COPIED, [...body, 0xa4]), 0xf4]);
  m.state.gpr[3] = 0n;
  m.state.gpr[6] = BigInt(DATA);
  m.state.gpr[7] = BigInt(DATA + COPIED);
  expect(m.run(1_000_000)).toBe(ExitReason.Halt);
  return m;
}

test('what a region has run is counted when tier 0 has gone straight to it', () => {
  const body = 5;
  // inc ebx, five times
  const m = withMovsb('1', Array.from({ length: body }, () => [0xff, 0xc3]).flat());
  const counted = m.cpu.statistics()['instructions run in tier 1']!;
  expect(counted).toBeLessThanOrEqual(body * COPIED);
  expect(counted).toBeGreaterThan(body * (COPIED - 2 * HOT));
});

test.each(['0', '1', 'eager'])('carries are handed on to tier 0, tier %s', (tier) => {
  // adc ebx, 0; stc: MOVSB, DEC and JNZ leave CF alone
  const m = withMovsb(tier, [0x83, 0xd3, 0x00, 0xf9, 0x90, 0x90]);
  expect(m.state.gpr[3]).toBe(BigInt(COPIED - 1));
});

test.each(['0', 'eager'])('a locked operand that is not aligned has the vCPU alone, tier %s', (tier) => {
  const pages = 0x8000;
  const bytes = coherenceBytes(pages, 2);
  const coherence = new Coherence(new Arena(new SharedArrayBuffer(bytes), 0, bytes), pages, 2, {
    post: () => {},
  });
  const alone = vi.spyOn(coherence.gate, 'beAlone');
  const m = bareMachine(NO_INTERRUPTS, { tier, coherence });
  // lock add [DATA + 8], eax; lock add [DATA + 1], eax
  const lockAdd = (at: number): number[] => [0xf0, 0x01, 0x04, 0x25, ...le32(at)];
  m.state.gpr[0] = 1n;
  m.load([...repeat(5, lockAdd(DATA + 8)), 0xf4], CODE);
  expect(m.run()).toBe(ExitReason.Halt);
  expect(alone).not.toHaveBeenCalled();
  m.load([...repeat(5, lockAdd(DATA + 1)), 0xf4], CODE + 0x100);
  expect(m.run()).toBe(ExitReason.Halt);
  expect(alone).toHaveBeenCalledTimes(5);
  expect([m.ram.getUint32(DATA + 8, true), m.ram.getUint32(DATA + 1, true)]).toEqual([5, 5]);
});
