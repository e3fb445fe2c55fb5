/**
 * What the manuals leave undefined, and where processors of the two vendors are known to differ. Nothing else
 * is excused. A row applies to the forms whose name it matches, under its condition; the first operand of a
 * condition is the case, the second the oracle's result.
 *
 * Undefined or vendor-specific and therefore not generated at all:
 * - SHLD and SHRD of 16-bit operands by more than 16: destination and flags undefined (SDM 2, SHLD).
 * - BSWAP of 16-bit registers: undefined (SDM 2, BSWAP).
 * - Precision control 01: reserved (SDM 1, 8.1.5.2).
 * - Near branches with an operand-size prefix in 64-bit mode: ignored by Intel, honoured by AMD.
 * - Undefined opcodes at the end of a page: how far their operands are fetched is not architectural.
 * - LOCK before the instructions on selectors: AMD reads the operand of VERR and VERW before #UD.
 * Not seen by the oracle: the RPL of a null selector in DS, ES, FS or GS, which the kernel's IRET clears (SDM 3A,
 * 5.11.1); null selectors compare equal.
 * - LSS, LFS, LGS and far transfers through memory with REX.W: m16:64 on Intel, ignored on AMD.
 */
import { ranToHalt, type Case, type Result } from './case.ts';

const F = { CF: 0x1, PF: 0x4, AF: 0x10, ZF: 0x40, SF: 0x80, OF: 0x800 } as const;
/** x87 condition codes in the status word. */
const C = { C0: 0x100, C1: 0x200, C2: 0x400, C3: 0x4000, PE: 0x20, UE: 0x10, OE: 0x8 } as const;

/** What is excused. */
export interface Excused {
  /** Bits of RFLAGS. */
  readonly flags?: number;
  /** Bits of the x87 status word. */
  readonly status?: number;
  /** Bytes of the memory operand: offset and length pairs. */
  readonly operand?: readonly (readonly [offset: number, length: number])[];
  /** All of memory. */
  readonly memory?: true;
  /** All x87 registers. */
  readonly x87Registers?: true;
  /** x87 registers may differ by this many units in the last place. */
  readonly x87Ulps?: number;
  /** Single-precision lanes of XMM registers may differ by this part of their value. */
  readonly singleError?: number;
  /** RAX … RDI bits 63:32, and R8 … R15. */
  readonly upperRegisters?: true;
  /** General registers but RSP. */
  readonly registers?: true;
  /** Bits of every general register. */
  readonly registerBits?: bigint;
  /** TOP, and with it which register is ST(0). */
  readonly topOfStack?: true;
  /** The x87 tag word. */
  readonly tags?: true;
  /** The address of a page fault. */
  readonly faultAddress?: true;
  /** The results need not be compared further where both are among these exceptions. */
  readonly faultAmong?: readonly number[];
}

export interface Mask {
  readonly forms: RegExp;
  readonly when?: (of: Case, oracle: Result) => boolean;
  readonly excused: Excused;
  /** Why: manual, section. */
  readonly source: string;
}

/** The shift or rotate count as the processor masks it (SDM 2, SAL/SAR/SHL/SHR: 6 bits for 64-bit operands). */
function shiftCount(of: Case): number {
  const byte = of.name.endsWith('CL') ? Number(of.state.gpr(1) & 0xffn) : (of.code.at(-1) ?? 0);
  return byte & (of.operandSize === 8 ? 63 : 31);
}

/** An extended-precision value as a Number, near enough to compare with a bound. */
function extended(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 10);
  const exponent = view.getUint16(8, true);
  const magnitude = (Number(view.getBigUint64(0, true)) / 2 ** 63) * 2 ** ((exponent & 0x7fff) - 0x3fff);
  return exponent >= 0x8000 ? -magnitude : magnitude;
}

const faulted = (of: Case, oracle: Result): boolean => !ranToHalt(of, oracle);

/** x87 forms that define C0, C2 and C3 or leave them alone by the manual's word. */
const X87_DEFINES_ALL =
  /^(fi?comp?|fcompp|fucomp?|fucompp|fcomp?\d|fcomi?p?|fucomip?|ftst|fxam|fprem1?|fldenv|frstor|fninit|fnsave|fxrstor|fxsave)( |$)/;

export const MASKS: readonly Mask[] = [
  { forms: /^(and|or|xor|test) /, excused: { flags: F.AF }, source: 'SDM 2, AND, OR, XOR, TEST: AF undefined' },
  { forms: /^i?mul /, excused: { flags: F.SF | F.ZF | F.AF | F.PF }, source: 'SDM 2, MUL, IMUL: SF ZF AF PF undefined' },
  {
    forms: /^i?div /,
    excused: { flags: F.CF | F.OF | F.SF | F.ZF | F.AF | F.PF },
    source: 'SDM 2, DIV, IDIV: CF OF SF ZF AF PF undefined',
  },
  {
    forms: /^(shl|shr|sal|sar) /,
    when: (of) => / E[bv],1$/.test(of.name) || shiftCount(of) !== 0,
    excused: { flags: F.AF },
    source: 'SDM 2, SAL/SAR/SHL/SHR: AF undefined for a count other than 0',
  },
  {
    forms: /^(shl|shr|sal|sar|rol|ror|rcl|rcr|shld|shrd) .*,(Ib|CL)$/,
    when: (of) => shiftCount(of) > 1,
    excused: { flags: F.OF },
    source: 'SDM 2, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD, SHRD: OF defined for a count of 1 only',
  },
  {
    forms: /^(shl|shr|sal) .*,(Ib|CL)$/,
    when: (of) => shiftCount(of) >= 8 * of.operandSize,
    excused: { flags: F.CF },
    source: 'SDM 2, SAL/SAR/SHL/SHR: CF undefined for SHL and SHR by the operand size or more',
  },
  {
    forms: /^sh[lr]d /,
    when: (of) => shiftCount(of) !== 0,
    excused: { flags: F.AF },
    source: 'SDM 2, SHLD, SHRD: AF undefined for a count other than 0',
  },
  { forms: /^bt[src]? /, excused: { flags: F.OF | F.SF | F.AF | F.PF }, source: 'SDM 2, BT, BTS, BTR, BTC: OF SF AF PF undefined' },
  { forms: /^bs[fr] /, excused: { flags: F.CF | F.OF | F.SF | F.AF | F.PF }, source: 'SDM 2, BSF, BSR: all but ZF undefined' },
  { forms: /^[tl]zcnt /, excused: { flags: F.OF | F.SF | F.AF | F.PF }, source: 'SDM 2, TZCNT, LZCNT: OF SF PF AF undefined' },
  { forms: /^(aaa|aas)$/, excused: { flags: F.OF | F.SF | F.ZF | F.PF }, source: 'SDM 2, AAA, AAS: OF SF ZF PF undefined' },
  { forms: /^(daa|das)$/, excused: { flags: F.OF }, source: 'SDM 2, DAA, DAS: OF undefined' },
  { forms: /^(aam|aad)$/, excused: { flags: F.OF | F.AF | F.CF }, source: 'SDM 2, AAM, AAD: OF AF CF undefined' },
  { forms: /^(andn|bzhi|blsr|blsmsk|blsi)$/, excused: { flags: F.AF | F.PF }, source: 'SDM 2, ANDN, BZHI, BLSR, BLSMSK, BLSI: AF PF undefined' },
  { forms: /^bextr$/, excused: { flags: F.AF | F.SF | F.PF }, source: 'SDM 2, BEXTR: AF SF PF undefined' },

  {
    forms: /^(f(?!x(save|rstor)).*)$/,
    when: (of) => !X87_DEFINES_ALL.test(of.name) && !/^f(sin|cos|sincos|ptan)$/.test(of.name),
    excused: { status: C.C0 | C.C2 | C.C3 },
    source: 'SDM 1, 8.1.3.2 and SDM 2, each instruction: C0 C2 C3 undefined',
  },
  {
    forms: /^f(sin|cos|sincos|ptan)$/,
    excused: { status: C.C0 | C.C3 },
    source: 'SDM 2, FSIN, FCOS, FSINCOS, FPTAN: C0 C3 undefined',
  },
  {
    forms: /^f(free|freep|nop|nclex|ldcw|nstcw|nstsw|nstenv|wait|neni|ndisi|nsetpm)( |$)/,
    excused: { status: C.C1 },
    source: 'SDM 2, FFREE, FNOP, FCLEX, FLDCW, FSTCW, FSTSW, FSTENV, WAIT: C1 undefined',
  },
  {
    forms: /^f(sin|cos|sincos|ptan|patan|2xm1|yl2x|yl2xp1)$/,
    excused: { x87Ulps: 4, status: C.C1 | C.PE | C.UE },
    source: 'SDM 1, 8.3.10: transcendental results are approximations, within 1 ulp in extended precision',
  },
  {
    forms: /^(f2xm1|fyl2xp1)$/,
    when: (of) => Math.abs(extended(of.state.st(0))) > (of.name === 'f2xm1' ? 1 : 1 - Math.SQRT1_2),
    excused: { x87Registers: true, status: C.C1 | C.PE | C.UE | C.OE },
    source: 'SDM 2, F2XM1, FYL2XP1: the result is undefined where the source lies outside its range',
  },
  {
    forms: /^v?(rcp|rsqrt)[ps]s( 128| 256)?$/,
    excused: { singleError: 3 * 2 ** -12 },
    source: 'SDM 2, RCPPS, RSQRTPS: relative error at most 1.5 * 2^-12',
  },

  {
    forms: /^(fcmov\w+|fu?comip?)$/,
    excused: { status: C.C1 },
    source: 'SDM 2, FCMOVcc: C1 defined for stack underflow only; FCOMI clears it on Intel, AMD leaves it (APM 5, FCOMI)',
  },
  {
    forms: /^fprem1?$/,
    when: (_, oracle) => (oracle.state.st(0)[9] & 0x7f) === 0x7f || (oracle.state.fsw & 0xc0) !== 0,
    excused: { status: C.C0 | C.C1 | C.C2 | C.C3 },
    source: 'SDM 2, FPREM, FPREM1: quotient bits and completion say nothing where the operation was invalid',
  },
  {
    forms: /^fld st\(i\)$/,
    when: (_, oracle) => (oracle.state.fsw & 0x41) === 0x41,
    excused: { status: C.C1 },
    source: 'SDM 2, FLD: with an empty source and a full stack, whether underflow or overflow is reported is not said',
  },

  // The pointers to the last instruction and operand, and what images hold of them.
  {
    forms: /^fnstenv$|^fnsave$/,
    when: (of) => of.operandSize === 2,
    excused: { operand: [[6, 8]] },
    source: 'SDM 1, 8.1.8: FIP FDP FOP depend on the processor (AMD: APM 2, 11.4.4; FCS and FDS deprecated)',
  },
  {
    forms: /^fnstenv$|^fnsave$/,
    when: (of) => of.operandSize !== 2,
    excused: { operand: [[12, 16]] },
    source: 'SDM 1, 8.1.8: as above, 32-bit image',
  },
  {
    forms: /^fxsave$/,
    excused: { operand: [[6, 18], [28, 4]] },
    source: 'SDM 1, 8.1.8: as above; SDM 1, 11.6.6: MXCSR_MASK depends on the processor',
  },

  // Several stores in one instruction: those before the one that faults may have been made.
  {
    forms: /^(fnstenv|fnsave|fxsave|fstp m80|fbstp|pusha|enter|call far|call far M|maskmov(q|dqu)|xsave)$/,
    when: faulted,
    excused: { memory: true },
    source: 'SDM 3A, 6.5: partial stores of an instruction that faults; SDM 2, MASKMOVDQU: implementation-dependent',
  },

  {
    forms: /^(retf|retf q|retf Iw|iret|iret q|popa|pusha|enter|leave|bound|l[defgs]s|lss|(call|jmp) far M|call far|fldenv|frstor|fnstenv|fnsave|fxsave|fxrstor|cmps [bv]|movs [bv])$/,
    when: (_, oracle) => oracle.vector === 14,
    excused: { faultAddress: true },
    source: 'SDM 2, each Operation: the order of several accesses of one instruction is not architectural',
  },
  {
    forms: /^fxrstor$/,
    excused: { faultAmong: [13, 14] },
    source: 'SDM 2, FXRSTOR: whether MXCSR is checked before the whole image has been read is not said',
  },
  {
    forms: /^retf( q| Iw)?$/,
    excused: { faultAmong: [13, 14] },
    source: 'SDM 2, RET: whether the caller-to-be\'s stack is read before its selector is checked is not said',
  },
  {
    forms: /^popa$/,
    when: faulted,
    excused: { registers: true },
    source: 'SDM 3A, 6.5: a POPA that faults may have loaded some registers; it is restarted from its own RSP',
  },
  {
    forms: /./,
    when: (of) => (of.state.rflags & 0x4_0000n) !== 0n,
    excused: { faultAmong: [12, 13, 14, 17] },
    source: 'SDM 3A, table 6-2: which of several faults of one class comes first depends on the implementation',
  },
  {
    forms: /^emms$/,
    excused: { topOfStack: true },
    source: 'SDM 1, 9.5.1: MMX instructions other than EMMS set TOP to 0; on AMD EMMS does too (APM 5, EMMS)',
  },
  {
    forms: /^maskmovq$/,
    when: faulted,
    excused: { topOfStack: true, tags: true },
    source: 'SDM 2, MASKMOVQ: whether a store that faults has made the transition to MMX state depends on the processor',
  },
  {
    forms: /^lar$/,
    excused: { registerBits: 0xf_0000n },
    source: 'SDM 2, LAR: bits 19:16 of the result are undefined',
  },

  {
    forms: /^(retf|retf q|retf Iw|iret|iret q|jmp far|call far|jmp far M|call far M)$/,
    when: (of, oracle) => oracle.state.selector(1) !== of.state.selector(1),
    excused: { upperRegisters: true },
    source: 'SDM 1, 3.4.1.1: upper registers are undefined after leaving 64-bit mode',
  },
]; // prettier-ignore

/** All that is excused for a case, rows put together. */
export interface AllExcused {
  readonly flags: number;
  readonly status: number;
  readonly operand: readonly (readonly [number, number])[];
  readonly memory: boolean;
  readonly x87Registers: boolean;
  readonly x87Ulps: number;
  readonly singleError: number;
  readonly upperRegisters: boolean;
  readonly registers: boolean;
  readonly registerBits: bigint;
  readonly topOfStack: boolean;
  readonly tags: boolean;
  readonly faultAddress: boolean;
  readonly faultAmong: readonly number[];
}

export function excusedFor(of: Case, oracle: Result): AllExcused {
  const rows = MASKS.filter((mask) => mask.forms.test(of.name) && (mask.when?.(of, oracle) ?? true));
  const all = rows.map((mask) => mask.excused);
  return {
    flags: all.reduce((bits, each) => bits | (each.flags ?? 0), 0),
    status: all.reduce((bits, each) => bits | (each.status ?? 0), 0),
    operand: all.flatMap((each) => each.operand ?? []),
    memory: all.some((each) => each.memory === true),
    x87Registers: all.some((each) => each.x87Registers === true),
    x87Ulps: Math.max(0, ...all.map((each) => each.x87Ulps ?? 0)),
    singleError: Math.max(0, ...all.map((each) => each.singleError ?? 0)),
    upperRegisters: all.some((each) => each.upperRegisters === true),
    registers: all.some((each) => each.registers === true),
    registerBits: all.reduce((bits, each) => bits | (each.registerBits ?? 0n), 0n),
    topOfStack: all.some((each) => each.topOfStack === true),
    tags: all.some((each) => each.tags === true),
    faultAddress: all.some((each) => each.faultAddress === true),
    faultAmong: all.flatMap((each) => each.faultAmong ?? []),
  };
}

/** True where a form may leave something undefined that a following instruction could pass on. The condition
 * codes of the x87 do not count: a sequence excuses them as a whole (see {@link excusedInSequence}). */
export function leavesUndefined(form: string): boolean {
  return MASKS.some((mask) => {
    const { flags = 0, x87Ulps = 0, singleError = 0, topOfStack = false } = mask.excused;
    return mask.forms.test(form) && (flags !== 0 || x87Ulps !== 0 || singleError !== 0 || topOfStack);
  }) || /^f(nstsw|n?stenv|nsave|cmov)/.test(form);
} // prettier-ignore

/** Bits of the x87 status word excused in a sequence of x87 instructions: each may leave C0, C2, C3 undefined. */
export const excusedInSequence = C.C0 | C.C1 | C.C2 | C.C3;
