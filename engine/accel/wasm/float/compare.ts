/**
 * Comparison in any encoding, and SSE's minimum and maximum.
 *
 * Intel SDM volume 2: COMISD, UCOMISD, CMPPD (predicates), MINSD, MAXSD, FCOM, FUCOM.
 */
import type { Func } from '../emit/code.ts';
import { i32, i64 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { choose, type Encoding } from './encoding.ts';
import { call, denormalFlag, has, Info, invalidFlag, Relation, signOf } from './format.ts';

/** The classes in order of magnitude. */
const MAGNITUDE_CLASS = Info.Zero | Info.Finite | Info.Infinity;

/** (a, b, control, signaling) → (relation, flags): one bit of {@link Relation}; IE for a signaling NaN, and
 * for a quiet one too where `signaling` is 1; DE for denormals. */
export function addCompare(m: ModuleBuilder, encoding: Encoding): Func {
  const { types } = encoding;
  const count = types.length;
  return m.function([...types, ...types, 'i32', 'i32'], ['i32', 'i32'], (c) => {
    const control = c.param('i32', 2 * count).get;
    const signaling = c.param('i32', 2 * count + 1).get;
    const a = encoding.unpack(c, encoding.param(c, 0), control);
    const b = encoding.unpack(c, encoding.param(c, count), control);
    const either = c.let(i32.or(a.info, b.info));
    c.if(has(either, Info.NaN), () => {
      c.return(i32.const(Relation.Unordered), i32.or(invalidFlag(either), signaling));
    });
    const flags = denormalFlag(either);
    const classA = c.let(i32.and(a.info, MAGNITUDE_CLASS));
    const classB = c.let(i32.and(b.info, MAGNITUDE_CLASS));
    const signA = c.let(signOf(a.info));
    c.if(i32.and(classA, i32.and(classB, Info.Zero)), () => c.return(i32.const(Relation.Equal), flags));
    c.if(i32.ne(signA, signOf(b.info)), () => {
      c.return(i32.select(signA, Relation.Less, Relation.Greater), flags);
    });
    const differs = c.var('i32', 1);
    const less = c.local('i32');
    c.if(
      i32.ne(classA, classB),
      () => c.set(less, i32.lt_u(classA, classB)),
      () =>
        c.if(
          i32.ne(a.exponent, b.exponent),
          () => c.set(less, i32.lt_s(a.exponent, b.exponent)),
          () => {
            c.set(differs, i64.ne(a.significand, b.significand));
            c.set(less, i64.lt_u(a.significand, b.significand));
          },
        ),
    );
    const ordered = i32.select(i32.xor(less.get, signA), Relation.Less, Relation.Greater);
    c.return(i32.select(differs.get, ordered, Relation.Equal), flags);
  });
}

/** (a, b, MXCSR) → (result, flags): a where the relation holds, else b, which so comes out for two zeros and
 * for NaNs, unchanged and with IE. */
export function addSelect(m: ModuleBuilder, encoding: Encoding, compare: Func, relation: number): Func {
  const { types } = encoding;
  return m.function([...types, ...types, 'i32'], [...types, 'i32'], (c) => {
    const control = c.param('i32', 2).get;
    const [a, b] = [encoding.param(c, 0), encoding.param(c, 1)];
    const [found, flags] = call(c, compare, ['i32', 'i32'], ...a, ...b, control, 1);
    const taken = choose(c, has(found, relation), a, b);
    // Under denormals-are-zero the zero it was taken for comes out.
    const { info } = encoding.unpack(c, taken, control);
    c.return(...choose(c, has(info, Info.Zero), encoding.zero(signOf(info)), taken), flags);
  });
}
