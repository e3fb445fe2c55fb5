/**
 * Floating-point comparisons: into RFLAGS, and into masks.
 *
 * Intel SDM volume 2: COMISS, COMISD, UCOMISS, UCOMISD, CMPPS, CMPPD, CMPSS, CMPSD (table 3-1, predicates).
 */
import { i32, type I32 } from '../emit/expr.ts';
import { call, Relation } from '../float/format.ts';
import { define } from './registry.ts';
import { flagsCompare } from './flags.ts';
import { checked, inDoubt, PD, PS, SD, settle, SS, type Shape } from './sse-float.ts';
import { field, helper, imm8, mxcsr } from './sse-operand.ts';

/** RFLAGS of the relations: CF less, ZF equal, both and PF unordered. */
const CF = 1;
const UNORDERED = 0x45;
const ZERO_SHIFT = 6;

function compare<V extends 'f32' | 'f64'>(shape: Shape<V, 'i32'>): void {
  for (const [name, signaling] of [
    ['comi', 1],
    ['ucomi', 0],
  ] as const) {
    define(`${name}${shape.suffix}`, (e) => {
      const c = e.c;
      const [first, second] = e.operands;
      const b = shape.read(e, second);
      const a = shape.read(e, first);
      const word = c.local('i32');
      c.set(word, i32.or(shape.lt(a, b), i32.shl(shape.eq(a, b), ZERO_SHIFT)));
      inDoubt(c, shape.unless(shape.isOrdinary(a), shape.isOrdinary(b)), () => {
        const func = helper(e, `${shape.library}.compare`);
        const operands = [shape.bits(a), shape.bits(b)];
        const [relation, flags] = call(c, func, ['i32', 'i32'], ...operands, mxcsr(e), signaling);
        settle(e, flags);
        c.set(word, flagsOf(relation));
      });
      flagsCompare(e, word.get);
    });
  }
}

const flagsOf = (relation: I32): I32 =>
  i32.select(
    i32.and(relation, Relation.Unordered),
    UNORDERED,
    i32.or(
      i32.select(i32.and(relation, Relation.Less), CF, 0),
      i32.select(i32.and(relation, Relation.Equal), 1 << ZERO_SHIFT, 0),
    ),
  );

compare(SS);
compare(SD);

/**
 * Predicates 0 … 7: equal, less, less or equal, unordered, and their negations. VEX forms have 8 … 15, which differ from
 * these for unordered operands, and 16 … 31, which differ in what quiet NaNs raise.
 */
function predicate<V extends 'f32' | 'f64' | 'v128', M extends 'i32' | 'v128'>(
  name: string,
  shape: Shape<V, M>,
): void {
  define(name, (e) => {
    const [target, operand] = e.operands;
    const b = shape.read(e, operand);
    const a = shape.read(e, target);
    const which = e.c.let(i32.and(imm8(e), e.vex === undefined ? 7 : 31));
    const less = shape.lt(a, b);
    const equal = shape.eq(a, b);
    const orderedPredicates = shape.pick(field(which, 0, 1), less, equal);
    // With ordered operands, which is all that is decided here, "unordered" never holds.
    const never = shape.lt(a, a);
    const others = shape.pick(field(which, 0, 1), never, shape.or(less, equal));
    const holds = shape.pick(field(which, 1, 1), others, orderedPredicates);
    const native = shape.toMask(holds, field(which, 2, 1));
    const doubts = () => shape.unless(shape.isOrdinary(a), shape.isOrdinary(b));
    const exact = (control: I32) => {
      const func = helper(e, `${shape.library}.predicate`);
      const operands = [shape.bits(a), shape.bits(b)];
      const [mask, flags] = call(e.c, func, [shape.bitsType, 'i32'], ...operands, control, which);
      return [shape.ofBits(mask), flags] as const;
    };
    shape.write(e, target, checked(e, native, doubts, exact));
  });
}
predicate('cmpss', SS);
predicate('cmpsd_xmm', SD);
predicate('cmpps', PS);
predicate('cmppd', PD);
