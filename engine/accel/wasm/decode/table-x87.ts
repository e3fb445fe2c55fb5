/** The x87 instructions. Notation: rows.ts. Source: Intel SDM 2, appendix A.5. */
export const X87_ROWS = ``;
