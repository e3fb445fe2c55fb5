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
    interruptTaken: () => pit.interruptTaken(),
    endOfInterrupt: (vector) => ioapic.endOfInterrupt(vector),
    tscToNs: (_vcpu, tsc) => Number(tsc),
    readTsc: () => BigInt(clock.now()),
    initialId: (vcpu) => vcpu,
    physicalAddressBits: 40,
  });
  const ioapic: Ioapic = new Ioapic(
    arena.place(ioapicLayout),
    (message) => apics.deliver(message),
    (message) => apics.isRequested(message),
  );
  const irq0 = (level: boolean) => {
    pic.setIrq(0, level);
    ioapic.setPin(2, level);
  };
  const waiting = () => ioapic.isWaiting(2) || (pic.isWaiting(0) && apics.takeIntr);
  const pit: Pit = new Pit(arena.place(pitLayout), clock, irq0, waiting);
  for (const device of [pic, apics, ioapic, pit]) device.reset();
  return { clock, apics, pic, ioapic, pit };
}

const SVR = 0xf0;
const EOI = 0xb0;
const LINT0 = 0x350;

/** The timer interrupts every millisecond, by 1193 ticks. */
function tickEveryMillisecond({ pit }: ReturnType<typeof board>): void {
  for (const [port, value] of [[3, 0x34], [0, 0xa9], [0, 0x04]] as const) {
    pit.counters.portWrite(port, 1, value);
  } // prettier-ignore
}

/** The timer goes through the PIC, at vector 0x20, and LINT0 in ExtINT mode; the EOI is the PIC's. */
function virtualWire({ apics, pic }: ReturnType<typeof board>): () => void {
  apics.mmioWrite(SVR, 4, 0x1ff, 0);
  apics.mmioWrite(LINT0, 4, 0x700, 0);
  pic.master.portWrite(0, 1, 0x11);
  for (const icw of [0x20, 0x04, 0x01]) pic.master.portWrite(1, 1, icw);
  return () => pic.master.portWrite(0, 1, 0x20);
}

/** The timer goes through the I/O APIC, at vector 0x31; the EOI is the local APIC's. */
function symmetric({ apics, pic, ioapic }: ReturnType<typeof board>): () => void {
  apics.mmioWrite(SVR, 4, 0x1ff, 0);
  pic.master.portWrite(0, 1, 0x11);
  for (const icw of [0x20, 0x04, 0x01, 0xff]) pic.master.portWrite(1, 1, icw);
  ioapic.mmioWrite(0x00, 4, 0x10 + 2 * 2, 0);
  ioapic.mmioWrite(0x10, 4, 0x31, 0);
  return () => apics.mmioWrite(EOI, 4, 0, 0);
}

/** Takes what there is, as a processor does. @returns how many there were */
function takeAll(apics: LocalApics, end: () => void): number {
  let count = 0;
  for (; apics.pending(0); count++) {
    apics.acknowledge(0);
    // In service, it holds back what follows.
    expect(apics.pending(0)).toBe(false);
    end();
  }
  return count;
}

test.each([
  ['the PIC', virtualWire],
  ['the I/O APIC', symmetric],
])('no tick is lost to a processor that is late, by %s', (_, connect) => {
  const parts = board();
  const { clock, pit, apics } = parts;
  const end = connect(parts);
  tickEveryMillisecond(parts);
  takeAll(apics, end); // OUT has risen with the mode
  // Once it was served in time, but nobody took anything; once nobody served it either.
  for (let n = 0; n < 10; n++) {
    clock.time = pit.deadline();
    pit.service(clock.time);
  }
  expect(takeAll(apics, end)).toBe(10);
  clock.time = 20.5e6;
  pit.service(clock.time);
  expect(takeAll(apics, end)).toBe(10);
  clock.time = pit.deadline();
  pit.service(clock.time);
  expect(takeAll(apics, end)).toBe(1);
});

test('a PIC whose request goes nowhere does not keep the I/O APIC from being asked again', () => {
  const parts = board();
  const { clock, pit, apics, pic } = parts;
  const end = symmetric(parts);
  pic.master.portWrite(1, 1, 0xfe); // IRQ 0 unmasked, but LINT0 is not
  tickEveryMillisecond(parts);
  takeAll(apics, end);
  for (let n = 0; n < 3; n++) {
    clock.time = pit.deadline();
    pit.service(clock.time);
    expect(takeAll(apics, end)).toBe(1);
  }
});

test('virtual wire: timer, PIC, LINT0 in ExtINT mode, vCPU', () => {
  const parts = board();
  const { clock, apics, pic, pit } = parts;
  const end = virtualWire(parts);
  tickEveryMillisecond(parts);
  takeAll(apics, end);
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
