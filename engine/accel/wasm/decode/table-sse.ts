/**
 * Opcode rows of MMX, SSE to SSE4.2, AES-NI, PCLMULQDQ and SHA, in the notation of rows.ts.
 *
 * Instructions that differ in name only (ANDPS, ANDPD and PAND; MOVAPS, MOVAPD and MOVDQA) share the name of one
 * of them, and so its code. A `_mmx` suffix marks the form on 64-bit MMX registers. Instructions whose memory
 * form loads and clears while their register form merges (MOVSS, MOVSD) have a row for each.
 *
 * Intel SDM volume 2, appendix A, tables A-3 (0F), A-4 (0F 38) and A-5 (0F 3A).
 */

/** Adds the same attributes to each row of a block. */
function rows(attributes: string, block: string): string {
  return block
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => `${line} ${attributes}\n`)
    .join('');
}

/** MMX (SDM 1, chapter 9). */
const MMX = rows(
  'mmx feature=mmx',
  `
  np 0f 60 punpcklbw_mmx Pq,Qd
  np 0f 61 punpcklwd_mmx Pq,Qd
  np 0f 62 punpckldq_mmx Pq,Qd
  np 0f 63 packsswb_mmx Pq,Qq
  np 0f 64 pcmpgtb_mmx Pq,Qq
  np 0f 65 pcmpgtw_mmx Pq,Qq
  np 0f 66 pcmpgtd_mmx Pq,Qq
  np 0f 67 packuswb_mmx Pq,Qq
  np 0f 68 punpckhbw_mmx Pq,Qq
  np 0f 69 punpckhwd_mmx Pq,Qq
  np 0f 6a punpckhdq_mmx Pq,Qq
  np 0f 6b packssdw_mmx Pq,Qq
  np 0f 74 pcmpeqb_mmx Pq,Qq
  np 0f 75 pcmpeqw_mmx Pq,Qq
  np 0f 76 pcmpeqd_mmx Pq,Qq
  np 0f d1 psrlw_mmx Pq,Qq
  np 0f d2 psrld_mmx Pq,Qq
  np 0f d3 psrlq_mmx Pq,Qq
  np 0f d5 pmullw_mmx Pq,Qq
  np 0f d8 psubusb_mmx Pq,Qq
  np 0f d9 psubusw_mmx Pq,Qq
  np 0f db pand_mmx Pq,Qq
  np 0f dc paddusb_mmx Pq,Qq
  np 0f dd paddusw_mmx Pq,Qq
  np 0f df pandn_mmx Pq,Qq
  np 0f e1 psraw_mmx Pq,Qq
  np 0f e2 psrad_mmx Pq,Qq
  np 0f e5 pmulhw_mmx Pq,Qq
  np 0f e8 psubsb_mmx Pq,Qq
  np 0f e9 psubsw_mmx Pq,Qq
  np 0f eb por_mmx Pq,Qq
  np 0f ec paddsb_mmx Pq,Qq
  np 0f ed paddsw_mmx Pq,Qq
  np 0f ef pxor_mmx Pq,Qq
  np 0f f1 psllw_mmx Pq,Qq
  np 0f f2 pslld_mmx Pq,Qq
  np 0f f3 psllq_mmx Pq,Qq
  np 0f f5 pmaddwd_mmx Pq,Qq
  np 0f f8 psubb_mmx Pq,Qq
  np 0f f9 psubw_mmx Pq,Qq
  np 0f fa psubd_mmx Pq,Qq
  np 0f fc paddb_mmx Pq,Qq
  np 0f fd paddw_mmx Pq,Qq
  np 0f fe paddd_mmx Pq,Qq
  np 0f 71/2 r psrlw_mmx Nq,Ib
  np 0f 71/4 r psraw_mmx Nq,Ib
  np 0f 71/6 r psllw_mmx Nq,Ib
  np 0f 72/2 r psrld_mmx Nq,Ib
  np 0f 72/4 r psrad_mmx Nq,Ib
  np 0f 72/6 r pslld_mmx Nq,Ib
  np 0f 73/2 r psrlq_mmx Nq,Ib
  np 0f 73/6 r psllq_mmx Nq,Ib
  np 0f 6e movd_mmx Ps,Ey
  np 0f 7e movd_mmx_store Ey,Pq
  np 0f 6f movq_mmx Pq,Qq
  np 0f 7f movq_mmx Qq,Pq
  np 0f 77 emms
`,
);

/** What SSE added to MMX (SDM 1, 10.4.4). */
const MMX_SSE = rows(
  'mmx feature=sse',
  `
  np 0f da pminub_mmx Pq,Qq
  np 0f de pmaxub_mmx Pq,Qq
  np 0f e0 pavgb_mmx Pq,Qq
  np 0f e3 pavgw_mmx Pq,Qq
  np 0f e4 pmulhuw_mmx Pq,Qq
  np 0f ea pminsw_mmx Pq,Qq
  np 0f ee pmaxsw_mmx Pq,Qq
  np 0f f6 psadbw_mmx Pq,Qq
  np 0f 70 pshufw Pq,Qq,Ib
  np 0f c4 pinsrw_mmx Pq,Ed,Ib memory=2
  np 0f c5 r pextrw_mmx Gd,Nq,Ib
  np 0f d7 r pmovmskb_mmx Gd,Nq
  np 0f e7 m movq_mmx Mq,Pq       # MOVNTQ
  np 0f f7 r maskmovq Pq,Nq string
`,
);

/** What SSE2 added to MMX. */
const MMX_SSE2 = rows(
  'mmx feature=sse2',
  `
  np 0f d4 paddq_mmx Pq,Qq
  np 0f f4 pmuludq_mmx Pq,Qq
  np 0f fb psubq_mmx Pq,Qq
`,
);

/** What SSSE3 added to MMX. */
const MMX_SSSE3 = rows(
  'mmx feature=ssse3',
  `
  np 0f38 00 pshufb_mmx Pq,Qq
  np 0f38 01 phaddw_mmx Pq,Qq
  np 0f38 02 phaddd_mmx Pq,Qq
  np 0f38 03 phaddsw_mmx Pq,Qq
  np 0f38 04 pmaddubsw_mmx Pq,Qq
  np 0f38 05 phsubw_mmx Pq,Qq
  np 0f38 06 phsubd_mmx Pq,Qq
  np 0f38 07 phsubsw_mmx Pq,Qq
  np 0f38 08 psignb_mmx Pq,Qq
  np 0f38 09 psignw_mmx Pq,Qq
  np 0f38 0a psignd_mmx Pq,Qq
  np 0f38 0b pmulhrsw_mmx Pq,Qq
  np 0f38 1c pabsb_mmx Pq,Qq
  np 0f38 1d pabsw_mmx Pq,Qq
  np 0f38 1e pabsd_mmx Pq,Qq
  np 0f3a 0f palignr_mmx Pq,Qq,Ib
`,
);

/** SSE (SDM 1, chapter 10). */
const SSE = rows(
  'sse feature=sse',
  `
  np 0f 10 movups Vx,Wx hot
  np 0f 11 movups Wx,Vx hot
  f3 0f 10 r movss Vx,Ux
  f3 0f 10 m movss_load Vx,Md hot
  f3 0f 11 movss Wd,Vx hot
  np 0f 12 r movhlps Vx,Ux
  np 0f 12 m movlps Vx,Mq
  np 0f 13 m movlps Mq,Vx
  np 0f 14 punpckldq Vx,Wx              # UNPCKLPS
  np 0f 15 punpckhdq Vx,Wx              # UNPCKHPS
  np 0f 16 r movlhps Vx,Ux
  np 0f 16 m movhps Vx,Mq
  np 0f 17 m movhps_store Mq,Vx
  np 0f 28 movaps Vx,Wx hot
  np 0f 29 movaps Wx,Vx hot
  f3 0f 2a cvtsi2ss Vx,Ey hot
  np 0f 2b m movaps Mx,Vx         # MOVNTPS
  f3 0f 2c cvttss2si Gy,Wd hot
  f3 0f 2d cvtss2si Gy,Wd
  np 0f 2e ucomiss Vx,Wd hot
  np 0f 2f comiss Vx,Wd hot
  np 0f 50 r movmskps Gd,Ux
  np 0f 51 sqrtps Vx,Wx
  f3 0f 51 sqrtss Vx,Wd hot
  np 0f 52 rsqrtps Vx,Wx
  f3 0f 52 rsqrtss Vx,Wd
  np 0f 53 rcpps Vx,Wx
  f3 0f 53 rcpss Vx,Wd
  np 0f 54 pand Vx,Wx hot               # ANDPS
  np 0f 55 pandn Vx,Wx hot              # ANDNPS
  np 0f 56 por Vx,Wx hot                # ORPS
  np 0f 57 pxor Vx,Wx hot               # XORPS
  np 0f 58 addps Vx,Wx hot
  f3 0f 58 addss Vx,Wd hot
  np 0f 59 mulps Vx,Wx hot
  f3 0f 59 mulss Vx,Wd hot
  np 0f 5c subps Vx,Wx hot
  f3 0f 5c subss Vx,Wd hot
  np 0f 5d minps Vx,Wx
  f3 0f 5d minss Vx,Wd
  np 0f 5e divps Vx,Wx
  f3 0f 5e divss Vx,Wd hot
  np 0f 5f maxps Vx,Wx
  f3 0f 5f maxss Vx,Wd
  np 0f ae/2 m ldmxcsr Md ro
  np 0f ae/3 m stmxcsr Md
  np 0f c2 cmpps Vx,Wx,Ib
  f3 0f c2 cmpss Vx,Wd,Ib
  np 0f c6 shufps Vx,Wx,Ib
`,
);

/** Conversions between XMM and MMX registers. */
const SSE_CONVERT = rows(
  'mmx sse feature=sse',
  `
  np 0f 2a cvtpi2ps Vx,Qq
  np 0f 2c cvttps2pi Pq,Wq
  np 0f 2d cvtps2pi Pq,Wq
`,
);

/** Conversions and moves between XMM and MMX registers. */
const SSE2_CONVERT = rows(
  'mmx sse feature=sse2',
  `
  66 0f 2a cvtpi2pd Vx,Qq
  66 0f 2c cvttpd2pi Pq,Wx
  66 0f 2d cvtpd2pi Pq,Wx
  f2 0f d6 r movdq2q Pq,Ux
  f3 0f d6 r movq2dq Vx,Nq
`,
);

/** SSE2, floating point and its moves (SDM 1, chapter 11). */
const SSE2_FLOAT = rows(
  'sse feature=sse2',
  `
  66 0f 10 movups Vx,Wx                 # MOVUPD
  66 0f 11 movups Wx,Vx           # MOVUPD
  f2 0f 10 r movsd Vx,Ux
  f2 0f 10 m movq_load Vx,Mq hot        # MOVSD
  f2 0f 11 movsd Wq,Vx hot
  66 0f 12 m movlps Vx,Mq               # MOVLPD
  66 0f 13 m movlps Mq,Vx         # MOVLPD
  66 0f 14 punpcklqdq Vx,Wx hot         # UNPCKLPD
  66 0f 15 punpckhqdq Vx,Wx             # UNPCKHPD
  66 0f 16 m movhps Vx,Mq               # MOVHPD
  66 0f 17 m movhps_store Mq,Vx   # MOVHPD
  66 0f 28 movaps Vx,Wx hot             # MOVAPD
  66 0f 29 movaps Wx,Vx hot       # MOVAPD
  f2 0f 2a cvtsi2sd Vx,Ey hot
  66 0f 2b m movaps Mx,Vx         # MOVNTPD
  f2 0f 2c cvttsd2si Gy,Wq hot
  f2 0f 2d cvtsd2si Gy,Wq
  66 0f 2e ucomisd Vx,Wq hot
  66 0f 2f comisd Vx,Wq hot
  66 0f 50 r movmskpd Gd,Ux
  66 0f 51 sqrtpd Vx,Wx
  f2 0f 51 sqrtsd Vx,Wq hot
  66 0f 54 pand Vx,Wx hot               # ANDPD
  66 0f 55 pandn Vx,Wx                  # ANDNPD
  66 0f 56 por Vx,Wx                    # ORPD
  66 0f 57 pxor Vx,Wx hot               # XORPD
  66 0f 58 addpd Vx,Wx hot
  f2 0f 58 addsd Vx,Wq hot
  66 0f 59 mulpd Vx,Wx hot
  f2 0f 59 mulsd Vx,Wq hot
  np 0f 5a cvtps2pd Vx,Wq
  66 0f 5a cvtpd2ps Vx,Wx
  f3 0f 5a cvtss2sd Vx,Wd hot
  f2 0f 5a cvtsd2ss Vx,Wq hot
  np 0f 5b cvtdq2ps Vx,Wx
  66 0f 5b cvtps2dq Vx,Wx
  f3 0f 5b cvttps2dq Vx,Wx
  66 0f 5c subpd Vx,Wx hot
  f2 0f 5c subsd Vx,Wq hot
  66 0f 5d minpd Vx,Wx
  f2 0f 5d minsd Vx,Wq
  66 0f 5e divpd Vx,Wx
  f2 0f 5e divsd Vx,Wq hot
  66 0f 5f maxpd Vx,Wx
  f2 0f 5f maxsd Vx,Wq
  66 0f c2 cmppd Vx,Wx,Ib
  f2 0f c2 cmpsd_xmm Vx,Wq,Ib
  66 0f c6 shufpd Vx,Wx,Ib
  66 0f e6 cvttpd2dq Vx,Wx
  f3 0f e6 cvtdq2pd Vx,Wq
  f2 0f e6 cvtpd2dq Vx,Wx
`,
);

/** SSE2, integer. */
const SSE2_INTEGER = rows(
  'sse feature=sse2',
  `
  66 0f 60 punpcklbw Vx,Wx
  66 0f 61 punpcklwd Vx,Wx
  66 0f 62 punpckldq Vx,Wx
  66 0f 63 packsswb Vx,Wx
  66 0f 64 pcmpgtb Vx,Wx
  66 0f 65 pcmpgtw Vx,Wx
  66 0f 66 pcmpgtd Vx,Wx
  66 0f 67 packuswb Vx,Wx
  66 0f 68 punpckhbw Vx,Wx
  66 0f 69 punpckhwd Vx,Wx
  66 0f 6a punpckhdq Vx,Wx
  66 0f 6b packssdw Vx,Wx
  66 0f 74 pcmpeqb Vx,Wx hot
  66 0f 75 pcmpeqw Vx,Wx
  66 0f 76 pcmpeqd Vx,Wx hot
  66 0f d1 psrlw Vx,Wx
  66 0f d2 psrld Vx,Wx
  66 0f d3 psrlq Vx,Wx
  66 0f d5 pmullw Vx,Wx
  66 0f d8 psubusb Vx,Wx
  66 0f d9 psubusw Vx,Wx
  66 0f db pand Vx,Wx hot
  66 0f dc paddusb Vx,Wx
  66 0f dd paddusw Vx,Wx
  66 0f df pandn Vx,Wx hot
  66 0f e1 psraw Vx,Wx
  66 0f e2 psrad Vx,Wx
  66 0f e5 pmulhw Vx,Wx
  66 0f e8 psubsb Vx,Wx
  66 0f e9 psubsw Vx,Wx
  66 0f eb por Vx,Wx hot
  66 0f ec paddsb Vx,Wx
  66 0f ed paddsw Vx,Wx
  66 0f ef pxor Vx,Wx hot
  66 0f f1 psllw Vx,Wx
  66 0f f2 pslld Vx,Wx
  66 0f f3 psllq Vx,Wx
  66 0f f5 pmaddwd Vx,Wx
  66 0f f8 psubb Vx,Wx hot
  66 0f f9 psubw Vx,Wx
  66 0f fa psubd Vx,Wx hot
  66 0f fc paddb Vx,Wx hot
  66 0f fd paddw Vx,Wx
  66 0f fe paddd Vx,Wx hot
  66 0f da pminub Vx,Wx hot
  66 0f de pmaxub Vx,Wx
  66 0f e0 pavgb Vx,Wx
  66 0f e3 pavgw Vx,Wx
  66 0f e4 pmulhuw Vx,Wx
  66 0f ea pminsw Vx,Wx
  66 0f ee pmaxsw Vx,Wx
  66 0f f6 psadbw Vx,Wx
  66 0f d4 paddq Vx,Wx hot
  66 0f f4 pmuludq Vx,Wx hot
  66 0f fb psubq Vx,Wx hot
  66 0f 71/2 r psrlw Ux,Ib
  66 0f 71/4 r psraw Ux,Ib
  66 0f 71/6 r psllw Ux,Ib
  66 0f 72/2 r psrld Ux,Ib
  66 0f 72/4 r psrad Ux,Ib
  66 0f 72/6 r pslld Ux,Ib
  66 0f 73/2 r psrlq Ux,Ib
  66 0f 73/6 r psllq Ux,Ib
  66 0f 6c punpcklqdq Vx,Wx hot
  66 0f 6d punpckhqdq Vx,Wx
  66 0f 6e movd Vx,Ey hot
  66 0f 7e movd_store Ey,Vx hot
  66 0f 6f movaps Vx,Wx hot             # MOVDQA
  66 0f 7f movaps Wx,Vx hot       # MOVDQA
  f3 0f 6f movups Vx,Wx hot             # MOVDQU
  f3 0f 7f movups Wx,Vx hot       # MOVDQU
  66 0f e7 m movaps Mx,Vx         # MOVNTDQ
  f3 0f 7e movq_load Vx,Wq hot          # MOVQ
  66 0f d6 movq_store Wq,Vx hot   # MOVQ
  66 0f 70 pshufd Vx,Wx,Ib hot
  f3 0f 70 pshufhw Vx,Wx,Ib
  f2 0f 70 pshuflw Vx,Wx,Ib hot
  66 0f 73/3 r psrldq Ux,Ib hot
  66 0f 73/7 r pslldq Ux,Ib
  66 0f c4 pinsrw Vx,Ed,Ib memory=2
  66 0f c5 r pextrw Gd,Ux,Ib
  66 0f d7 r pmovmskb Gd,Ux hot
  66 0f f7 r maskmovdqu Vx,Ux string
`,
);

/** SSE3 (SDM 1, chapter 12); FISTTP and MONITOR are elsewhere. */
const SSE3 = rows(
  'sse feature=sse3',
  `
  f3 0f 12 movsldup Vx,Wx
  f2 0f 12 movddup Vx,Wq
  f3 0f 16 movshdup Vx,Wx
  66 0f 7c haddpd Vx,Wx
  f2 0f 7c haddps Vx,Wx
  66 0f 7d hsubpd Vx,Wx
  f2 0f 7d hsubps Vx,Wx
  66 0f d0 addsubpd Vx,Wx
  f2 0f d0 addsubps Vx,Wx
  f2 0f f0 m movups Vx,Mx               # LDDQU
`,
);

/** SSSE3. */
const SSSE3 = rows(
  'sse feature=ssse3',
  `
  66 0f38 00 pshufb Vx,Wx hot
  66 0f38 01 phaddw Vx,Wx
  66 0f38 02 phaddd Vx,Wx
  66 0f38 03 phaddsw Vx,Wx
  66 0f38 04 pmaddubsw Vx,Wx
  66 0f38 05 phsubw Vx,Wx
  66 0f38 06 phsubd Vx,Wx
  66 0f38 07 phsubsw Vx,Wx
  66 0f38 08 psignb Vx,Wx
  66 0f38 09 psignw Vx,Wx
  66 0f38 0a psignd Vx,Wx
  66 0f38 0b pmulhrsw Vx,Wx
  66 0f38 1c pabsb Vx,Wx
  66 0f38 1d pabsw Vx,Wx
  66 0f38 1e pabsd Vx,Wx
  66 0f3a 0f palignr Vx,Wx,Ib
`,
);

/** SSE4.1. */
const SSE4_1 = rows(
  'sse feature=sse4_1',
  `
  66 0f38 10 pblendvb Vx,Wx
  66 0f38 14 blendvps Vx,Wx
  66 0f38 15 blendvpd Vx,Wx
  66 0f38 17 ptest Vx,Wx
  66 0f38 28 pmuldq Vx,Wx
  66 0f38 29 pcmpeqq Vx,Wx
  66 0f38 2a m movaps Vx,Mx             # MOVNTDQA
  66 0f38 2b packusdw Vx,Wx
  66 0f38 38 pminsb Vx,Wx
  66 0f38 39 pminsd Vx,Wx
  66 0f38 3a pminuw Vx,Wx
  66 0f38 3b pminud Vx,Wx
  66 0f38 3c pmaxsb Vx,Wx
  66 0f38 3d pmaxsd Vx,Wx
  66 0f38 3e pmaxuw Vx,Wx
  66 0f38 3f pmaxud Vx,Wx
  66 0f38 40 pmulld Vx,Wx
  66 0f38 41 phminposuw Vx,Wx
  66 0f38 20 pmovsxbw Vx,Wq
  66 0f38 21 pmovsxbd Vx,Wd
  66 0f38 22 pmovsxbq Vx,Ww
  66 0f38 23 pmovsxwd Vx,Wq
  66 0f38 24 pmovsxwq Vx,Wd
  66 0f38 25 pmovsxdq Vx,Wq
  66 0f38 30 pmovzxbw Vx,Wq
  66 0f38 31 pmovzxbd Vx,Wd
  66 0f38 32 pmovzxbq Vx,Ww
  66 0f38 33 pmovzxwd Vx,Wq
  66 0f38 34 pmovzxwq Vx,Wd
  66 0f38 35 pmovzxdq Vx,Wq
  66 0f3a 08 roundps Vx,Wx,Ib
  66 0f3a 09 roundpd Vx,Wx,Ib
  66 0f3a 0a roundss Vx,Wd,Ib
  66 0f3a 0b roundsd Vx,Wq,Ib
  66 0f3a 0c blendps Vx,Wx,Ib
  66 0f3a 0d blendpd Vx,Wx,Ib
  66 0f3a 0e pblendw Vx,Wx,Ib
  66 0f3a 14 pextrb Ed,Vx,Ib memory=1
  66 0f3a 15 pextrw_store Ed,Vx,Ib memory=2
  66 0f3a 16 pextrd Ey,Vx,Ib      # PEXTRQ
  66 0f3a 17 extractps Ed,Vx,Ib
  66 0f3a 20 pinsrb Vx,Ed,Ib memory=1
  66 0f3a 21 insertps Vx,Wd,Ib
  66 0f3a 22 pinsrd Vx,Ey,Ib            # PINSRQ
  66 0f3a 40 dpps Vx,Wx,Ib
  66 0f3a 41 dppd Vx,Wx,Ib
  66 0f3a 42 mpsadbw Vx,Wx,Ib
`,
);

/** SSE4.2; CRC32 is with the integer instructions. */
const SSE4_2 = rows(
  'sse feature=sse4_2',
  `
  66 0f38 37 pcmpgtq Vx,Wx
  66 0f3a 60 pcmpestrm Vx,Wx,Ib sized
  66 0f3a 61 pcmpestri Vx,Wx,Ib sized
  66 0f3a 62 pcmpistrm Vx,Wx,Ib
  66 0f3a 63 pcmpistri Vx,Wx,Ib hot
`,
);

/** AES-NI (SDM 1, 12.13). */
const AES = rows(
  'sse feature=aes',
  `
  66 0f38 db aesimc Vx,Wx
  66 0f38 dc aesenc Vx,Wx
  66 0f38 dd aesenclast Vx,Wx
  66 0f38 de aesdec Vx,Wx
  66 0f38 df aesdeclast Vx,Wx
  66 0f3a df aeskeygenassist Vx,Wx,Ib
`,
);

/** Carry-less multiplication. */
const PCLMULQDQ = rows(
  'sse feature=pclmulqdq',
  `
  66 0f3a 44 pclmulqdq Vx,Wx,Ib
`,
);

/** The SHA extensions (SDM 1, 12.14.2). */
const SHA = rows(
  'sse feature=sha_ni',
  `
  np 0f38 c8 sha1nexte Vx,Wx
  np 0f38 c9 sha1msg1 Vx,Wx
  np 0f38 ca sha1msg2 Vx,Wx
  np 0f38 cb sha256rnds2 Vx,Wx
  np 0f38 cc sha256msg1 Vx,Wx
  np 0f38 cd sha256msg2 Vx,Wx
  np 0f3a cc sha1rnds4 Vx,Wx,Ib
`,
);

export const SSE_ROWS = [
  MMX,
  MMX_SSE,
  MMX_SSE2,
  MMX_SSSE3,
  SSE,
  SSE_CONVERT,
  SSE2_CONVERT,
  SSE2_FLOAT,
  SSE2_INTEGER,
  SSE3,
  SSSE3,
  SSE4_1,
  SSE4_2,
  AES,
  PCLMULQDQ,
  SHA,
].join('');
