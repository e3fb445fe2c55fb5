/**
 * The AHCI host bus adapter of the ICH9 (82801I, device 2922h): a port for each drive, in memory space alone.
 *
 * Serial ATA AHCI 1.3 Specification; Intel I/O Controller Hub 9 (ICH9) Family Datasheet, chapter 15 "SATA Controller
 * Registers (D31:F2)".
 */
import { type Arena, layout, type View } from '../../../memory/layout.ts';
import type { MmioBus } from '../../../memory/mmio-bus.ts';
import { allOnes } from '../../byte-access.ts';
import type { AccessSize, Device, MmioDevice } from '../../device.ts';
import { Msi, type MessageSender } from '../../pci/msi.ts';
import { mmioBar } from '../../pci/pci-bars.ts';
import { PciFunction } from '../../pci/pci-function.ts';
import { AtaDrive, type Drive } from '../ata/ata-drive.ts';
import type { DmaMemory } from '../../dma.ts';
import type { IoSlots } from '../io-slots.ts';
import { AhciPort } from './ahci-port.ts';
import { CAPABILITIES, Control, Hba, MOST_PORTS, PORT_BYTES, PORTS, VERSION } from './registers.ts';

const ABAR = { index: 5, size: 0x1000 } as const;

/** Address map and port control (15.1.29, 15.1.30): AHCI; which ports are enabled, and which have a drive. */
const MAP = 0x90;
const MAP_AHCI = 0x40;

const hbaLayout = layout('ahci', 1, { control: 'u32', interruptStatus: 'u32' });

export interface AhciParts {
  readonly mmio: MmioBus;
  readonly memory: DmaMemory;
  readonly slots: IoSlots;
  readonly send: MessageSender;
  /** One for each port, from the first on.  */
  readonly drives: readonly Drive[];
}

export class AhciController extends PciFunction {
  readonly ports: readonly AhciPort[];
  /** What is to be reset with the function. */
  readonly devices: readonly Device[];
  readonly #at: View<typeof hbaLayout.fields>;
  readonly #msi: Msi;

  /** @throws RangeError for more drives than ports */
  constructor(arena: Arena, { mmio, memory, slots, send, drives }: AhciParts) {
    if (drives.length > MOST_PORTS) throw new RangeError(`more than ${MOST_PORTS} drives`);
    const present = (1 << drives.length) - 1;
    super(arena, {
      name: 'ich9-ahci',
      vendorId: 0x8086,
      deviceId: 0x2922,
      classCode: 0x01_06_01,
      revision: 2,
      interruptPin: 1,
      registers: [{ offset: MAP, initial: [MAP_AHCI, 0, present, present], writable: [0, 0, 0x3f, 0] }],
    });
    this.#at = arena.place(hbaLayout);
    const attached = drives.map((drive, i) => new AtaDrive(`sata-drive${i}`, arena, drive, 'serial'));
    this.ports = attached.map(
      (drive, i) =>
        new AhciPort(`ahci-port${i}`, arena, {
          drive,
          memory,
          slot: slots.slot(),
          busMaster: () => this.busMaster,
          interrupted: () => this.#portInterrupts(i),
        }),
    );
    this.devices = [...attached, ...this.ports];
    this.#msi = new Msi(this, 1, send);
    this.addBar(mmioBar(mmio, ABAR, this.registers));
  }

  override reset(): void {
    super.reset();
    this.#resetRegisters();
  }

  #resetRegisters(): void {
    this.#at.control = Control.Enable;
    this.#at.interruptStatus = 0;
    this.intx(false);
  }

  /** What BAR 5 answers with. Registers are words: what is written in parts of one is lost (AHCI 3). */
  readonly registers: MmioDevice = {
    mmioRead: (offset, size) => {
      const shift = 8 * (offset & 3);
      const word = this.#read(offset & ~3);
      return ((word >>> shift) & allOnes(size)) >>> 0;
    },
    mmioWrite: (offset, size, value) => {
      if (size === 4 && (offset & 3) === 0) this.#write(offset, value);
    },
  };

  #port(offset: number): AhciPort | undefined {
    return offset < PORTS ? undefined : this.ports[Math.floor((offset - PORTS) / PORT_BYTES)];
  }

  #read(offset: number): number {
    const at = this.#at;
    switch (offset) {
      case Hba.Capabilities:
        return (CAPABILITIES + Math.max(0, this.ports.length - 1)) >>> 0;
      case Hba.Control:
        return at.control;
      case Hba.InterruptStatus:
        return at.interruptStatus;
      case Hba.PortsImplemented:
        return (1 << this.ports.length) - 1;
      case Hba.Version:
        return VERSION;
      default:
        return this.#port(offset)?.read((offset - PORTS) % PORT_BYTES) ?? 0;
    }
  }

  #write(offset: number, value: number): void {
    const at = this.#at;
    if (offset === Hba.Control) {
      if ((value & Control.Reset) !== 0) {
        for (const port of this.ports) port.reset();
        this.#resetRegisters();
        return;
      }
      const before = at.control;
      at.control = Control.Enable + (value & Control.InterruptEnable);
      if (at.control > before) this.#signal();
      else if (at.control < before) this.intx(false);
    } else if (offset === Hba.InterruptStatus) {
      at.interruptStatus &= ~value;
      // What is still there is there again (10.7.2).
      for (const [i, port] of this.ports.entries()) if (port.pending) at.interruptStatus |= 1 << i;
      this.#signal();
    } else {
      this.#port(offset)?.write((offset - PORTS) % PORT_BYTES, value);
    }
  }

  #portInterrupts(port: number): void {
    if (!this.ports[port].pending) return;
    this.#at.interruptStatus |= 1 << port;
    this.#signal();
  }

  /** A message whenever there is something new or still something left; the pin as long as there is (10.7.2). */
  #signal(): void {
    const { control, interruptStatus } = this.#at;
    const pending = interruptStatus !== 0 && (control & Control.InterruptEnable) !== 0;
    if (!pending) this.intx(false);
    else if (!this.#msi.notify()) this.intx(true);
  }

  protected override configWritten(_offset: number, _size: AccessSize): void {
    // Messages take the place of the pin, which may be up already.
    if (this.#msi.enabled) this.intx(false);
    if (this.busMaster) for (const port of this.ports) port.look();
  }
}
