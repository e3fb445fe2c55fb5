import { expect, test } from 'vitest';
import { f64, i32, i32x4, i64, v128 } from './expr.ts';
import { ModuleBuilder } from './module.ts';

function instance(build: (m: ModuleBuilder) => void): Record<string, (...args: unknown[]) => unknown> {
  const m = new ModuleBuilder();
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  m.importMemory('e', 'm', 1, 1);
  m.importTable('e', 't', 4);
  build(m);
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: 4 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.encode()), {
    e: { m: memory, t: table },
  });
  return exports as Record<string, (...args: unknown[]) => unknown>;
}

test('arithmetic, constants of every length, locals and control flow', () => {
  const { sum, big } = instance((m) => {
    m.export(
      'sum',
      m.function(['i32'], ['i64'], (c) => {
        const n = c.param('i32', 0);
        const total = c.var('i64', 0);
        c.loop((again) => {
          c.set(total, i64.add(total.get, i64.extend_u(n.get)));
          c.set(n, i32.sub(n.get, 1));
          c.brIf(again, n.get);
        });
        c.return(total.get);
      }),
    );
    m.export(
      'big',
      m.function([], ['i64'], (c) => c.return(i64.xor(c.let(i64.load(0, 8)), 0x8000_0000_0000_0001n))),
    );
  });
  expect(sum!(1000)).toBe(500500n);
  expect(big!()).toBe(-0x7fff_ffff_ffff_ffffn);
});

test('memory, SIMD, atomics and tail calls through the table', () => {
  const { run } = instance((m) => {
    const type = m.type(['i32'], ['i32']);
    const target = m.function(['i32'], ['i32'], (c) => c.return(i32.mul(c.param('i32', 0).get, 3)));
    m.elements(2, [target]);
    m.export(
      'run',
      m.function(['i32'], ['i32'], (c) => {
        c.store('v128', 64, i32x4.splat(c.param('i32', 0).get));
        c.drop(i32.atomic.add(72, 5));
        c.store('f64', 0, f64.add(1.5, 2));
        const v = c.let(v128.load(64));
        c.returnCallIndirect(type, 2, i32.add(i32x4.extract(v, 2), i32x4.extract(v, 0)));
      }),
    );
  });
  expect(run!(10)).toBe((15 + 10) * 3);
});

test('constants fold in address arithmetic', () => {
  expect(i32.add(i32.const(3), 4).imm).toBe(7);
  expect(i64.shl(i64.const(1), 63).imm).toBe(-(1n << 63n));
  const a = i64.load(0);
  expect(i64.add(a, 0)).toBe(a);
});
