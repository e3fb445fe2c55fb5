import { beforeEach, expect, test } from 'vitest';
import { Arena } from '../../memory/layout.ts';
import { Uart16550 } from './uart16550.ts';

const RBR = 0, THR = 0, DLL = 0, IER = 1, DLM = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7; // prettier-ignore

let uart: Uart16550;
let irq = false;
let sent: number[] = [];
let room = Infinity;
let now = 0;
let emptied = 0;

beforeEach(() => {
  irq = false;
  sent = [];
  room = Infinity;
  now = 0;
  emptied = 0;
  uart = new Uart16550('com1', new Arena(new SharedArrayBuffer(4096), 0, 4096), {
    irq: (level) => (irq = level),
    sink: { write: (byte) => room-- > 0 && sent.push(byte) > 0 },
    clock: { now: () => now },
    receiverEmptied: () => emptied++,
  });
  uart.reset();
});

const read = (register: number) => uart.portRead(register, 1);
const write = (register: number, value: number) => uart.portWrite(register, 1, value);
const feed = (...bytes: number[]) => uart.receive(Uint8Array.from(bytes));

test('master reset state: no interrupt, transmitter empty, 8250 mode', () => {
  expect([read(IER), read(IIR), read(LCR), read(MCR), read(LSR)]).toEqual([0, 0x01, 0, 0, 0x60]);
  expect(irq).toBe(false);
});

test('the scratch register holds any byte, IER its low nibble, MCR its low five bits', () => {
  for (const [register, kept] of [
    [SCR, 0xff],
    [IER, 0x0f],
    [MCR, 0x1f],
  ]) {
    write(register, 0xff);
    expect(read(register)).toBe(kept);
    write(register, 0);
    expect(read(register)).toBe(0);
  }
});

test('DLAB turns the first two registers into the divisor latch', () => {
  write(LCR, 0x83);
  write(DLL, 0x34);
  write(DLM, 0x12);
  expect([read(DLL), read(DLM)]).toEqual([0x34, 0x12]);
  expect(uart.portRead(0, 2)).toBe(0x1234);
  write(LCR, 0x03);
  expect(read(IER)).toBe(0);
  expect(sent).toEqual([]);
});

test('IIR bits 6-7 tell of enabled FIFOs', () => {
  write(FCR, 0x01);
  expect(read(IIR)).toBe(0xc1);
  write(FCR, 0x00);
  expect(read(IIR)).toBe(0x01);
});

test('transmission empties the holding register; reading IIR acknowledges the THRE interrupt', () => {
  write(LCR, 0x03);
  write(IER, 0x02);
  expect(irq).toBe(true);
  expect(read(IIR)).toBe(0x02);
  expect(irq).toBe(false);
  expect(read(IIR)).toBe(0x01);
  write(THR, 0x41);
  expect(sent).toEqual([0x41]);
  expect(irq).toBe(true);
});

test('THRE is raised again each time that it is enabled while the transmitter is empty', () => {
  for (let i = 0; i < 3; i++) {
    write(IER, 0x02);
    expect(irq).toBe(true);
    expect(read(IIR)).toBe(0x02);
    write(IER, 0);
    expect(read(IIR)).toBe(0x01);
  }
});

test('reading IIR does not acknowledge THRE while a higher source hides it', () => {
  write(IER, 0x03);
  feed(1);
  expect(read(IIR)).toBe(0x04);
  read(RBR);
  expect(read(IIR)).toBe(0x02);
});

test('a full sink keeps the transmitter busy until service() finds room', () => {
  write(LCR, 0x03);
  write(FCR, 0x01);
  room = 1;
  write(THR, 1);
  write(THR, 2);
  write(THR, 3);
  expect(sent).toEqual([1]);
  expect(read(LSR) & 0x60).toBe(0);
  expect(uart.deadline()).toBe(1_000_000);
  room = Infinity;
  now = 1_000_000;
  uart.service(now);
  expect(sent).toEqual([1, 2, 3]);
  expect(read(LSR) & 0x60).toBe(0x60);
  expect(uart.deadline()).toBe(Infinity);
});

test('a full transmit FIFO loses the 17th byte', () => {
  write(LCR, 0x03);
  write(FCR, 0x01);
  room = 0;
  for (let i = 0; i < 17; i++) write(THR, i);
  room = Infinity;
  uart.service(1e9);
  expect(sent).toEqual(Array.from({ length: 16 }, (_, i) => i));
});

test('without FIFOs the receiver holds one byte', () => {
  expect(feed(1, 2, 3)).toBe(1);
  expect(read(LSR) & 1).toBe(1);
  expect(read(RBR)).toBe(1);
  expect(emptied).toBe(1);
  expect(feed(2, 3)).toBe(1);
});

test.each([
  [0x01, 1],
  [0x41, 4],
  [0x81, 8],
  [0xc1, 14],
])('FCR %i interrupts at %i bytes and stops below', (fcr, level) => {
  write(FCR, fcr);
  write(IER, 0x01);
  feed(...Array.from({ length: level - 1 }, () => 7));
  expect(irq).toBe(false);
  feed(7);
  expect(read(IIR)).toBe(0xc4);
  read(RBR);
  expect(irq).toBe(false);
});

test('the character timeout comes after four character times and goes with the next read', () => {
  write(LCR, 0x83);
  write(DLL, 1); // 115200 baud
  write(DLM, 0);
  write(LCR, 0x03); // 8N1: ten bits a character
  write(FCR, 0xc1);
  write(IER, 0x01);
  feed(1, 2);
  const due = uart.deadline();
  expect(due).toBeGreaterThan((40 / 115200) * 1e9 - 2);
  expect(due).toBeLessThan((40 / 115200) * 1e9 + 5);
  now = due - 1;
  uart.service(now);
  expect(irq).toBe(false);
  now = due;
  uart.service(now);
  expect(read(IIR)).toBe(0xcc);
  read(RBR);
  expect(irq).toBe(false);
  expect(uart.deadline()).toBeGreaterThan(now);
  read(RBR);
  expect(uart.deadline()).toBe(Infinity);
});

test('a receive FIFO takes 16 bytes; the rest waits outside', () => {
  write(FCR, 0x01);
  expect(uart.receive(new Uint8Array(40))).toBe(16);
  expect(uart.receive(new Uint8Array(1))).toBe(0);
  write(FCR, 0x03); // reset the receiver
  expect(read(LSR) & 1).toBe(0);
});

test('loopback: bytes return, the sink and the line are cut off', () => {
  write(LCR, 0x03);
  write(MCR, 0x10);
  write(THR, 0x5a);
  expect(sent).toEqual([]);
  expect(feed(1)).toBe(0);
  expect(read(LSR) & 1).toBe(1);
  expect(read(RBR)).toBe(0x5a);
});

test('loopback: RTS, DTR, OUT1 and OUT2 appear as CTS, DSR, RI and DCD', () => {
  write(MCR, 0x1a);
  expect(read(MSR) & 0xf0).toBe(0x90);
  write(MCR, 0x15);
  expect(read(MSR) & 0xf0).toBe(0x60);
  write(MCR, 0x00);
  expect(read(MSR) & 0xf0).toBe(0xb0);
});

test('modem deltas: any change of CTS, DSR, DCD, the trailing edge of RI; cleared by reading MSR', () => {
  write(MCR, 0x1f);
  read(MSR);
  write(IER, 0x08);
  write(MCR, 0x1b); // RI falls
  expect(irq).toBe(true);
  expect(read(IIR)).toBe(0x00);
  expect(read(MSR) & 0x0f).toBe(0x04);
  expect(irq).toBe(false);
  write(MCR, 0x1f); // RI rises
  expect(read(MSR) & 0x0f).toBe(0);
  write(MCR, 0x14);
  expect(read(MSR) & 0x0f).toBe(0x0b);
});

test('overrun: a full FIFO keeps its bytes and LSR tells, once, above every other source', () => {
  write(LCR, 0x03);
  write(FCR, 0x01);
  write(IER, 0x05);
  write(MCR, 0x10);
  for (let i = 0; i < 17; i++) write(THR, i);
  expect(read(IIR)).toBe(0xc6);
  expect(read(LSR) & 0x02).toBe(0x02);
  expect(read(LSR) & 0x02).toBe(0);
  expect(read(IIR)).toBe(0xc4);
  const got = Array.from({ length: 16 }, () => read(RBR));
  expect(got).toEqual(Array.from({ length: 16 }, (_, i) => i));
});

test('overrun without FIFOs: the new byte replaces the old', () => {
  write(LCR, 0x03);
  write(MCR, 0x10);
  write(THR, 1);
  write(THR, 2);
  expect(read(LSR) & 0x03).toBe(0x03);
  expect(read(RBR)).toBe(2);
});

test('a five-bit word drops the high bits', () => {
  write(LCR, 0x00);
  write(THR, 0xff);
  expect(sent).toEqual([0x1f]);
});

test('a new instance over the same bytes goes on where the old one stopped', () => {
  const buffer = new SharedArrayBuffer(4096);
  const wires = { irq: () => {}, sink: { write: () => true }, clock: { now: () => 0 } };
  const first = new Uart16550('a', new Arena(buffer, 0, 4096), wires);
  first.reset();
  first.portWrite(FCR, 1, 1);
  first.receive(Uint8Array.of(9, 8));
  const second = new Uart16550('a', new Arena(buffer, 0, 4096), wires);
  expect([second.portRead(RBR, 1), second.portRead(RBR, 1)]).toEqual([9, 8]);
});

test('accesses of every size and offset are harmless', () => {
  for (let offset = 0; offset < 8; offset++) {
    for (const size of [1, 2, 4] as const) {
      uart.portWrite(offset, size, 0xffff_ffff);
      const value = uart.portRead(offset, size);
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThan(2 ** (8 * size));
    }
  }
});
