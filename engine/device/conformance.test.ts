import { expect, test } from 'vitest';
import { layout, type View } from '../memory/layout.ts';
import { deviceConformance, TestWorld } from './conformance.ts';
import type { AccessSize, Clock, Device, Line, PortDevice, TimedDevice } from './device.ts';

const counterLayout = layout('counter', 1, { value: 'u32', at: 'f64' });

/** The least device there is: a scratch byte, and a line that rises every microsecond. */
class Counter implements Device, PortDevice, TimedDevice {
  readonly name = 'counter';
  readonly #state: View<typeof counterLayout.fields>;
  readonly #clock: Clock;
  readonly #line: Line;

  constructor(state: View<typeof counterLayout.fields>, clock: Clock, line: Line) {
    this.#state = state;
    this.#clock = clock;
    this.#line = line;
  }

  reset(): void {
    this.#state.value = 0;
    this.#state.at = this.#clock.now() + 1000;
    this.#line(false);
  }

  portRead(_offset: number, size: AccessSize): number {
    return size === 4 ? this.#state.value : this.#state.value & (2 ** (8 * size) - 1);
  }

  portWrite(_offset: number, _size: AccessSize, value: number): void {
    this.#state.value = value;
  }

  deadline(): number {
    return this.#state.at;
  }

  service(now: number): void {
    if (now < this.#state.at) return;
    this.#state.at += (Math.floor((now - this.#state.at) / 1000) + 1) * 1000;
    this.#line(true);
  }
}

deviceConformance('a simple device', (place, world) => {
  const device = new Counter(place.place(counterLayout), world.clock, world.line('tick'));
  return { device, ports: [{ device, length: 4 }], timers: [device] };
});

test('the world keeps a journal of lines', () => {
  const world = new TestWorld();
  world.line('irq')(true);
  world.line('irq')(false);
  expect(world.journal).toEqual(['irq=1', 'irq=0']);
});
