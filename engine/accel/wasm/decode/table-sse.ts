/**
 * Opcode rows of MMX, SSE to SSE4.2, AES-NI and PCLMULQDQ, in the notation of rows.ts.
 *
 * Instructions that differ in name only (ANDPS, ANDPD and PAND; MOVAPS, MOVAPD and MOVDQA) share the name of one
 * of them, and so its code. A `_mmx` suffix marks the form on 64-bit MMX registers.
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
  np 0f 6e movd_mmx Pq,Ey
  np 0f 6f movq_mmx Pq,Qq
  np 0f 71/2 r psllw_imm_mmx... 
`,
);
