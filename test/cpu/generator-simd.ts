/** Templates of MMX, SSE … SSE4.2, AES, PCLMULQDQ, SHA and the state-saving instructions; AVX derived. SDM 2. */
import { parseTable, type Template } from './generator-template.ts';

const hex = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, '0');
const entries = (text: string): (readonly [opcode: string, name: string])[] =>
  text
    .trim()
    .split(/\s+/)
    .map((entry) => {
      const [opcode, name] = entry.split(':');
      return [opcode, name] as const;
    });

/** Integer operations that exist for MMX (no prefix) and XMM (66) registers alike: second opcode byte. */
const INTEGER_PAIRS = entries(`
  60:punpcklbw 61:punpcklwd 62:punpckldq 63:packsswb 64:pcmpgtb 65:pcmpgtw 66:pcmpgtd 67:packuswb 68:punpckhbw
  69:punpckhwd 6A:punpckhdq 6B:packssdw 74:pcmpeqb 75:pcmpeqw 76:pcmpeqd D1:psrlw D2:psrld D3:psrlq D4:paddq
  D5:pmullw D8:psubusb D9:psubusw DA:pminub DB:pand DC:paddusb DD:paddusw DE:pmaxub DF:pandn E0:pavgb E1:psraw
  E2:psrad E3:pavgw E4:pmulhuw E5:pmulhw E8:psubsb E9:psubsw EA:pminsw EB:por EC:paddsb ED:paddsw EE:pmaxsw
  EF:pxor F1:psllw F2:pslld F3:psllq F4:pmuludq F5:pmaddwd F6:psadbw F8:psubb F9:psubw FA:psubd FB:psubq
  FC:paddb FD:paddw FE:paddd`);

const SSSE3_PAIRS = entries(`
  00:pshufb 01:phaddw 02:phaddd 03:phaddsw 04:pmaddubsw 05:phsubw 06:phsubd 07:phsubsw 08:psignb 09:psignw
  0A:psignd 0B:pmulhrsw 1C:pabsb 1D:pabsw 1E:pabsd`);

const SHIFT_IMMEDIATE = entries(`
  71/2:psrlw 71/4:psraw 71/6:psllw 72/2:psrld 72/4:psrad 72/6:pslld 73/2:psrlq 73/6:psllq`);

/** XMM only, 66 0F 38. */
const SSE4_0F38 = entries(`
  10:pblendvb 14:blendvps 15:blendvpd 17:ptest 28:pmuldq 29:pcmpeqq 2B:packusdw 37:pcmpgtq 38:pminsb 39:pminsd
  3A:pminuw 3B:pminud 3C:pmaxsb 3D:pmaxsd 3E:pmaxuw 3F:pmaxud 40:pmulld 41:phminposuw`);
const EXTEND = entries(`20:bw.8 21:bd.4 22:bq.2 23:wd.8 24:wq.4 25:dq.8`);
const AES = entries(`DB:aesimc DC:aesenc DD:aesenclast DE:aesdec DF:aesdeclast`);
/** On registers only: AMD processors take unaligned memory operands here, others (and ours) raise #GP. */
const SHA = entries(`C8:sha1nexte C9:sha1msg1 CA:sha1msg2 CB:sha256rnds2 CC:sha256msg1 CD:sha256msg2`);

/** Floating-point arithmetic in packed single, packed double, scalar single, scalar double. */
const FLOAT = entries('51:sqrt 58:add 59:mul 5C:sub 5D:min 5E:div 5F:max');
const FORMS = [
  ['ps', '', 'm=16 al=16 k=f32'], ['pd', 'p66', 'm=16 al=16 k=f64'],
  ['ss', 'pF3', 'm=4 k=f32'], ['sd', 'pF2', 'm=8 k=f64'],
] as const; // prettier-ignore

const rows: string[] = [
  ...INTEGER_PAIRS.flatMap(([op, name]) => [
    `${name} mm | 0F ${op} /r | m=${op < '63' ? 4 : 8} mmx`,
    `${name} xmm | p66 0F ${op} /r | m=16 al=16 sse`,
  ]),
  ...SSSE3_PAIRS.flatMap(([op, name]) => [
    `${name} mm | 0F 38 ${op} /r | m=8 mmx`,
    `${name} xmm | p66 0F 38 ${op} /r | m=16 al=16 sse`,
  ]),
  ...SHIFT_IMMEDIATE.flatMap(([op, name]) => [
    `${name} mm,Ib | 0F ${op.replace('/', ' /')} ib | reg mmx`,
    `${name} xmm,Ib | p66 0F ${op.replace('/', ' /')} ib | reg sse`,
  ]),
  ...SSE4_0F38.map(([op, name]) => `${name} | p66 0F 38 ${op} /r | m=16 al=16 sse`),
  ...EXTEND.flatMap(([op, name]) => {
    const [kind, bytes] = name.split('.');
    const zero = hex(parseInt(op, 16) + 0x10);
    return [
      `pmovsx${kind} | p66 0F 38 ${op} /r | m=${bytes} sse`,
      `pmovzx${kind} | p66 0F 38 ${zero} /r | m=${bytes} sse`,
    ];
  }),
  ...AES.map(([op, name]) => `${name} | p66 0F 38 ${op} /r | m=16 al=16 sse feat=aes`),
  ...SHA.map(([op, name]) => `${name} | 0F 38 ${op} /r | reg sse feat=sha`),
  ...FORMS.flatMap(([suffix, prefix, operand]) => [
    ...FLOAT.map(([op, name]) => `${name}${suffix} | ${prefix} 0F ${op} /r | ${operand} sse`),
    `cmp${suffix} | ${prefix} 0F C2 /r ib | ${operand} sse use=comparison`,
  ]),
];

const TABLE = `
  movups | 0F 10 /r | m=16 k=f32 sse
  movups st | 0F 11 /r | m=16 k=f32 sse
  movlps | 0F 12 /r | m=8 k=f32 sse
  movlps st | 0F 13 /r | mem m=8 sse
  unpcklps | 0F 14 /r | m=16 al=16 k=f32 sse
  unpckhps | 0F 15 /r | m=16 al=16 k=f32 sse
  movhps | 0F 16 /r | m=8 k=f32 sse
  movhps st | 0F 17 /r | mem m=8 sse
  movaps | 0F 28 /r | m=16 al=16 k=f32 sse
  movaps st | 0F 29 /r | m=16 al=16 sse
  cvtpi2ps | 0F 2A /r | m=8 mmx use=sseToo
  movntps | 0F 2B /r | mem m=16 al=16 sse
  cvttps2pi | 0F 2C /r | m=8 k=f32 mmx use=sseToo
  cvtps2pi | 0F 2D /r | m=8 k=f32 mmx use=sseToo
  ucomiss | 0F 2E /r | m=4 k=f32 sse
  comiss | 0F 2F /r | m=4 k=f32 sse
  movmskps | 0F 50 /r | reg sse
  rsqrtps | 0F 52 /r | m=16 al=16 k=f32 sse
  rcpps | 0F 53 /r | m=16 al=16 k=f32 sse
  rsqrtss | pF3 0F 52 /r | m=4 k=f32 sse
  rcpss | pF3 0F 53 /r | m=4 k=f32 sse
  andps | 0F 54 /r | m=16 al=16 sse
  andnps | 0F 55 /r | m=16 al=16 sse
  orps | 0F 56 /r | m=16 al=16 sse
  xorps | 0F 57 /r | m=16 al=16 sse
  andpd | p66 0F 54 /r | m=16 al=16 sse
  andnpd | p66 0F 55 /r | m=16 al=16 sse
  orpd | p66 0F 56 /r | m=16 al=16 sse
  xorpd | p66 0F 57 /r | m=16 al=16 sse
  cvtps2pd | 0F 5A /r | m=8 k=f32 sse
  cvtdq2ps | 0F 5B /r | m=16 al=16 sse
  shufps | 0F C6 /r ib | m=16 al=16 k=f32 sse
  emms | 0F 77 | mmx
  movupd | p66 0F 10 /r | m=16 k=f64 sse
  movupd st | p66 0F 11 /r | m=16 sse
  movlpd | p66 0F 12 /r | mem m=8 k=f64 sse
  movlpd st | p66 0F 13 /r | mem m=8 sse
  unpcklpd | p66 0F 14 /r | m=16 al=16 k=f64 sse
  unpckhpd | p66 0F 15 /r | m=16 al=16 k=f64 sse
  movhpd | p66 0F 16 /r | mem m=8 k=f64 sse
  movhpd st | p66 0F 17 /r | mem m=8 sse
  movapd | p66 0F 28 /r | m=16 al=16 k=f64 sse
  movapd st | p66 0F 29 /r | m=16 al=16 sse
  cvtpi2pd | p66 0F 2A /r | m=8 mmx use=sseToo
  movntpd | p66 0F 2B /r | mem m=16 al=16 sse
  cvttpd2pi | p66 0F 2C /r | m=16 al=16 k=f64 mmx use=sseToo
  cvtpd2pi | p66 0F 2D /r | m=16 al=16 k=f64 mmx use=sseToo
  ucomisd | p66 0F 2E /r | m=8 k=f64 sse
  comisd | p66 0F 2F /r | m=8 k=f64 sse
  movmskpd | p66 0F 50 /r | reg sse
  cvtpd2ps | p66 0F 5A /r | m=16 al=16 k=f64 sse
  cvtps2dq | p66 0F 5B /r | m=16 al=16 k=f32 sse
  punpcklqdq | p66 0F 6C /r | m=16 al=16 sse
  punpckhqdq | p66 0F 6D /r | m=16 al=16 sse
  shufpd | p66 0F C6 /r ib | m=16 al=16 k=f64 sse
  cvttpd2dq | p66 0F E6 /r | m=16 al=16 k=f64 sse
  addsubpd | p66 0F D0 /r | m=16 al=16 k=f64 sse
  addsubps | pF2 0F D0 /r | m=16 al=16 k=f32 sse
  haddpd | p66 0F 7C /r | m=16 al=16 k=f64 sse
  hsubpd | p66 0F 7D /r | m=16 al=16 k=f64 sse
  haddps | pF2 0F 7C /r | m=16 al=16 k=f32 sse
  hsubps | pF2 0F 7D /r | m=16 al=16 k=f32 sse
  movss | pF3 0F 10 /r | m=4 k=f32 sse
  movss st | pF3 0F 11 /r | m=4 sse
  movsldup | pF3 0F 12 /r | m=16 al=16 sse
  movshdup | pF3 0F 16 /r | m=16 al=16 sse
  movddup | pF2 0F 12 /r | m=8 sse
  cvtsi2ss | pF3 0F 2A /r | y sse
  cvttss2si | pF3 0F 2C /r | y m=4 k=f32 sse
  cvtss2si | pF3 0F 2D /r | y m=4 k=f32 sse
  cvtsi2sd | pF2 0F 2A /r | y sse
  cvttsd2si | pF2 0F 2C /r | y m=8 k=f64 sse
  cvtsd2si | pF2 0F 2D /r | y m=8 k=f64 sse
  cvtss2sd | pF3 0F 5A /r | m=4 k=f32 sse
  cvtsd2ss | pF2 0F 5A /r | m=8 k=f64 sse
  cvttps2dq | pF3 0F 5B /r | m=16 al=16 k=f32 sse
  cvtdq2pd | pF3 0F E6 /r | m=8 sse
  cvtpd2dq | pF2 0F E6 /r | m=16 al=16 k=f64 sse
  movsd | pF2 0F 10 /r | m=8 k=f64 sse
  movsd st | pF2 0F 11 /r | m=8 sse
  movd mm | 0F 6E /r | y mmx
  movd st mm | 0F 7E /r | y mmx
  movd xmm | p66 0F 6E /r | y sse
  movd st xmm | p66 0F 7E /r | y sse
  movq mm | 0F 6F /r | m=8 mmx
  movq st mm | 0F 7F /r | m=8 mmx
  movdqa | p66 0F 6F /r | m=16 al=16 sse
  movdqa st | p66 0F 7F /r | m=16 al=16 sse
  movdqu | pF3 0F 6F /r | m=16 sse
  movdqu st | pF3 0F 7F /r | m=16 sse
  movq xmm | pF3 0F 7E /r | m=8 sse
  movq st xmm | p66 0F D6 /r | m=8 sse
  movq2dq | pF3 0F D6 /r | reg mmx use=sseToo
  movdq2q | pF2 0F D6 /r | reg mmx use=sseToo
  lddqu | pF2 0F F0 /r | mem m=16 sse
  pshufw | 0F 70 /r ib | m=8 mmx
  pshufd | p66 0F 70 /r ib | m=16 al=16 sse
  pshufhw | pF3 0F 70 /r ib | m=16 al=16 sse
  pshuflw | pF2 0F 70 /r ib | m=16 al=16 sse
  psrldq | p66 0F 73 /3 ib | reg sse
  pslldq | p66 0F 73 /7 ib | reg sse
  pinsrw mm | 0F C4 /r ib | m=2 mmx
  pinsrw xmm | p66 0F C4 /r ib | m=2 sse
  pextrw mm | 0F C5 /r ib | reg mmx
  pextrw xmm | p66 0F C5 /r ib | reg sse
  pmovmskb mm | 0F D7 /r | reg mmx
  pmovmskb xmm | p66 0F D7 /r | reg sse
  movntq | 0F E7 /r | mem m=8 mmx
  movntdq | p66 0F E7 /r | mem m=16 al=16 sse
  maskmovq | 0F F7 /r | reg mmx use=maskedStore
  maskmovdqu | p66 0F F7 /r | reg sse use=maskedStore
  palignr mm | 0F 3A 0F /r ib | m=8 mmx
  palignr xmm | p66 0F 3A 0F /r ib | m=16 al=16 sse
  movntdqa | p66 0F 38 2A /r | mem m=16 al=16 sse
  roundps | p66 0F 3A 08 /r ib | m=16 al=16 k=f32 sse
  roundpd | p66 0F 3A 09 /r ib | m=16 al=16 k=f64 sse
  roundss | p66 0F 3A 0A /r ib | m=4 k=f32 sse
  roundsd | p66 0F 3A 0B /r ib | m=8 k=f64 sse
  blendps | p66 0F 3A 0C /r ib | m=16 al=16 sse
  blendpd | p66 0F 3A 0D /r ib | m=16 al=16 sse
  pblendw | p66 0F 3A 0E /r ib | m=16 al=16 sse
  pextrb | p66 0F 3A 14 /r ib | m=1 sse
  pextrw st | p66 0F 3A 15 /r ib | m=2 sse
  pextrd | p66 0F 3A 16 /r ib | y sse
  extractps | p66 0F 3A 17 /r ib | m=4 sse
  pinsrb | p66 0F 3A 20 /r ib | m=1 sse
  insertps | p66 0F 3A 21 /r ib | m=4 k=f32 sse
  pinsrd | p66 0F 3A 22 /r ib | y sse
  dpps | p66 0F 3A 40 /r ib | m=16 al=16 k=f32 sse
  dppd | p66 0F 3A 41 /r ib | m=16 al=16 k=f64 sse
  mpsadbw | p66 0F 3A 42 /r ib | m=16 al=16 sse
  pcmpestrm | p66 0F 3A 60 /r ib | y m=16 k=bytes sse use=stringLengths
  pcmpestri | p66 0F 3A 61 /r ib | y m=16 k=bytes sse use=stringLengths
  pcmpistrm | p66 0F 3A 62 /r ib | m=16 k=bytes sse
  pcmpistri | p66 0F 3A 63 /r ib | m=16 k=bytes sse
  pclmulqdq | p66 0F 3A 44 /r ib | m=16 al=16 sse feat=pclmulqdq
  aeskeygenassist | p66 0F 3A DF /r ib | m=16 al=16 sse feat=aes
  sha1rnds4 | 0F 3A CC /r ib | reg sse feat=sha
`;

const STATE = `
  fxsave | 0F AE /0 | y mem m=512 al=16 x87 use=sseToo
  fxrstor | 0F AE /1 | y mem m=512 al=16 x87 use=fxImage
  ldmxcsr | 0F AE /2 | mem m=4 sse use=mxcsr
  stmxcsr | 0F AE /3 | mem m=4 sse
  xsave | 0F AE /4 | y mem m=1024 al=64 x87 use=xsaveMask feat=xsave
  clflush | 0F AE /7 | mem m=1
  lfence | 0F AE E8 |
  mfence | 0F AE F0 |
  sfence | 0F AE F8 |
`;

const SIMD_LEGACY: readonly Template[] = parseTable('sse', [...rows, TABLE].join('\n')).map((template) =>
  template.file === 'mmx' ? { ...template, group: 'mmx' } : template,
);

/** The VEX form of an SSE instruction: three operands, no alignment but for the moves that require it. Where an
 * encoding has no VEX form, or vvvv must be unused, the result is #UD, as it must be in both processors. */
function vexForm(template: Template): Template[] {
  if (template.file !== 'sse' || template.group !== 'sse') return [];
  const pp = { 0: 0, 0x66: 1, 0xf3: 2, 0xf2: 3 }[template.mandatory] as 0 | 1 | 2 | 3;
  const map = template.opcode[1] === 0x38 ? 2 : template.opcode[1] === 0x3a ? 3 : 1;
  const aligned = /^mova|^movdqa|^movnt/.test(template.name);
  const make = (l: 0 | 1): Template => ({
    ...template,
    name: `v${template.name} ${l === 0 ? 128 : 256}`,
    group: 'avx',
    feature: 'avx',
    mandatory: 0,
    vex: { l, pp, map, w: undefined },
    opcode: template.opcode.slice(map === 1 ? 1 : 2),
    memory: template.memory === 16 && l === 1 ? 32 : template.memory,
    align: aligned ? (l === 1 ? 32 : 16) : 1,
  });
  return [make(0), make(1)];
}

/** What exists as VEX only. */
const VEX_ONLY = (['128', '256'] as const)
  .flatMap((l) => {
    const whole = l === '128' ? 16 : 32;
    const avx = (row: string): string => row.replaceAll('LEN', l).replaceAll('m=V', `m=${whole}`);
    return [
      'vzero | vex.LEN.NP.0F 77 | sse feat=avx',
      'vpermilps by | vex.LEN.66.0F38.W0 0C /r | m=V sse feat=avx',
      'vpermilpd by | vex.LEN.66.0F38.W0 0D /r | m=V sse feat=avx',
      'vtestps | vex.LEN.66.0F38.W0 0E /r | m=V sse feat=avx',
      'vtestpd | vex.LEN.66.0F38.W0 0F /r | m=V sse feat=avx',
      'vbroadcastss | vex.LEN.66.0F38.W0 18 /r | m=4 sse feat=avx2',
      'vbroadcastsd | vex.LEN.66.0F38.W0 19 /r | m=8 sse feat=avx2',
      'vbroadcastf128 | vex.LEN.66.0F38.W0 1A /r | m=16 sse feat=avx',
      'vmaskmovps | vex.LEN.66.0F38.W0 2C /r | m=V sse feat=avx',
      'vmaskmovpd | vex.LEN.66.0F38.W0 2D /r | m=V sse feat=avx',
      'vmaskmovps st | vex.LEN.66.0F38.W0 2E /r | m=V sse feat=avx',
      'vmaskmovpd st | vex.LEN.66.0F38.W0 2F /r | m=V sse feat=avx',
      'vpermilps | vex.LEN.66.0F3A.W0 04 /r ib | m=V sse feat=avx',
      'vpermilpd | vex.LEN.66.0F3A.W0 05 /r ib | m=V sse feat=avx',
      'vperm2f128 | vex.LEN.66.0F3A.W0 06 /r ib | m=V sse feat=avx',
      'vinsertf128 | vex.LEN.66.0F3A.W0 18 /r ib | m=16 sse feat=avx',
      'vextractf128 | vex.LEN.66.0F3A.W0 19 /r ib | m=16 sse feat=avx',
      'vblendvps is4 | vex.LEN.66.0F3A.W0 4A /r ib | m=V sse feat=avx',
      'vblendvpd is4 | vex.LEN.66.0F3A.W0 4B /r ib | m=V sse feat=avx',
      'vpblendvb is4 | vex.LEN.66.0F3A.W0 4C /r ib | m=V sse feat=avx2',
      'vpbroadcastb | vex.LEN.66.0F38.W0 78 /r | m=1 sse feat=avx2',
      'vpbroadcastw | vex.LEN.66.0F38.W0 79 /r | m=2 sse feat=avx2',
      'vpbroadcastd | vex.LEN.66.0F38.W0 58 /r | m=4 sse feat=avx2',
      'vpbroadcastq | vex.LEN.66.0F38.W0 59 /r | m=8 sse feat=avx2',
      'vbroadcasti128 | vex.LEN.66.0F38.W0 5A /r | m=16 sse feat=avx2',
      'vpermd | vex.LEN.66.0F38.W0 36 /r | m=V sse feat=avx2',
      'vpermps | vex.LEN.66.0F38.W0 16 /r | m=V sse feat=avx2',
      'vpermq | vex.LEN.66.0F3A.W1 00 /r ib | m=V sse feat=avx2',
      'vpermpd | vex.LEN.66.0F3A.W1 01 /r ib | m=V sse feat=avx2',
      'vperm2i128 | vex.LEN.66.0F3A.W0 46 /r ib | m=V sse feat=avx2',
      'vinserti128 | vex.LEN.66.0F3A.W0 38 /r ib | m=16 sse feat=avx2',
      'vextracti128 | vex.LEN.66.0F3A.W0 39 /r ib | m=16 sse feat=avx2',
      'vpblendd | vex.LEN.66.0F3A.W0 02 /r ib | m=V sse feat=avx2',
      'vpsrlvd | vex.LEN.66.0F38.W0 45 /r | m=V sse feat=avx2',
      'vpsrlvq | vex.LEN.66.0F38.W1 45 /r | m=V sse feat=avx2',
      'vpsravd | vex.LEN.66.0F38.W0 46 /r | m=V sse feat=avx2',
      'vpsllvd | vex.LEN.66.0F38.W0 47 /r | m=V sse feat=avx2',
      'vpsllvq | vex.LEN.66.0F38.W1 47 /r | m=V sse feat=avx2',
      'vpmaskmovd | vex.LEN.66.0F38.W0 8C /r | m=V sse feat=avx2',
      'vpmaskmovq | vex.LEN.66.0F38.W1 8C /r | m=V sse feat=avx2',
      'vpmaskmovd st | vex.LEN.66.0F38.W0 8E /r | m=V sse feat=avx2',
      'vpmaskmovq st | vex.LEN.66.0F38.W1 8E /r | m=V sse feat=avx2',
      // In 64-bit mode random indices reach what the host has mapped and we have not.
      ...['0', '1', '2', '3'].flatMap((op) =>
        ['W0', 'W1'].map(
          (w) => `vpgather 9${op} ${w} | vex.LEN.66.0F38.${w} 9${op} /r | m=V o32 sse feat=avx2`,
        ),
      ),
    ].map((row) => avx(row.replace(' |', ` ${l} |`)));
  })
  .join('\n');

export const SIMD: readonly Template[] = [
  ...SIMD_LEGACY,
  ...parseTable('state', STATE),
  ...SIMD_LEGACY.flatMap(vexForm),
  ...parseTable('avx', VEX_ONLY),
];
