/**
 * Random machine code: bytes that are nonsense, and bytes that are nearly sense. Purely random bytes mostly end
 * at the first undefined opcode or page fault, so most of what is made here has the shape of an instruction,
 * with the ones that touch the system's state far more often than chance would have them.
 *
 * Opcodes as in the SDM volume 2, appendix A.
 */
import type { Random } from '../../engine/base/random.ts';

/** Everything that may stand before an opcode, REX included. */
const PREFIXES = [
  0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x66, 0x67, 0x67, 0xf0, 0xf2, 0xf3, 0x40, 0x41, 0x44, 0x48, 0x48, 0x4c,
  0x4f,
]; // prettier-ignore

/** MSRs that exist, and neighbours of theirs that do not. */
const MSRS = [
  0x10, 0x17, 0x1b, 0x3a, 0x3b, 0x48, 0x49, 0x8b, 0x9b, 0xc1, 0xfe, 0x10a, 0x174, 0x175, 0x176, 0x179, 0x17a, 0x186,
  0x1a0, 0x1d9, 0x200, 0x201, 0x20f, 0x210, 0x250, 0x258, 0x268, 0x26f, 0x277, 0x2ff, 0x400, 0x6e0, 0x800, 0x802,
  0x808, 0x830, 0x83f, 0xda0, 0xc000_0080, 0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084, 0xc000_0100,
  0xc000_0101, 0xc000_0102, 0xc000_0103, 0xc001_0010, 0xdead_beef,
]; // prettier-ignore

/** Two-byte opcodes of the system: SLDT and LGDT groups, LAR, LSL, SYSCALL, CLTS, WBINVD, MOV CRn and DRn,
 * WRMSR, RDMSR, SYSENTER, segment pushes, RSM, CMPXCHG8B's group, FXSAVE's group, UD. */
const SYSTEM_0F = [
  0x00, 0x00, 0x01, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0b, 0x20, 0x20, 0x21, 0x22, 0x22, 0x23, 0x30,
  0x31, 0x32, 0x33, 0x34, 0x35, 0xa0, 0xa1, 0xa2, 0xa8, 0xa9, 0xaa, 0xae, 0xb2, 0xb4, 0xb5, 0xb9, 0xc7, 0xff,
]; // prettier-ignore

/** One-byte opcodes that reach the system or transfer control: segment loads, strings with ports, far calls
 * and returns, flags, interrupts, I/O, halt, the x87. */
const SYSTEM_ONE = [
  0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x62, 0x63, 0x6c, 0x6d, 0x6e, 0x6f, 0x8c, 0x8e, 0x8e, 0x8f, 0x9a, 0x9b,
  0x9c, 0x9d, 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0xc2, 0xc3, 0xc4, 0xc5, 0xc8, 0xc9, 0xca,
  0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xcf, 0xd7, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xe2, 0xe3, 0xe4,
  0xe5, 0xe6, 0xe7, 0xe8, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef, 0xf1, 0xf4, 0xfa, 0xfb, 0xff,
]; // prettier-ignore

/** Numbers at which something begins or ends, 32 bits. */
const EDGES = [
  0, 1, 2, 7, 8, 0x0f, 0x1f, 0x40, 0x7f, 0x80, 0xff, 0x100, 0xffc, 0xfff, 0x1000, 0x7fff, 0x8000, 0xfff8, 0xffff,
  0x1_0000, 0x2_0ffd, 0x1f_ffff, 0x20_0000, 0x20_fff9, 0x7fff_ffff, 0x8000_0000, 0xfee0_0000, 0xffff_f000,
  0xffff_fffe, 0xffff_ffff,
]; // prettier-ignore

/** A 32-bit number, often one at an edge. */
export function edge32(random: Random): number {
  const chosen = random.oneIn(3) ? random.next() : random.pick(EDGES);
  return random.oneIn(4) ? (chosen + random.below(16) - 8) >>> 0 : chosen;
}

/** A 64-bit number, often one that is a good address, or nearly. */
export function edge64(random: Random): bigint {
  switch (random.below(8)) {
    case 0:
      return random.next64();
    case 1:
      return 0xffff_8000_0000_0000n + BigInt(edge32(random) & 0xf_ffff);
    case 2:
      return BigInt.asUintN(64, 0x7fff_ffff_fff8n + BigInt(random.below(16)));
    case 3:
      return BigInt.asUintN(64, -BigInt(random.below(64)));
    case 4:
      return BigInt(edge32(random));
    default:
      // Within the first MiB of RAM, where the fuzzed machine keeps its tables, stacks and code.
      return BigInt(random.below(0x4_0000));
  }
}

const bytes32 = (value: number): number[] => [
  value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24,
]; // prettier-ignore

/** What follows an opcode: ModRM, perhaps SIB, displacement and immediate; too much of it is just the next
 * instruction. */
function operands(random: Random): number[] {
  const modrm = random.below(256);
  const rest = random.oneIn(2) ? [random.below(256)] : [];
  switch (random.below(4)) {
    case 0:
      return [modrm];
    case 1:
      return [modrm, ...rest, random.below(256)];
    default:
      return [modrm, ...rest, ...bytes32(edge32(random)), ...(random.oneIn(3) ? [random.below(256)] : [])];
  }
}

/** MOV r32, imm32 (in a 16-bit segment its immediate is half as long, and the rest some other instruction). */
const load = (register: number, value: number): number[] => [0xb8 + register, ...bytes32(value)];

/** An instruction with what it needs in its registers, so that it gets past its first checks. */
function prepared(random: Random): number[] {
  switch (random.below(8)) {
    case 0: // WRMSR or RDMSR
      return [
        ...load(1, random.pick(MSRS)),
        ...(random.oneIn(2) ? load(0, edge32(random)) : []),
        ...(random.oneIn(2) ? load(2, random.oneIn(2) ? 0 : edge32(random)) : []),
        0x0f,
        random.oneIn(3) ? 0x32 : 0x30,
      ];
    case 1: {
      // A bit of a control register flipped: MOV r, CRn; BTC r, bit; MOV CRn, r
      const modrm = 0xc0 | (random.pick([0, 0, 3, 4, 4, 8]) << 3);
      const rex = random.oneIn(4) ? [random.pick([0x44, 0x48])] : [];
      return [...rex, 0x0f, 0x20, modrm & 0xff, 0x0f, 0xba, 0xf8, random.below(32), ...rex, 0x0f, 0x22, modrm & 0xff];
    } // prettier-ignore
    case 2: // LGDT, LIDT, SGDT, SIDT, SMSW, LMSW, INVLPG, SWAPGS and RDTSCP, XGETBV and XSETBV
      return [0x0f, 0x01, ...operands(random)];
    case 3: // MOV to a segment register of a selector that may be good
      return [...load(0, random.below(64) * 8 + random.below(8)), 0x8e, 0xc0 | (random.below(6) << 3)];
    case 4: // LLDT, LTR, VERR, VERW
      return [...load(0, random.below(64) * 8), 0x0f, 0x00, 0xc0 | (random.below(8) << 3)];
    case 5: // a repeated string instruction with a small or a boundless count
      return [
        ...load(1, random.oneIn(3) ? edge32(random) : random.below(300)),
        ...(random.oneIn(2) ? [random.pick(PREFIXES)] : []),
        random.pick([0xf2, 0xf3]),
        random.pick([0x6c, 0x6d, 0x6e, 0x6f, 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf]),
      ];
    case 6: // FXSAVE, FXRSTOR, LDMXCSR, STMXCSR, XSAVE, XRSTOR, fences
      return [...load(0, edge32(random) & 7), ...load(2, 0), 0x0f, 0xae, ...operands(random)];
    default: // far jump or call to a selector that may be good
      return [
        random.pick([0x9a, 0xea]),
        ...bytes32(random.below(0x1_0000)),
        random.below(256),
        random.below(2),
      ];
  }
}

/** One instruction, or what could pass for one. */
function instruction(random: Random): number[] {
  const prefixes: number[] = [];
  if (random.oneIn(2)) prefixes.push(random.pick(PREFIXES));
  while (random.oneIn(4)) prefixes.push(random.pick(PREFIXES));
  switch (random.below(10)) {
    case 0:
      return [...prefixes, random.below(256), ...operands(random)];
    case 1:
      return [...prefixes, 0x0f, random.below(256), ...operands(random)];
    case 2:
      return [...prefixes, 0x0f, random.pick([0x38, 0x3a]), random.below(256), ...operands(random)];
    case 3:
      return [...prefixes, 0x0f, random.pick(SYSTEM_0F), ...operands(random)];
    case 4:
      return [...prefixes, random.pick(SYSTEM_ONE), ...operands(random)];
    case 5: // VEX; in other modes than 64-bit LES and LDS
      return random.oneIn(2)
        ? [...prefixes, 0xc5, random.below(256), random.below(256), ...operands(random)]
        : [...prefixes, 0xc4, random.below(256), random.below(256), random.below(256), ...operands(random)];
    case 6: // a short jump, mostly backwards: loops, and code that overlaps itself
      return [
        random.pick([0x70, 0x72, 0x74, 0x75, 0x7c, 0x7f, 0xe2, 0xe3, 0xeb]),
        (0xe0 + random.below(0x30)) & 0xff,
      ];
    case 7:
      return Array.from({ length: 1 + random.below(16) }, () => random.below(256));
    default:
      return prepared(random);
  }
}

/** Fills `into` with code. */
export function fillWithCode(random: Random, into: Uint8Array): void {
  for (let at = 0; at < into.length;) {
    const code = instruction(random).slice(0, into.length - at);
    into.set(code, at);
    at += code.length;
  }
}
