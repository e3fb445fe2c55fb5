import { expect, test } from 'vitest';
import { Arena } from '../../memory/layout.ts';
import { deviceConformance } from '../conformance.ts';
import { NmiGate } from './nmi-gate.ts';

deviceConformance('NMI gate', (arena, world) => ({ device: new NmiGate(arena, world.line('lint1')) }));

test('a masked signal gets through when the mask goes, if it is still there', () => {
  let lint1 = false;
  const gate = new NmiGate(new Arena(new SharedArrayBuffer(4096), 0, 4096), (level) => (lint1 = level));
  gate.reset();
  gate.signal(true);
  expect(lint1).toBe(true);
  gate.mask(true);
  expect(lint1).toBe(false);
  gate.signal(false);
  gate.signal(true);
  expect(lint1).toBe(false);
  gate.mask(false);
  expect(lint1).toBe(true);
});
