/**
 * Opcode rows of the x87 FPU: D8 … DF and 9B, in the notation of rows.ts. `N` stands for ST(i), whose number is in
 * modrm.rm.
 *
 * Intel SDM volume 2, appendix A, tables A-7 … A-22; the aliases it leaves blank (FSTP, FXCH, FCOM and FCOMP at
 * other places) are what every processor does there.
 */

const OPERATIONS = ['add', 'mul', 'com', 'comp', 'sub', 'subr', 'div', 'divr'];

/** Two operands: ST(0) with ST(i) or memory, and ST(i) with ST(0), where the reversed opcodes change places. */
const arithmetic = OPERATIONS.flatMap((name, i) => {
  const reversed = i < 4 ? i : i ^ 1;
  const memory = [
    `d8/${i} m f${name}_m32 Md x87 ro hot`,
    `dc/${i} m f${name}_m64 Mq x87 ro hot`,
    `da/${i} m fi${name}_m32 Md x87 ro`,
    `de/${i} m fi${name}_m16 Mw x87 ro`,
    `d8/${i} r f${name}_st Nq x87`,
  ];
  if (name.startsWith('com')) return memory;
  return [...memory, `dc/${reversed} r f${name}_sti Nq x87`, `de/${reversed} r f${name}p_sti Nq x87`];
});

const whole = (opcode: string, first: number, names: readonly string[], attributes = ''): string[] =>
  names.flatMap((name, i) =>
    name === '' ? [] : [`${opcode}/${(first + i).toString(16)} ${name} x87 ${attributes}`],
  );

const CONDITIONS = ['b', 'e', 'be', 'u'];

export const X87_ROWS = [
  ...arithmetic,
  // Aliases of comparisons.
  'dc/2 r fcom_st Nq x87',
  'dc/3 r fcomp_st Nq x87',
  'de/2 r fcomp_st Nq x87',

  'd9/0 m fld_m32 Md x87 ro hot',
  'dd/0 m fld_m64 Mq x87 ro hot',
  'db/5 m fld_m80 Ms x87 ro memory=10 hot',
  'd9/0 r fld_st Nq x87',
  'df/0 m fild_m16 Mw x87 ro hot',
  'db/0 m fild_m32 Md x87 ro hot',
  'df/5 m fild_m64 Mq x87 ro hot',
  'df/4 m fbld Ms x87 ro memory=10',
  ...whole('d9', 0xe8, ['fld1', 'fldl2t', 'fldl2e', 'fldpi', 'fldlg2', 'fldln2', 'fldz']),

  'd9/2 m fst_m32 Md x87 hot',
  'd9/3 m fstp_m32 Md x87 hot',
  'dd/2 m fst_m64 Mq x87 hot',
  'dd/3 m fstp_m64 Mq x87 hot',
  'db/7 m fstp_m80 Ms x87 memory=10 hot',
  'dd/2 r fst_st Nq x87',
  'dd/3 r fstp_st Nq x87',
  'd9/3 r fstp_quiet Nq x87',
  'df/2 r fstp_st Nq x87',
  'df/3 r fstp_st Nq x87',
  'df/2 m fist_m16 Mw x87',
  'df/3 m fistp_m16 Mw x87',
  'db/2 m fist_m32 Md x87',
  'db/3 m fistp_m32 Md x87 hot',
  'df/7 m fistp_m64 Mq x87 hot',
  'df/1 m fisttp_m16 Mw x87 feature=sse3',
  'db/1 m fisttp_m32 Md x87 feature=sse3',
  'dd/1 m fisttp_m64 Mq x87 feature=sse3',
  'df/6 m fbstp Ms x87 memory=10',

  'd9/1 r fxch Nq x87',
  'dd/1 r fxch Nq x87',
  'df/1 r fxch Nq x87',
  'dd/0 r ffree Nq x87',
  'df/0 r ffreep Nq x87',
  ...CONDITIONS.map((name, i) => `da/${i} r fcmov${name} Nq x87 feature=cmov`),
  ...CONDITIONS.map((name, i) => `db/${i} r fcmovn${name} Nq x87 feature=cmov`),
  'dd/4 r fucom Nq x87',
  'dd/5 r fucomp Nq x87',
  'da/e9 fucompp x87',
  'de/d9 fcompp x87',
  'db/5 r fucomi Nq x87 feature=cmov',
  'db/6 r fcomi Nq x87 feature=cmov',
  'df/5 r fucomip Nq x87 feature=cmov',
  'df/6 r fcomip Nq x87 feature=cmov',

  ...whole('d9', 0xd0, ['fnop']),
  ...whole('d9', 0xe0, ['fchs', 'fabs', '', '', 'ftst', 'fxam']),
  ...whole('d9', 0xf4, ['fxtract', 'fprem1', 'fdecstp', 'fincstp', 'fprem']),
  ...whole('d9', 0xfa, ['fsqrt', '', 'frndint', 'fscale']),
  ...whole('d9', 0xf0, ['f2xm1', 'fyl2x', 'fptan', 'fpatan'], 'ts'),
  ...whole('d9', 0xf9, ['fyl2xp1', '', 'fsincos', '', '', 'fsin', 'fcos'], 'ts'),

  'd9/5 m fldcw Mw x87 ro',
  'd9/7 m fnstcw Mw x87',
  'dd/7 m fnstsw Mw x87',
  'df/e0 fnstsw_ax x87',
  // FENI, FDISI and FSETPM of earlier coprocessors do nothing.
  ...whole('db', 0xe0, ['fsetpm', 'fsetpm', 'fnclex', 'fninit', 'fsetpm']),
  'd9/4 m fldenv Ms x87 ts nocheck',
  'd9/6 m fnstenv Ms x87 ts nocheck',
  'dd/4 m frstor Ms x87 ts nocheck',
  'dd/6 m fnsave Ms x87 ts nocheck',
  '9b fwait',
  // Undefined, but with an operand that is fetched first.
  ...['d9/1', 'db/4', 'db/6', 'dd/5'].map((opcode) => `${opcode} m ud1 Ms nocheck end`),
].join('\n');
