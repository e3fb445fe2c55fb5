import { beforeEach, expect, test } from 'vitest';
import { Arena } from '../../memory/layout.ts';
import type { AccessSize } from '../device.ts';
import { A20Gate } from './a20-gate.ts';
import { ACPI_DISABLE, ACPI_ENABLE, ApmControl } from './apm-control.ts';
import { AcpiPm, PM_TIMER_HZ } from './acpi-pm.ts';
import { ResetControl, SystemControlPortA } from './reset-control.ts';

let log: string[] = [];
let now = 0;
let sci = false;
let a20 = false;
let arena: Arena;

const control = {
  reset: (cause: string) => void log.push(`reset: ${cause}`),
  powerOff: () => void log.push('off'),
  exit: (status: number) => void log.push(`exit ${status}`),
  systemManagementInterrupt: () => void log.push('smi'),
};

beforeEach(() => {
  log = [];
  now = 0;
  sci = false;
  a20 = false;
  arena = new Arena(new SharedArrayBuffer(4096), 0, 4096);
});

function makePm(): AcpiPm {
  const pm = new AcpiPm(arena, { sci: (level) => (sci = level), clock: { now: () => now }, control });
  pm.reset();
  return pm;
}

test('ACPI 4.8.3.3: the timer counts 3.579545 MHz in 32 bits, exactly even after a hundred days', () => {
  const pm = makePm();
  now = 1e9;
  expect(pm.portRead(8, 4)).toBe(PM_TIMER_HZ);
  now = 8_640_000 * 1e9;
  expect(pm.portRead(8, 4)).toBe(Number((8_640_000n * BigInt(PM_TIMER_HZ)) % 2n ** 32n));
  expect(pm.portRead(10, 2)).toBe(pm.portRead(8, 4) >>> 16);
  pm.portWrite(8, 4, 0);
  expect(pm.portRead(8, 4)).not.toBe(0);
});

test('TMR_STS is set when the top bit changes, and interrupts at its deadline where enabled', () => {
  const pm = makePm();
  expect(pm.deadline()).toBe(Infinity);
  pm.portWrite(2, 2, 1);
  pm.setAcpiMode(true);
  const due = pm.deadline();
  expect(due / 1e9).toBeCloseTo(2 ** 31 / PM_TIMER_HZ, 5);
  now = due - 1;
  pm.service(now);
  expect(sci).toBe(false);
  now = due;
  pm.service(now);
  expect(sci).toBe(true);
  expect(pm.portRead(8, 4)).toBe(0x8000_0000);
  expect(pm.portRead(0, 2) & 1).toBe(1);
  pm.portWrite(0, 2, 1);
  expect(sci).toBe(false);
  expect(pm.deadline()).toBeGreaterThan(due);
});

test('the power button interrupts only in ACPI mode and where enabled; its status is cleared by a one', () => {
  const pm = makePm();
  pm.pressPowerButton();
  expect(pm.portRead(0, 2)).toBe(0x100);
  expect(sci).toBe(false);
  pm.portWrite(2, 2, 0x100);
  expect(sci).toBe(false);
  pm.setAcpiMode(true);
  expect(sci).toBe(true);
  pm.portWrite(0, 1, 0xff);
  expect(sci).toBe(true);
  pm.portWrite(1, 1, 0x01);
  expect(sci).toBe(false);
});

test('general-purpose events follow their enable register', () => {
  const pm = makePm();
  pm.setAcpiMode(true);
  pm.raiseGeneralPurposeEvent(9);
  expect(sci).toBe(false);
  pm.portWrite(14, 2, 0x200);
  expect(sci).toBe(true);
  expect(pm.portRead(12, 4)).toBe(0x0200_0200);
  pm.portWrite(12, 2, 0x200);
  expect(sci).toBe(false);
});

test('SLP_EN with the type of S5 powers off, with another type nothing; it reads as zero', () => {
  const pm = makePm();
  pm.portWrite(4, 2, 0x2401 | (3 << 10));
  expect(log).toEqual([]);
  expect(pm.portRead(4, 2)).toBe(0x0c01);
  pm.portWrite(4, 2, 0x2001);
  expect(log).toEqual(['off']);
  expect(pm.portRead(4, 2)).toBe(0x0001);
});

test('reserved bits stay zero and the gaps read as zero', () => {
  const pm = makePm();
  pm.portWrite(2, 2, 0xffff);
  expect(pm.portRead(2, 2)).toBe(0x0721);
  pm.portWrite(6, 2, 0xffff);
  expect(pm.portRead(6, 2)).toBe(0);
  for (const size of [1, 2, 4] as AccessSize[]) {
    for (let offset = 0; offset < 16; offset++) pm.portWrite(offset, size, 0);
  }
});

test('SMI_CMD: F1h sets SCI_EN and F0h clears it; an SMI is raised only where the chipset allows', () => {
  const pm = makePm();
  const apm = new ApmControl(arena, control, (enabled) => pm.setAcpiMode(enabled));
  apm.reset();
  apm.portWrite(0, 1, ACPI_ENABLE);
  expect(pm.portRead(4, 2) & 1).toBe(1);
  apm.portWrite(0, 1, ACPI_DISABLE);
  expect(pm.portRead(4, 2) & 1).toBe(0);
  expect(log).toEqual([]);
  apm.setSmiEnabled(true);
  apm.portWrite(0, 2, 0x5a12);
  expect(log).toEqual(['smi']);
  expect(apm.portRead(0, 2)).toBe(0x5a12);
});

test('PIIX3 2.5.4.4: RST_CPU acts on its rising edge, as SYS_RST says', () => {
  const rc = new ResetControl(arena, control, () => log.push('init'));
  rc.reset();
  rc.portWrite(0, 1, 0x02);
  expect(log).toEqual([]);
  rc.portWrite(0, 1, 0x06);
  rc.portWrite(0, 1, 0x06);
  expect(log).toEqual(['reset: reset control register (port 0xCF9)']);
  rc.reset();
  rc.portWrite(0, 1, 0x04);
  expect(log.at(-1)).toBe('init');
  expect(rc.portRead(0, 1)).toBe(0);
});

test('port 92h: bit 1 opens A20, the rising edge of bit 0 gives INIT; the A20 sources are OR-ed', () => {
  const gate = new A20Gate(arena, (level) => (a20 = level));
  const port = new SystemControlPortA(arena, gate.fast, () => log.push('init'));
  gate.reset();
  port.reset();
  expect(a20).toBe(true);
  gate.keyboard(false);
  expect(a20).toBe(false);
  port.portWrite(0, 1, 0x02);
  expect(a20).toBe(true);
  expect(port.portRead(0, 1)).toBe(0x02);
  port.portWrite(0, 1, 0x01);
  port.portWrite(0, 1, 0x01);
  expect(a20).toBe(false);
  expect(log).toEqual(['init']);
});
