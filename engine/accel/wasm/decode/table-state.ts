/** Saving and restoring x87, SSE and extended state. Notation: rows.ts. Source: Intel SDM 2. */
export const STATE_ROWS = `
np 0f ae/0 m fxsave Ms nocheck x87 ts feature=fxsr
np 0f ae/1 m fxrstor Ms nocheck x87 ts feature=fxsr
np 0f ae/4 m xsave Ms nocheck avx ts feature=xsave
np 0f ae/5 m xrstor Ms nocheck avx ts feature=xsave
np 0f ae/6 m xsaveopt Ms nocheck avx ts feature=xsaveopt
np 0f c7/3 m xrstors Ms nocheck avx ts feature=xsaves
np 0f c7/4 m xsavec Ms nocheck avx ts feature=xsavec
np 0f c7/5 m xsaves Ms nocheck avx ts feature=xsaves
`;
