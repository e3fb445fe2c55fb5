/** The interrupt controllers wired together as a board does it. */
import { expect, test } from 'vitest';
import { Arena } from '../../memory/layout.ts';
import { vcpuLayout } from '../../vcpu/state.ts';
import { TestWorld } from '../conformance.ts';
import { Ioapic, ioapicLayout } from './ioapic.ts';
import { LocalApics, lapicLayout } from './lapic.ts';
import { Pic, picLayout } from './pic.ts';
import { Pit, pitLayout } from './pit.ts';

function board() {
  const arena = new Arena(new SharedArrayBuffer(0x1_0000), 0, 0x1_0000);
  const { clock } = new TestWorld();
  const vcpu = arena.place(vcpuLayout);
  const pic: Pic = new Pic(arena.place(picLayout), (level) => apics.setIntr(level));
  const apics: LocalApics = new LocalApics([arena.place(lapicLayout)], [vcpu], {
    clock,
    signals: {
      raise: (_vcpu, mask) => (vcpu.events |= mask),
      lower: (_vcpu, mask) => (vcpu.events &= ~mask),
    },
    acknowledgePic: () => pic.acknowledge(),
    endOfInterrupt: (vector) => ioapic.endOfInterrupt(vector),
    tscToNs: (_vcpu, tsc) => Number(tsc),
    readTsc: () => BigInt(clock.now()),
    initialId: (vcpu) => vcpu,
    physicalAddressBits: 40,
  });
  const ioapic: Ioapic = new Ioapic(arena.place(ioapicLayout), (message) => apics.deliver(message));
  const pit = new Pit(arena.place(pitLayout), clock, (level) => {
    pic.setIrq(0, level);
    ioapic.setPin(2, level);
  });
  for (const device of [pic, apics, ioapic, pit]) device.reset();
  return { clock, apics, pic, ioapic, pit };
}

const SVR = 0xf0;
const EOI = 0xb0;
const LINT0 = 0x350;

test('virtual wire: timer, PIC, LINT0 in ExtINT mode, vCPU', () => {
  const { clock, apics, pic, pit } = board();
  apics.mmioWrite(SVR, 4, 0x1ff, 0);
  apics.mmioWrite(LINT0, 4, 0x700, 0);
  pic.master.portWrite(0, 1, 0x11);
  for (const icw of [0x20, 0x04, 0x01]) pic.master.portWrite(1, 1, icw);
  pit.counters.portWrite(3, 1, 0x34);
  pit.counters.portWrite(0, 1, 0xa9);
  pit.counters.portWrite(0, 1, 0x04); // 1193 ticks, a millisecond
  const taken: number[] = [];
  for (let n = 0; n < 5; n++) {
    clock.time = pit.deadline();
    pit.service(clock.time);
    while (apics.pending(0)) {
      taken.push(apics.acknowledge(0));
      pic.master.portWrite(0, 1, 0x20);
    }
  }
  expect(taken).toEqual([0x20, 0x20, 0x20, 0x20, 0x20]);
  expect(Math.round(clock.time / 1e6)).toBe(5);
});

test('a shared level-triggered input of the I/O APIC interrupts until no device asserts it', () => {
  const { apics, ioapic } = board();
  apics.mmioWrite(SVR, 4, 0x1ff, 0);
  ioapic.mmioWrite(0x00, 4, 0x10 + 2 * 20, 0);
  ioapic.mmioWrite(0x10, 4, 0x8061, 0);
  ioapic.setPin(20, true);
  for (let n = 0; n < 3; n++) {
    expect(apics.acknowledge(0)).toBe(0x61);
    expect(apics.pending(0)).toBe(false);
    if (n === 2) ioapic.setPin(20, false);
    apics.mmioWrite(EOI, 4, 0, 0);
  }
  expect(apics.pending(0)).toBe(false);
});

test('with EOI broadcast suppressed, the I/O APIC waits for its EOI register', () => {
  const { apics, ioapic } = board();
  apics.mmioWrite(SVR, 4, 0x11ff, 0);
  ioapic.mmioWrite(0x00, 4, 0x10 + 2 * 20, 0);
  ioapic.mmioWrite(0x10, 4, 0x8061, 0);
  ioapic.setPin(20, true);
  apics.acknowledge(0);
  apics.mmioWrite(EOI, 4, 0, 0);
  expect(apics.pending(0)).toBe(false);
  ioapic.mmioWrite(0x40, 4, 0x61, 0);
  expect(apics.acknowledge(0)).toBe(0x61);
});
