import { expect, test } from 'vitest';
import { Arena } from '../../memory/layout.ts';
import { deviceConformance } from '../conformance.ts';
import { Pic, picLayout } from './pic.ts';

deviceConformance('pic', (place, world) => {
  const pic = new Pic(place.place(picLayout), world.line('intr'));
  return {
    device: pic,
    ports: [
      { device: pic.master, length: 2 },
      { device: pic.slave, length: 2 },
      { device: pic.elcr, length: 2 },
    ],
    stimuli: [(random) => pic.setIrq(random.below(20) - 2, random.oneIn(2)), () => pic.acknowledge()],
  };
});

interface Options {
  masterIcw4?: number;
  slaveIcw4?: number;
}

/** A PIC initialized as a PC's firmware does, vectors 0x20 and 0x28, all unmasked. */
function setUp({ masterIcw4 = 1, slaveIcw4 = 1 }: Options = {}): { pic: Pic; intr: () => boolean } {
  let level = false;
  const arena = new Arena(new SharedArrayBuffer(0x1000), 0, 0x1000);
  const pic = new Pic(arena.place(picLayout), (value) => (level = value));
  pic.reset();
  for (const [chip, base, icw3, icw4] of [
    [pic.master, 0x20, 4, masterIcw4],
    [pic.slave, 0x28, 2, slaveIcw4],
  ] as const) {
    chip.portWrite(0, 1, 0x11);
    chip.portWrite(1, 1, base);
    chip.portWrite(1, 1, icw3);
    chip.portWrite(1, 1, icw4);
  }
  return { pic, intr: () => level };
}

const EOI = 0x20;
const isr = (chip: Pic['master']): number => {
  chip.portWrite(0, 1, 0x0b);
  return chip.portRead(0, 1);
};
const irr = (chip: Pic['master']): number => {
  chip.portWrite(0, 1, 0x0a);
  return chip.portRead(0, 1);
};

test('before initialization nothing is passed on', () => {
  let raised = 0;
  const arena = new Arena(new SharedArrayBuffer(0x1000), 0, 0x1000);
  const pic = new Pic(arena.place(picLayout), (level) => (raised += level ? 1 : 0));
  pic.reset();
  pic.setIrq(1, true);
  expect(raised).toBe(0);
});

test('a request raises INTR; acknowledge gives base plus input and puts it in service', () => {
  const { pic, intr } = setUp();
  pic.setIrq(4, true);
  expect(intr()).toBe(true);
  expect(irr(pic.master)).toBe(0x10);
  expect(pic.acknowledge()).toBe(0x24);
  expect(intr()).toBe(false);
  expect(isr(pic.master)).toBe(0x10);
  expect(irr(pic.master)).toBe(0);
  pic.master.portWrite(0, 1, EOI);
  expect(isr(pic.master)).toBe(0);
});

test('fully nested: only a higher input interrupts the service of another', () => {
  const { pic, intr } = setUp();
  pic.setIrq(4, true);
  pic.acknowledge();
  pic.setIrq(5, true);
  expect(intr()).toBe(false);
  pic.setIrq(3, true);
  expect(intr()).toBe(true);
  expect(pic.acknowledge()).toBe(0x23);
  pic.master.portWrite(0, 1, EOI); // the highest in service: 3
  expect(isr(pic.master)).toBe(0x10);
  expect(intr()).toBe(false);
  pic.master.portWrite(0, 1, EOI);
  expect(pic.acknowledge()).toBe(0x25);
});

test('a slave input goes through input 2 of the master', () => {
  const { pic } = setUp();
  pic.setIrq(12, true);
  expect(irr(pic.master)).toBe(4);
  expect(pic.acknowledge()).toBe(0x2c);
  expect(isr(pic.master)).toBe(4);
  expect(isr(pic.slave)).toBe(0x10);
});

test('the slave ranks as input 2: above 3, below 1', () => {
  const { pic } = setUp();
  pic.setIrq(3, true);
  pic.setIrq(15, true);
  pic.setIrq(1, true);
  expect(pic.acknowledge()).toBe(0x21);
  pic.master.portWrite(0, 1, EOI);
  expect(pic.acknowledge()).toBe(0x2f);
  pic.slave.portWrite(0, 1, EOI);
  pic.master.portWrite(0, 1, EOI);
  expect(pic.acknowledge()).toBe(0x23);
});

test('edge-triggered: one request per rising edge, even while the input stays high', () => {
  const { pic, intr } = setUp();
  pic.setIrq(1, true);
  pic.acknowledge();
  pic.master.portWrite(0, 1, EOI);
  expect(intr()).toBe(false);
  pic.setIrq(1, true);
  expect(intr()).toBe(false);
  pic.setIrq(1, false);
  pic.setIrq(1, true);
  expect(intr()).toBe(true);
});

test('level-triggered by ELCR: requests as long as the input is high', () => {
  const { pic, intr } = setUp();
  pic.elcr.portWrite(1, 1, 0x08); // IRQ 11
  pic.setIrq(11, true);
  expect(pic.acknowledge()).toBe(0x2b);
  pic.slave.portWrite(0, 1, EOI);
  pic.master.portWrite(0, 1, EOI);
  expect(intr()).toBe(true);
  pic.setIrq(11, false);
  expect(intr()).toBe(false);
});

test('ELCR: inputs 0, 1, 2, 8 and 13 cannot be made level-triggered; both bytes in one access', () => {
  const { pic } = setUp();
  pic.elcr.portWrite(0, 2, 0xffff);
  expect(pic.elcr.portRead(0, 2)).toBe(0xdef8);
  expect(pic.elcr.portRead(1, 4)).toBe(0xffff_ffde);
});

test('a request that goes before acknowledge is spurious: input 7, not in service', () => {
  const { pic } = setUp();
  pic.setIrq(4, true);
  pic.setIrq(4, false);
  expect(pic.acknowledge()).toBe(0x27);
  expect(isr(pic.master)).toBe(0);
});

test('a masked input waits', () => {
  const { pic, intr } = setUp();
  pic.master.portWrite(1, 1, 0x10);
  expect(pic.master.portRead(1, 1)).toBe(0x10);
  pic.setIrq(4, true);
  expect(intr()).toBe(false);
  expect(irr(pic.master)).toBe(0x10);
  pic.master.portWrite(1, 1, 0);
  expect(intr()).toBe(true);
});

test('specific EOI clears the named input', () => {
  const { pic } = setUp();
  pic.setIrq(4, true);
  pic.acknowledge();
  pic.setIrq(3, true);
  pic.acknowledge();
  pic.master.portWrite(0, 1, 0x64);
  expect(isr(pic.master)).toBe(0x08);
});

test('rotate on non-specific EOI gives the served input the lowest priority', () => {
  const { pic } = setUp();
  pic.setIrq(3, true);
  pic.acknowledge();
  pic.master.portWrite(0, 1, 0xa0);
  pic.setIrq(3, false);
  pic.setIrq(3, true);
  pic.setIrq(0, true);
  pic.setIrq(5, true);
  expect(pic.acknowledge()).toBe(0x25); // 4 is the highest now, then 5 6 7 0 1 2 3
  pic.master.portWrite(0, 1, EOI);
  expect(pic.acknowledge()).toBe(0x20);
  pic.master.portWrite(0, 1, EOI);
  expect(pic.acknowledge()).toBe(0x23);
});

test('set priority names the lowest input; rotate on specific EOI does both', () => {
  const { pic } = setUp();
  pic.master.portWrite(0, 1, 0xc4); // 5 is the highest
  pic.setIrq(0, true);
  pic.setIrq(6, true);
  expect(pic.acknowledge()).toBe(0x26);
  pic.master.portWrite(0, 1, 0xe6); // EOI of 6, 7 is the highest
  expect(isr(pic.master)).toBe(0);
  pic.setIrq(7, true);
  expect(pic.acknowledge()).toBe(0x27);
});

test('automatic EOI: nothing stays in service; with rotation the served input becomes lowest', () => {
  const { pic } = setUp({ masterIcw4: 3 });
  pic.setIrq(3, true);
  expect(pic.acknowledge()).toBe(0x23);
  expect(isr(pic.master)).toBe(0);
  pic.master.portWrite(0, 1, 0x80); // rotate in automatic EOI mode
  pic.setIrq(4, true);
  expect(pic.acknowledge()).toBe(0x24);
  pic.setIrq(4, false);
  pic.setIrq(4, true);
  pic.setIrq(6, true);
  expect(pic.acknowledge()).toBe(0x26);
});

test('special mask mode: a masked input in service holds back no other, and keeps its ISR bit', () => {
  const { pic, intr } = setUp();
  pic.setIrq(3, true);
  pic.acknowledge();
  pic.setIrq(5, true);
  pic.master.portWrite(1, 1, 0x08);
  expect(intr()).toBe(false);
  pic.master.portWrite(0, 1, 0x68);
  expect(intr()).toBe(true);
  expect(pic.acknowledge()).toBe(0x25);
  pic.master.portWrite(0, 1, EOI);
  expect(isr(pic.master)).toBe(0x08);
  pic.master.portWrite(0, 1, EOI);
  expect(isr(pic.master)).toBe(0x08);
  pic.master.portWrite(0, 1, 0x63);
  expect(isr(pic.master)).toBe(0);
});

test('special fully nested: a higher slave input interrupts a lower one; without it, it waits', () => {
  for (const [icw4, nests] of [
    [0x11, true],
    [0x01, false],
  ] as const) {
    const { pic, intr } = setUp({ masterIcw4: icw4 });
    pic.setIrq(12, true);
    pic.acknowledge();
    pic.setIrq(9, true);
    expect(intr()).toBe(nests);
    if (nests) expect(pic.acknowledge()).toBe(0x29);
    pic.setIrq(5, true); // input 5 of the master still ranks below the slave
    expect(intr()).toBe(false);
  }
});

test('poll: the next read acknowledges, bit 7 with the input, and is a read of the mask again after that', () => {
  const { pic, intr } = setUp();
  pic.master.portWrite(0, 1, 0x0c);
  expect(pic.master.portRead(0, 1) & 0x80).toBe(0);
  pic.setIrq(6, true);
  pic.master.portWrite(0, 1, 0x0c);
  expect(pic.master.portRead(0, 1)).toBe(0x86);
  expect(intr()).toBe(false);
  expect(isr(pic.master)).toBe(0x40);
});

test('ICW1 clears the mask, the service and edges already seen', () => {
  const { pic, intr } = setUp();
  pic.setIrq(4, true);
  pic.acknowledge();
  pic.setIrq(1, true);
  pic.master.portWrite(1, 1, 0xff);
  pic.master.portWrite(0, 1, 0x11);
  expect(pic.master.portRead(0, 1)).toBe(0);
  pic.master.portWrite(1, 1, 0x47);
  pic.master.portWrite(1, 1, 4);
  pic.master.portWrite(1, 1, 1);
  expect(pic.master.portRead(1, 1)).toBe(0);
  expect(intr()).toBe(false);
  pic.setIrq(1, false);
  pic.setIrq(1, true);
  expect(pic.acknowledge()).toBe(0x41); // the low three bits of ICW2 are the input's
});
