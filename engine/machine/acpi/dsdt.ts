/**
 * The DSDT: what the board has that a guest cannot find by probing. A PCI root bridge with its windows and
 * interrupt routing, the ISA devices behind it, processors, the HPET, and soft-off.
 *
 * ACPI 6.5, chapter 6 "Device Configuration".
 */
import { PM, SLP_TYP_S5 } from '../../device/power/acpi-pm.ts';
import { PIRQ_ROUTE, pirqOf } from '../../device/pci/isa-bridge.ts';
import {
  type Aml, RegionSpace, arg, binary, call, createDWordField, device, eisaId, field, giveBack, method, name,
  operationRegion, otherwise, pack, scope, store, string, when,
} from './aml.ts'; // prettier-ignore
import type { AcpiBoard } from './board.ts';
import { concat } from './bytes.ts';
import {
  dwordMemory, io, irq, memory32Fixed, qwordMemory, type Resource, resourceTemplate, sharedInterrupt, wordBus, wordIo,
} from './resource.ts'; // prettier-ignore

/** Global system interrupts that PCI interrupts may be routed to. */
export const PCI_INTERRUPTS = [5, 10, 11] as const;

const LINKS = ['LNKA', 'LNKB', 'LNKC', 'LNKD'] as const;
const ROUTES = ['PRQA', 'PRQB', 'PRQC', 'PRQD'] as const;

/** The AML of the DSDT, without the table header. */
export function buildDsdt(board: AcpiBoard): Aml {
  return concat(
    name('\\_S5', pack(SLP_TYP_S5, SLP_TYP_S5, 0, 0)),
    scope('\\_SB', pciRoot(board), interruptRouting(), ...LINKS.map(link), hpet(board), ...processors(board)),
  );
}

function pciRoot(board: AcpiBoard): Aml {
  const windows: Resource[] = [
    wordBus(0, 0),
    io(0xcf8, 8),
    wordIo(0x0000, 0x0cf7),
    wordIo(0x0d00, 0xffff),
    dwordMemory(0xa0000, 0xbffff, true),
    dwordMemory(board.pciHole.start, board.pciHole.end - 1),
  ];
  const high = board.pciHole64;
  if (high !== undefined) windows.push(qwordMemory(high.start, high.end - 1n));
  return device(
    'PCI0',
    name('_HID', eisaId('PNP0A03')),
    name('_UID', 0),
    name('_BBN', 0),
    name('_CRS', resourceTemplate(...windows)),
    name('_PRT', routingTable()),
    isaBridge(board),
  );
}

/** For each device and pin, the link it is tied to (6.2.13). */
function routingTable(): Aml {
  const entries: Aml[] = [];
  for (let slot = 1; slot < 32; slot++) {
    for (let pin = 1; pin <= 4; pin++) {
      entries.push(pack(slot * 0x10000 + 0xffff, pin - 1, `\\_SB.${LINKS[pirqOf(slot, pin)]}`, 0));
    }
  }
  return pack(...entries);
}

function isaBridge(board: AcpiBoard): Aml {
  return device(
    'ISA',
    name('_ADR', 0x0001_0000),
    operationRegion('PIRQ', RegionSpace.PciConfig, PIRQ_ROUTE, 4),
    ...isaDevice('PIC', 'PNP0000', io(0x20, 2), io(0xa0, 2), irq(2)),
    ...isaDevice('TMR', 'PNP0100', io(0x40, 4), irq(0)),
    ...isaDevice('RTC', 'PNP0B00', io(0x70, 2), irq(8)),
    ...isaDevice('PS2K', 'PNP0303', io(0x60, 1), io(0x64, 1), irq(1)),
    ...(board.ps2Mouse ? isaDevice('PS2M', 'PNP0F13', irq(12)) : []),
    ...board.serialPorts.map(({ port, irq: line }, index) =>
      device(
        `COM${index + 1}`,
        name('_HID', eisaId('PNP0501')),
        name('_UID', index + 1),
        name('_CRS', resourceTemplate(io(port, 8), irq(line))),
      ),
    ),
    // Ports that the board uses itself, so that nothing else is put there.
    ...isaDevice('MBRD', 'PNP0C02', io(board.pmBase, PM.Bytes), io(0x92, 1), io(0xb2, 2)),
  );
}

function isaDevice(of: string, id: string, ...resources: readonly Resource[]): Aml[] {
  return [device(of, name('_HID', eisaId(id)), name('_CRS', resourceTemplate(...resources)))];
}

/** The route control registers, and what all four links do with theirs. */
function interruptRouting(): Aml {
  return concat(
    field('PCI0.ISA.PIRQ', 1, ROUTES.map((route) => [route, 8] as const)),
    // The present setting, given the register's value; one buffer serves all links, as calls are serialized.
    name('CURR', resourceTemplate(sharedInterrupt(0))),
    createDWordField('CURR', 5, 'CIRQ'),
    method(
      'IQCR', 1, true,
      when(binary('And', arg(0), 0x80), store(0, 'CIRQ')),
      otherwise(binary('And', arg(0), 0x0f, 'CIRQ')),
      giveBack('CURR'),
    ),
    // The status: present, and enabled where routed.
    method(
      'IQST', 1, false,
      when(binary('And', arg(0), 0x80), giveBack(0x09)),
      giveBack(0x0b),
    ),
  ); // prettier-ignore
}

/** An interrupt link: one PIRQ line, routed by its register (6.2.13.1). */
function link(of: string, index: number): Aml {
  const route = ROUTES[index];
  return device(
    of,
    name('_HID', eisaId('PNP0C0F')),
    name('_UID', index + 1),
    name('_PRS', resourceTemplate(sharedInterrupt(...PCI_INTERRUPTS))),
    method('_STA', 0, false, giveBack(call('IQST', route))),
    method('_DIS', 0, false, binary('Or', route, 0x80, route)),
    method('_CRS', 0, false, giveBack(call('IQCR', route))),
    method('_SRS', 1, true, createDWordField(arg(0), 5, 'NIRQ'), store('NIRQ', route)),
  );
}

function hpet(board: AcpiBoard): Aml {
  return device(
    'HPET',
    name('_HID', eisaId('PNP0103')),
    name('_UID', 0),
    name('_CRS', resourceTemplate(memory32Fixed(board.hpet.address, 0x400))),
  );
}

/** Processor devices; their _UID is what ties them to the MADT. */
function processors(board: AcpiBoard): Aml[] {
  return board.apicIds.map((_, index) =>
    device(
      `C${index.toString(16).toUpperCase().padStart(3, '0')}`,
      name('_HID', string('ACPI0007')),
      name('_UID', index),
    ),
  );
}
