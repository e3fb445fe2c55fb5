import { expect, test } from 'vitest';
import { f64, i32, i32x4, i64, v128 } from './expr.ts';
import { ModuleBuilder } from './module.ts';

function instance(build: (m: ModuleBuilder) => void): Record<string, (...args: unknown[]) => unknown> {
  const m = new ModuleBuilder();
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  m.importMemory('e', 'm', 1, 1);
  build(m);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.encode()), {
    e: { m: memory },
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
    const other = m.function(['i32'], ['i32'], (c) => c.return(i32.const(0)));
    m.table('table', [other, other, target], type);
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

test('hints stand at the branches they are about', () => {
  const m = new ModuleBuilder();
  const outside = m.importFunction('e', 'f', [], []);
  const plain = m.function(['i32'], ['i32'], (c) => c.return(c.param('i32', 0).get));
  const hinted = m.function(['i32'], ['i32'], (c) => {
    const n = c.param('i32', 0).get;
    const local = c.local('i64');
    c.unlikely(i32.eqz(n), () => c.run(outside));
    c.if(
      i32.lt_s(n, 3),
      () => c.set(local, 1),
      () => c.cold(),
    );
    c.if(i32.lt_s(n, 4), () => c.set(local, 2));
    c.block((leave) => c.brIf(leave, n, 'unlikely'));
    c.front(() => c.set(local, i64.extend_u(n)));
    c.return(c.call('i32', plain, n));
  });
  const bytes = m.encode();
  const module = new WebAssembly.Module(bytes);
  const [section] = WebAssembly.Module.customSections(module, 'metadata.code.branch_hint');
  // One function: its index and three hints, each an offset, its length of 1, and the value.
  const [functions, index, hints, ...rest] = new Uint8Array(section!);
  expect([functions, index, hints]).toEqual([1, hinted.index, 3]);
  expect([rest[2], rest[5], rest[8]]).toEqual([0, 1, 0]);
  // The last body of the code section, which is the last section, begins behind its length of one byte.
  const body = bytes.lastIndexOf(bytes.at(-1)!, bytes.length - 1) + 1 - lengthOfLastBody(bytes);
  expect([rest[0], rest[3], rest[6]].map((at) => bytes[body + at!])).toEqual([0x04, 0x04, 0x0d]);
});

/** The body that ends the module: its length stands before it. */
function lengthOfLastBody(bytes: Uint8Array): number {
  for (let length = 1; length < 128; length++) {
    // Its locals: one run, of one i64.
    const at = bytes.length - length;
    if (bytes[at - 1] === length && bytes[at] === 1 && bytes[at + 1] === 1 && bytes[at + 2] === 0x7e)
      return length;
  }
  throw new Error('no body');
}
