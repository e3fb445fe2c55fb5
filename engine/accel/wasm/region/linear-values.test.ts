import { expect, test } from 'vitest';
import type { Code, Local } from '../emit/code.ts';
import { i64, type Expr } from '../emit/expr.ts';
import { ModuleBuilder } from '../emit/module.ts';
import { LinearValues } from './linear-values.ts';

/** What is known while a function with two parameters is emitted. */
function within(body: (c: Code, values: LinearValues, x: Local<'i64'>, y: Local<'i64'>) => void): void {
  const m = new ModuleBuilder();
  m.function(['i64', 'i64'], [], (c) => {
    const values = new LinearValues(c);
    values.begin(false);
    body(c, values, c.param('i64', 0), c.param('i64', 1));
  });
}

/** How far apart two values are, if that is known. */
function distance(values: LinearValues, a: Expr, b: Expr): bigint | undefined {
  const [from, to] = [values.of(a), values.of(b)];
  return from.origin === to.origin ? to.offset - from.offset : undefined;
}

test('sums with constants are known, modulo 2^64, and nothing else', () => {
  within((c, values, x, y) => {
    const a = c.let(i64.sub(i64.add(x.get, 24), 8));
    expect(distance(values, x.get, a)).toBe(16n);
    expect(distance(values, i64.const(-1), i64.const(5))).toBe(6n);
    expect(values.of(i64.add(i64.const(2n ** 63n - 1n), 1)).offset).toBe(-(2n ** 63n));
    expect(distance(values, x.get, y.get)).toBeUndefined();
    expect(distance(values, x.get, c.let(i64.add(x.get, y.get)))).toBeUndefined();
    expect(distance(values, x.get, c.let(i64.and(x.get, 8)))).toBeUndefined();
  });
});

test('what was taken from a local stays what it was when that is given something else', () => {
  within((c, values, x, y) => {
    const a = c.let(i64.add(x.get, 8));
    c.set(x, i64.add(x.get, 100));
    expect(distance(values, a, x.get)).toBe(92n);
    c.set(x, y.get);
    expect(distance(values, a, x.get)).toBeUndefined();
    expect(distance(values, x.get, y.get)).toBe(0n);
  });
});

test('what is given in some cases only, or by a call with others, is not known', () => {
  const m = new ModuleBuilder();
  const pair = m.function([], ['i64', 'i64'], (c) => c.return(i64.const(1), i64.const(2)));
  m.function(['i64', 'i64', 'i32'], [], (c) => {
    const values = new LinearValues(c);
    values.begin(false);
    const [x, y] = [c.param('i64', 0), c.param('i64', 1)];
    const before = c.let(x.get);
    c.if(c.param('i32', 2).get, () => c.set(x, i64.add(x.get, 8)));
    expect(distance(values, before, x.get)).toBeUndefined();
    let used: Expr | undefined;
    c.scope(() => (used = c.let(i64.add(y.get, 8))));
    expect(distance(values, y.get, used!)).toBe(8n);
    // The same local, again.
    c.scope(() => {
      for (const local of c.callMulti(pair)) expect(distance(values, y.get, local.get)).toBeUndefined();
    });
  });
});

test('aside, what is given is given there alone', () => {
  within((c, values, x, y) => {
    const a = c.let(x.get);
    values.aside(() => {
      values.begin(true);
      c.set(x, y.get);
      expect(distance(values, y.get, x.get)).toBe(0n);
    });
    expect(distance(values, a, x.get)).toBe(0n);
    values.begin(false);
    expect(distance(values, a, x.get)).toBeUndefined();
  });
});
