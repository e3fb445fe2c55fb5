/** Flags that are put off. */
import type { Expr, I32 } from '../emit/expr.ts';
import type { Size } from './form.ts';

/**
 * What the arithmetic flags follow from, for whoever puts off computing them until somebody asks. All that it
 * refers to is bound, so that it stays true however registers change.
 */
export interface FlagSource {
  /** add and sub: result = a ± b, without a carry in. logic: CF, OF and AF are clear. */
  readonly kind: 'add' | 'sub' | 'logic' | 'other';
  readonly a?: Expr;
  readonly b?: Expr;
  /** ZF, SF and PF follow from it; absent where they are those before. */
  readonly result?: Expr;
  readonly size: Size;
  /** Flags before that are also flags after: CF alone, or all but CF and OF. */
  readonly keeps?: 'carry' | 'rest';
  /** Sets both words of the flags; where it keeps some, these hold the flags before. */
  compute(): void;
  /** CF, OF, ZF and PF as 0 or 1, where they cost less than all the flags. */
  carry?(): I32;
  overflow?(): I32;
  zero?(): I32;
  parity?(): I32;
}
