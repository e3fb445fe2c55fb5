import { expect, test } from 'vitest';
import { Arena } from '../../memory/layout.ts';
import { deviceConformance } from '../conformance.ts';
import {
  BROADCAST,
  DeliveryMode,
  type InterruptMessage,
  isMsiAddress,
  messageFromMsi,
} from './apic-message.ts';
import { Ioapic, ioapicLayout } from './ioapic.ts';

deviceConformance('ioapic', (place, world) => {
  const deliver = (message: InterruptMessage) => {
    world.log(JSON.stringify(message));
    return message.vector >= 16;
  };
  const device = new Ioapic(place.place(ioapicLayout), deliver, ({ vector }) => vector % 2 === 0);
  return {
    device,
    mmio: [{ device, length: 0x60 }],
    stimuli: [
      (random) => device.setPin(random.below(28) - 2, random.oneIn(2)),
      (random) => device.endOfInterrupt(random.below(256)),
      (random) => device.isWaiting(random.below(28) - 2),
    ],
  };
});

const MASKED = 0x1_0000;
const LEVEL = 0x8000;

function setUp(): {
  ioapic: Ioapic;
  sent: InterruptMessage[];
  read: (register: number) => number;
  write: (register: number, value: number) => void;
} {
  const sent: InterruptMessage[] = [];
  const arena = new Arena(new SharedArrayBuffer(0x1000), 0, 0x1000);
  const deliver = (message: InterruptMessage) => {
    sent.push(message);
    return message.vector >= 16;
  };
  const ioapic = new Ioapic(arena.place(ioapicLayout), deliver, ({ vector }) => vector === 0x41);
  ioapic.reset();
  return {
    ioapic,
    sent,
    read: (register) => {
      ioapic.mmioWrite(0, 4, register, 0);
      return ioapic.mmioRead(0x10, 4, 0);
    },
    write: (register, value) => {
      ioapic.mmioWrite(0, 4, register, 0);
      ioapic.mmioWrite(0x10, 4, value, 0);
    },
  };
}

test('identification: id in bits 27-24, version 0x20, highest entry 23', () => {
  const { read, write } = setUp();
  write(0, 0xffff_ffff);
  expect(read(0)).toBe(0x0f00_0000);
  expect(read(2)).toBe(0x0f00_0000);
  expect(read(1)).toBe(0x0017_0020);
});

test('entries are masked after reset; delivery status and remote IRR cannot be written', () => {
  const { read, write } = setUp();
  for (let pin = 0; pin < 24; pin++) {
    expect(read(0x10 + 2 * pin)).toBe(MASKED);
    expect(read(0x11 + 2 * pin)).toBe(0);
  }
  write(0x3e, 0xffff_ffff);
  write(0x3f, 0xffff_ffff);
  expect(read(0x3e)).toBe(0x1_afff);
  expect(read(0x3f)).toBe(0xff00_0000);
  expect(read(0x40)).toBe(0);
});

test('an edge sends one message with the fields of the entry', () => {
  const { ioapic, sent, write } = setUp();
  write(0x10 + 2 * 4, 0x0931); // logical, lowest priority, vector 0x31
  write(0x11 + 2 * 4, 0x0300_0000);
  ioapic.setPin(4, true);
  ioapic.setPin(4, true);
  expect(sent).toEqual([
    { destination: 3, logical: true, mode: DeliveryMode.LowestPriority, vector: 0x31, level: false },
  ]);
  ioapic.setPin(4, false);
  ioapic.setPin(4, true);
  expect(sent.length).toBe(2);
});

test('an edge while masked is lost', () => {
  const { ioapic, sent, write } = setUp();
  ioapic.setPin(4, true);
  write(0x18, 0x31);
  expect(sent).toEqual([]);
});

test('a level while masked is delivered when the mask goes', () => {
  const { ioapic, sent, write } = setUp();
  write(0x18, MASKED | LEVEL | 0x31);
  ioapic.setPin(4, true);
  expect(sent).toEqual([]);
  write(0x18, LEVEL | 0x31);
  expect(sent.length).toBe(1);
  expect(sent[0]!.level).toBe(true);
});

test('a level sets remote IRR and is not sent again before its EOI', () => {
  const { ioapic, sent, read, write } = setUp();
  write(0x18, LEVEL | 0x31);
  ioapic.setPin(4, true);
  expect(read(0x18)).toBe(LEVEL | 0x4031);
  ioapic.setPin(4, false);
  ioapic.setPin(4, true);
  expect(sent.length).toBe(1);
  ioapic.endOfInterrupt(0x30);
  expect(sent.length).toBe(1);
  ioapic.endOfInterrupt(0x31);
  expect(sent.length).toBe(2);
  ioapic.setPin(4, false);
  ioapic.endOfInterrupt(0x31);
  expect(sent.length).toBe(2);
  expect(read(0x18)).toBe(LEVEL | 0x31);
});

test('a level that no local APIC accepts leaves remote IRR clear', () => {
  const { ioapic, read, write } = setUp();
  write(0x18, LEVEL | 0x05);
  ioapic.setPin(4, true);
  expect(read(0x18)).toBe(LEVEL | 0x05);
});

test('the EOI register ends an interrupt too; making an entry edge-triggered clears remote IRR', () => {
  const { ioapic, read, write } = setUp();
  write(0x18, LEVEL | 0x31);
  ioapic.setPin(4, true);
  ioapic.setPin(4, false);
  ioapic.mmioWrite(0x40, 4, 0x31, 0);
  expect(read(0x18) & 0x4000).toBe(0);
  ioapic.setPin(4, true);
  expect(read(0x18) & 0x4000).toBe(0x4000);
  write(0x18, MASKED | 0x31);
  write(0x18, MASKED | LEVEL | 0x31);
  expect(read(0x18) & 0x4000).toBe(0);
});

test('an NMI is an edge even when programmed as a level', () => {
  const { ioapic, sent, read, write } = setUp();
  write(0x18, LEVEL | (DeliveryMode.Nmi << 8));
  ioapic.setPin(4, true);
  expect(sent[0]!.level).toBe(false);
  expect(read(0x18) & 0x4000).toBe(0);
});

test('destination 0xff is the broadcast', () => {
  const { ioapic, sent, write } = setUp();
  write(0x19, 0xff00_0000);
  write(0x18, 0x31);
  ioapic.setPin(4, true);
  expect(sent[0]!.destination).toBe(BROADCAST);
});

test('MSI: address and data decode as in SDM 3A, 11.11', () => {
  expect(messageFromMsi(0xfee0_5000, 0x0041)).toEqual({
    destination: 5, logical: false, mode: DeliveryMode.Fixed, vector: 0x41, level: false,
  }); // prettier-ignore
  expect(messageFromMsi(0xfee0_300c, 0x0041)!.mode).toBe(DeliveryMode.LowestPriority);
  expect(messageFromMsi(0xfee0_3004, 0x0041)!.logical).toBe(true);
  expect(messageFromMsi(0xfeef_f000, 0xc141)).toEqual({
    destination: BROADCAST, logical: false, mode: DeliveryMode.LowestPriority, vector: 0x41, level: true,
  }); // prettier-ignore
  expect(messageFromMsi(0xfee0_0000, 0x8041)).toBe(null);
  expect([0xfedf_ffff, 0xfee0_0000, 0xfeef_ffff, 0xfef0_0000].map(isMsiAddress)).toEqual([
    false, true, true, false,
  ]); // prettier-ignore
});

test('an unmasked edge-triggered input waits while its interrupt is requested', () => {
  const { ioapic, write } = setUp();
  const entries = [0x41, 0x42, MASKED | 0x41, LEVEL | 0x41];
  for (const [pin, entry] of entries.entries()) write(0x10 + 2 * pin, entry);
  expect(entries.map((_, pin) => ioapic.isWaiting(pin))).toEqual([true, false, false, false]);
});
