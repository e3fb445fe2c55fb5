import { expect, test } from 'vitest';
import { Arena } from '../../memory/layout.ts';
import { deviceConformance } from '../conformance.ts';
import { PM_REGISTER, PmFunction } from './pm-function.ts';
import { SmBus, SMBUS_PORTS } from './smbus.ts';

deviceConformance('the SMBus controller', (arena) => {
  const device = new SmBus(arena);
  return { device, ports: [{ device, length: SMBUS_PORTS }] };
});

function setUp(systemManagement: boolean) {
  const seen = { pm: '', smBus: '', smi: false };
  const where = (port: number, enabled: boolean) => (enabled ? port.toString(16) : 'off');
  const fn = new PmFunction(new Arena(new SharedArrayBuffer(4096), 0, 4096), systemManagement, {
    placePm: (port, enabled) => (seen.pm = where(port, enabled)),
    placeSmBus: (port, enabled) => (seen.smBus = where(port, enabled)),
    setSmiEnabled: (enabled) => (seen.smi = enabled),
  });
  fn.reset();
  return { fn, seen };
}

test('82371AB 7.1: the ACPI registers and the SMBus controller are decoded where and when they are told', () => {
  const { fn, seen } = setUp(true);
  expect(seen).toEqual({ pm: 'off', smBus: 'off', smi: false });
  fn.configWrite(PM_REGISTER.PmBase, 4, 0x0000_b03f);
  expect(fn.configRead(PM_REGISTER.PmBase, 4)).toBe(0xb001);
  fn.configWrite(PM_REGISTER.PmRegMisc, 1, 1);
  fn.configWrite(PM_REGISTER.SmbBase, 4, 0x700);
  fn.configWrite(PM_REGISTER.SmbHostConfig, 1, 9);
  fn.configWrite(PM_REGISTER.DevActB, 4, 0x0200_0000);
  expect(seen).toEqual({ pm: 'b000', smBus: '700', smi: true });
  fn.reset();
  expect(seen).toEqual({ pm: 'off', smBus: 'off', smi: false });
});

test('without a system-management mode APMC_EN is set from the start, and no SMI is raised', () => {
  const { fn, seen } = setUp(false);
  expect(fn.configRead(PM_REGISTER.DevActB, 4)).toBe(0x0200_0000);
  fn.configWrite(PM_REGISTER.DevActB, 4, 0);
  expect(fn.configRead(PM_REGISTER.DevActB, 4)).toBe(0x0200_0000);
  expect(seen.smi).toBe(false);
});

test('82371AB 7.5: an SMBus transaction that nobody answers ends at once with a device error', () => {
  const bus = new SmBus(new Arena(new SharedArrayBuffer(4096), 0, 4096));
  bus.reset();
  bus.portWrite(4, 1, 0xa1);
  bus.portWrite(2, 1, 0x48);
  expect([bus.portRead(0, 1), bus.portRead(2, 1)]).toEqual([0x04, 0x08]);
  bus.portWrite(0, 1, 0xff);
  expect(bus.portRead(0, 1)).toBe(0);
});
