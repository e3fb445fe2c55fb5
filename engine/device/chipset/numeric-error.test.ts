import { expect, test } from 'vitest';
import { deviceConformance, TestWorld } from '../conformance.ts';
import { Arena } from '../../memory/layout.ts';
import { NumericError } from './numeric-error.ts';

deviceConformance('numeric error', (arena, world) => {
  const device = new NumericError(arena, world.line('irq13'), () => world.line('ignne')(true));
  return { device, ports: [{ device, length: 2 }] };
});

function setUp() {
  const world = new TestWorld();
  const arena = new Arena(new SharedArrayBuffer(4096), 0, 4096);
  const device = new NumericError(arena, world.line('irq13'), () => world.line('ignne')(true));
  device.reset();
  world.journal.length = 0;
  return { world, device };
}

test('FERR# raises IRQ 13; a write to port 0xF0 ends it and asserts IGNNE# (SDM 1, 8.7.1)', () => {
  const { world, device } = setUp();
  device.assert();
  device.portWrite(0);
  expect(world.journal).toEqual(['irq13=1', 'irq13=0', 'ignne=1']);
});

test('without FERR#, and at another port, a write does nothing', () => {
  const { world, device } = setUp();
  device.portWrite(0);
  device.assert();
  device.portWrite(1);
  expect(world.journal).toEqual(['irq13=1']);
});
