/** Where the processor's own fields lie within a vCPU's state. */
import { expect, test } from 'vitest';
import { vcpuLayout } from '../../vcpu/state.ts';
import { P, privateLayout, S } from './private.ts';

test('what is private is before the architectural state and behind it, not in it', () => {
  expect(P.architectural).toBe(S.gpr);
  expect(P.bounce).toBe(S.accel);
  expect(privateLayout.size).toBeLessThanOrEqual(vcpuLayout.size);
});

test('the kind of late flags, which is the last before it, and the second flag word are one word of 64 bits', () => {
  expect(P.flagsKind % 8).toBe(0);
  expect(P.flagsKind + 4).toBe(S.flagsAux);
  const before = Object.values(P).filter((offset) => offset < P.architectural);
  expect(Math.max(...before)).toBe(P.flagsKind);
});

test('what is used most has offsets of one byte', () => {
  for (const offset of [P.tlb, P.jumpCache, P.codePage, P.flagsFirst, S.flagsRes, S.gpr + 8 * 7])
    expect(offset).toBeLessThan(128);
});
