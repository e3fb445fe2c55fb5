/**
 * Opcode rows of AVX, in the notation of rows.ts: the SSE instructions' VEX forms, which follow from their rows, and
 * what exists as VEX only. Both share the SSE instructions' functions, see semantics/vex.ts.
 *
 * Intel SDM volume 1, 14.1 … 14.3; volume 2, 2.3 and each instruction.
 */
import { SSE_ROWS } from './table-sse.ts';

/** SSE instructions that do not read their first operand, so that VEX.vvvv names none. */
const UNARY =
  /^(mov[au]ps|movss_load|movq_load|movq_store|movhps_store|u?comis[sd]|movmskp[sd]|sqrtp[sd]|rsqrtps|rcpps|ldmxcsr|stmxcsr|cvt(ps2pd|pd2ps|dq2ps|t?ps2dq|t?pd2dq|dq2pd|t?s[sd]2si)|movd|movd_store|pshuf(d|hw|lw)|pextr.*|extractps|pmovmskb|mov(sl|sh|d)dup|pabs.|pmov[sz]x.*|ptest|phminposuw|roundp[sd]|pcmp[ei]str.|aesimc|aeskeygenassist|maskmovdqu)$/;

/** Those on one element, whose vector length is ignored. */
const SCALAR =
  /^(movss|movss_load|movsd|u?comis[sd]|cvt(t?s[sd]2si|si2s[sd]|ss2sd|sd2ss)|(add|sub|mul|div|min|max|sqrt|rcp|rsqrt|round)s[sd]|cmps[sd](_xmm)?)$/;

/** Those that exist with 128-bit vectors only. */
const NARROW =
  /^(mov[lh]ps|movhlps|movlhps|movhps_store|movd|movd_store|movq_load|movq_store|pinsr.|pextr.*|extractps|insertps|phminposuw|pcmp[ei]str.|aesimc|aeskeygenassist|dppd|maskmovdqu|ldmxcsr|stmxcsr)$/;

/** Opcodes whose 256-bit forms came with AVX; those of the others, on integers, came with AVX2. */
const AVX_OPCODES: Readonly<Record<string, RegExp>> = {
  '0f': /^(1[0-7]|2[89b]|5[0-9a-f]|6f|7[cdf]|c[26]|d0|e[67]|f0)$/,
  '0f38': /^17$/,
  '0f3a': /^(08|09|0c|0d|40)$/,
};

/** 256-bit forms with a function of their own: they bring both lanes together. */
const ACROSS = new Set(['pmovmskb', 'movmskps', 'movmskpd', 'ptest']);

/** Bytes of memory operands of 256-bit forms that are not twice the 128-bit form's. */
const MEMORY: Readonly<Record<string, number>> = {
  movddup: 32, psllw: 16, pslld: 16, psllq: 16, psrlw: 16, psrld: 16, psrlq: 16, psraw: 16, psrad: 16,
}; // prettier-ignore

const BYTES: Readonly<Record<string, number>> = { w: 2, d: 4, q: 8, x: 16 };

/** The VEX forms of one row of table-sse.ts. */
function vexForms(row: string): string[] {
  const match = /^(np|66|f3|f2) (0f\w*) (\w\w)(\/\d)?( [rm])? (\w+) (\S+)(.*)$/.exec(row);
  if (match === null) return [];
  const [
    ,
    prefix = '',
    map = '',
    opcode = '',
    extension = '',
    mod = '',
    name = '',
    operands = '',
    rest = '',
  ] = match;
  const words = rest.split(' ').filter((word) => word !== '');
  const isSse = words.includes('sse') && !words.includes('mmx') && !words.includes('feature=sha_ni');
  // Blends by XMM0 have another encoding, and scalar stores an operand more between registers.
  if (!isSse || /^p?blendv/.test(name) || (opcode === '11' && /^movs[sd]$/.test(name))) return [];
  const [first = '', ...others] = operands.split(',');
  const group = first.startsWith('U');
  const separate = (first.startsWith('V') && !UNARY.test(name)) || group;
  // Shifts by an immediate name their destination by VEX.vvvv.
  const all = separate ? (group ? ['Hx', first, ...others] : [first, 'Hx', ...others]) : [first, ...others];
  const kept = words.filter((word) => /^(memory=|string|sized|ro)/.test(word)).join(' ');
  const feature = (words.find((word) => word.startsWith('feature=')) ?? '').slice(8);
  // That AVX is there as well is seen by XCR0.
  const needs = feature === 'aes' || feature === 'pclmulqdq' ? `feature=${feature}` : 'feature=avx';
  const form = (l: string, as: string, attributes: string): string =>
    `vex${l} ${prefix} ${map} ${opcode}${extension}${mod} ${as} ${all.join(',')} ymm ${attributes}\n`;
  if (SCALAR.test(name) || (name === 'movq_load' && prefix === 'f2'))
    return [form('', name, `${kept} ${needs}`)];
  const narrow = form('.l0', name, `${kept} ${needs}`);
  if (NARROW.test(name)) return [narrow];
  if (feature === 'aes') return [narrow, form('.l1', name, 'feature=vaes')];
  if (feature === 'pclmulqdq') return [narrow, form('.l1', name, 'feature=vpclmulqdq')];
  const wide = (AVX_OPCODES[map]?.test(opcode) ?? false) && !group ? 'avx' : 'avx2';
  const rm = all.find((operand) => /^[WM]/.test(operand));
  const memory = MEMORY[name] ?? 2 * (BYTES[rm?.[1] ?? ''] ?? 0);
  const size = rm === undefined || memory === 0 ? '' : `memory=${memory}`;
  return [narrow, form('.l1', ACROSS.has(name) ? `${name}_256` : name, `${size} feature=${wide}`)];
}

const DERIVED = SSE_ROWS.split('\n').flatMap(vexForms).join('');

/** VEX only. */
const AVX = `
  vex f3 0f 11 r movss Ux,Hx,Vx
  vex f3 0f 11 m movss Md,Vx
  vex f2 0f 11 r movsd Ux,Hx,Vx
  vex f2 0f 11 m movsd Mq,Vx
  vex.l0 np 0f 77 vzeroupper o64
  vex.l0 np 0f 77 vzeroupper8 i64
  vex.l1 np 0f 77 vzeroall o64
  vex.l1 np 0f 77 vzeroall8 i64
  vex.l0.w0 66 0f38 0c vpermilps Vx,Hx,Wx
  vex.l1.w0 66 0f38 0c vpermilps Vx,Hx,Wx
  vex.l0.w0 66 0f38 0d vpermilpd_by Vx,Hx,Wx
  vex.l1.w0 66 0f38 0d vpermilpd_by Vx,Hx,Wx
  vex.l0.w0 66 0f38 0e vtestps Vx,Wx
  vex.l1.w0 66 0f38 0e vtestps Vx,Wx
  vex.l0.w0 66 0f38 0f vtestpd Vx,Wx
  vex.l1.w0 66 0f38 0f vtestpd Vx,Wx
  vex.l0.w0 66 0f38 18 m vbroadcastss Vx,Md memory=4
  vex.l1.w0 66 0f38 18 m vbroadcastss Vx,Md memory=4
  vex.l1.w0 66 0f38 19 m vbroadcastsd Vx,Mq memory=8
  vex.l1.w0 66 0f38 1a m vbroadcastf128 Vx,Mx memory=16
  vex.l0.w0 66 0f38 2c m vmaskmovps Vx,Hx,Mx
  vex.l1.w0 66 0f38 2c m vmaskmovps Vx,Hx,Mx
  vex.l0.w0 66 0f38 2d m vmaskmovpd Vx,Hx,Mx
  vex.l1.w0 66 0f38 2d m vmaskmovpd Vx,Hx,Mx
  vex.l0.w0 66 0f38 2e m vmaskmovps_store Mx,Hx,Vx
  vex.l1.w0 66 0f38 2e m vmaskmovps_store Mx,Hx,Vx
  vex.l0.w0 66 0f38 2f m vmaskmovpd_store Mx,Hx,Vx
  vex.l1.w0 66 0f38 2f m vmaskmovpd_store Mx,Hx,Vx
  vex.l0.w0 66 0f3a 04 pshufd Vx,Wx,Ib                   # VPERMILPS
  vex.l1.w0 66 0f3a 04 pshufd Vx,Wx,Ib
  vex.l0.w0 66 0f3a 05 vpermilpd Vx,Wx,Ib
  vex.l1.w0 66 0f3a 05 vpermilpd Vx,Wx,Ib
  vex.l1.w0 66 0f3a 06 vperm2f128 Vx,Hx,Wx,Ib
  vex.l1.w0 66 0f3a 18 vinsertf128 Vx,Hx,Wx,Ib memory=16
  vex.l1.w0 66 0f3a 19 vextractf128 Wx,Vx,Ib memory=16
  vex.l0.w0 66 0f3a 4a vblendvps Vx,Hx,Wx,Yx
  vex.l1.w0 66 0f3a 4a vblendvps Vx,Hx,Wx,Yx
  vex.l0.w0 66 0f3a 4b vblendvpd Vx,Hx,Wx,Yx
  vex.l1.w0 66 0f3a 4b vblendvpd Vx,Hx,Wx,Yx
  vex.l0.w0 66 0f3a 4c vpblendvb Vx,Hx,Wx,Yx
`
  .split('\n')
  .map((row) => row.replace(/#.*/, '').trim())
  .filter((row) => row !== '')
  .map((row) => `${row} ymm feature=avx\n`)
  .join('');

/** Both vector lengths of the same. */
const both = (row: string): string[] => [`vex.l0${row}`, `vex.l1${row}`];

const AVX2 = [
  'vex.l0.w0 66 0f38 18 r vbroadcastss Vx,Ux',
  'vex.l1.w0 66 0f38 18 r vbroadcastss Vx,Ux',
  'vex.l1.w0 66 0f38 19 r vbroadcastsd Vx,Ux',
  ...both('.w0 66 0f38 78 vpbroadcastb Vx,Wx memory=1'),
  ...both('.w0 66 0f38 79 vpbroadcastw Vx,Wx memory=2'),
  ...both('.w0 66 0f38 58 vbroadcastss Vx,Wx memory=4'), // VPBROADCASTD
  ...both('.w0 66 0f38 59 vbroadcastsd Vx,Wx memory=8'), // VPBROADCASTQ
  'vex.l1.w0 66 0f38 5a m vbroadcastf128 Vx,Mx memory=16', // VBROADCASTI128
  'vex.l1.w0 66 0f38 36 vpermd Vx,Hx,Wx',
  'vex.l1.w0 66 0f38 16 vpermd Vx,Hx,Wx', // VPERMPS
  'vex.l1.w1 66 0f3a 00 vpermq Vx,Wx,Ib',
  'vex.l1.w1 66 0f3a 01 vpermq Vx,Wx,Ib', // VPERMPD
  'vex.l1.w0 66 0f3a 46 vperm2f128 Vx,Hx,Wx,Ib', // VPERM2I128
  'vex.l1.w0 66 0f3a 38 vinsertf128 Vx,Hx,Wx,Ib memory=16', // VINSERTI128
  'vex.l1.w0 66 0f3a 39 vextractf128 Wx,Vx,Ib memory=16', // VEXTRACTI128
  ...both('.w0 66 0f3a 02 blendps Vx,Hx,Wx,Ib'), // VPBLENDD
  'vex.l1.w0 66 0f3a 4c vpblendvb Vx,Hx,Wx,Yx',
  ...both('.w0 66 0f38 45 vpsrlvd Vx,Hx,Wx'),
  ...both('.w1 66 0f38 45 vpsrlvq Vx,Hx,Wx'),
  ...both('.w0 66 0f38 46 vpsravd Vx,Hx,Wx'),
  ...both('.w0 66 0f38 47 vpsllvd Vx,Hx,Wx'),
  ...both('.w1 66 0f38 47 vpsllvq Vx,Hx,Wx'),
  ...both('.w0 66 0f38 8c m vmaskmovps Vx,Hx,Mx'), // VPMASKMOVD
  ...both('.w1 66 0f38 8c m vmaskmovpd Vx,Hx,Mx'), // VPMASKMOVQ
  ...both('.w0 66 0f38 8e m vmaskmovps_store Mx,Hx,Vx'),
  ...both('.w1 66 0f38 8e m vmaskmovpd_store Mx,Hx,Vx'),
  ...['90', '92'].flatMap((opcode) => [
    ...both(`.w0 66 0f38 ${opcode} m vpgatherdd Vx,Mx,Hx,Tx string nocheck ro`),
    ...both(`.w1 66 0f38 ${opcode} m vpgatherdq Vx,Mx,Hx,Tx string nocheck ro`),
  ]),
  ...['91', '93'].flatMap((opcode) => [
    ...both(`.w0 66 0f38 ${opcode} m vpgatherqd Vx,Mx,Hx,Tx string nocheck ro`),
    ...both(`.w1 66 0f38 ${opcode} m vpgatherqq Vx,Mx,Hx,Tx string nocheck ro`),
  ]),
]
  .map((row) => `${row} ymm feature=avx2\n`)
  .join('');

export const VEX_ROWS = DERIVED + AVX + AVX2;
