/** Instructions that lie on two pages, the second of which is mapped elsewhere later. */
import { expect, test } from 'vitest';
import { ExitReason } from '../contract.ts';
import { bareMachine, CODE, le32, NO_INTERRUPTS, TABLES } from './bare-machine.ts';

const FIRST = 0x2_0000;
const SECOND = FIRST + 0x1000;
/** What SECOND is mapped to, in turn. */
const FRAMES = [0x3_0000, 0x3_1000];
const ENTRY = TABLES + 0x3000 + 8 * (SECOND >> 12);

/** A jump within the first page to an instruction that crosses; `rounds` calls before and after the change. */
function run(tier: string, rounds: number): bigint[] {
  const m = bareMachine(NO_INTERRUPTS, { tier });
  const jump = FIRST + 0xf00;
  const crossing = FIRST + 0xffe;
  m.load([0xe9, ...le32(crossing - (jump + 5))], jump);
  // mov eax, imm32, the upper three bytes of which are on the second page; ret
  m.load([0xb8, 0x77], crossing);
  m.load([0x11, 0x22, 0x33, 0xc3], FRAMES[0]);
  m.load([0x44, 0x55, 0x66, 0xc3], FRAMES[1]);
  m.ram.setUint32(ENTRY, FRAMES[0]! | 7, true);
  const program: number[] = [];
  const calls = () => {
    // mov ecx, rounds; l: call jump; dec ecx; jnz l
    program.push(0xb9, ...le32(rounds));
    program.push(0xe8, ...le32(jump - (CODE + program.length + 5)), 0xff, 0xc9, 0x75, 0xf7);
  };
  calls();
  // mov ebx, eax; mov dword [ENTRY], the other frame; invlpg [SECOND]
  program.push(0x89, 0xc3, 0xc7, 0x04, 0x25, ...le32(ENTRY), ...le32(FRAMES[1]! | 7));
  program.push(0x0f, 0x01, 0x3c, 0x25, ...le32(SECOND));
  calls();
  program.push(0xf4);
  m.load(program);
  expect(m.run()).toBe(ExitReason.Halt);
  return [m.state.gpr[3]!, m.state.gpr[0]!];
}

test.each([
  ['0', 3],
  ['1', 3],
  ['1', 300_000],
  ['eager', 3],
  ['eager', 3000],
])('the code that is mapped now is run, tier %s, %i times', (tier, rounds) => {
  expect(run(tier, rounds)).toEqual([0x3322_1177n, 0x6655_4477n]);
});
