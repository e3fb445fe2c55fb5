/**
 * Two ports that reset: the reset control register at 0xCF9 (Intel 82371SB PIIX3 data sheet, 2.5.4.4 "RC—reset
 * control register") and system control port A at 0x92 (PS/2 heritage; fast A20 and fast reset).
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import { readBytes, writeBytes } from '../byte-access.ts';
import type { AccessSize, Device, Line, MachineControl, PortDevice } from '../device.ts';

const controlLayout = layout('reset-control', 1, { value: 'u8' });

/** Bits of 0xCF9. */
const RC = {
  /** SYS_RST: the next reset is of the whole system, not only INIT to the processors. */
  System: 1 << 1,
  /** RST_CPU: its rising edge resets. */
  Cpu: 1 << 2,
  /** FULL_RST: power is cycled with a system reset; no difference here. */
  Full: 1 << 3,
} as const;

/** The register at 0xCF9: one port. */
export class ResetControl implements Device, PortDevice {
  readonly name = 'reset-control';
  readonly #at: View<typeof controlLayout.fields>;
  readonly #control: MachineControl;
  readonly #init: () => void;

  /** @param init asserts INIT# to the processors, as a soft reset does */
  constructor(arena: Arena, control: MachineControl, init: () => void) {
    this.#at = arena.place(controlLayout);
    this.#control = control;
    this.#init = init;
  }

  reset(): void {
    this.#at.value = 0;
  }

  portRead(offset: number, size: AccessSize): number {
    return readBytes(offset, size, (at) => (at === 0 ? this.#at.value : 0xff));
  }

  portWrite(offset: number, size: AccessSize, value: number): void {
    writeBytes(offset, size, value, (at, byte) => {
      if (at === 0) this.#write(byte);
    });
  }

  #write(byte: number): void {
    const rises = (byte & ~this.#at.value & RC.Cpu) !== 0;
    this.#at.value = byte & (RC.System | RC.Cpu | RC.Full);
    if (!rises) return;
    if ((byte & RC.System) !== 0) {
      this.#control.reset('reset control register (port 0xCF9)');
      return;
    }
    // A soft reset leaves the chipset alone, and the bit falls again by itself.
    this.#at.value &= ~RC.Cpu;
    this.#init();
  }
}

const portLayout = layout('system-control-a', 1, { value: 'u8' });

const PORT_A = { FastReset: 1 << 0, A20: 1 << 1 } as const;

/** System control port A at 0x92: one port. */
export class SystemControlPortA implements Device, PortDevice {
  readonly name = 'system-control-a';
  readonly #at: View<typeof portLayout.fields>;
  readonly #a20: Line;
  readonly #init: () => void;

  /** @param a20 the gate's fast input; @param init asserts INIT# to the processors */
  constructor(arena: Arena, a20: Line, init: () => void) {
    this.#at = arena.place(portLayout);
    this.#a20 = a20;
    this.#init = init;
  }

  reset(): void {
    this.#at.value = 0;
    this.#a20(false);
  }

  portRead(offset: number, size: AccessSize): number {
    return readBytes(offset, size, (at) => (at === 0 ? this.#at.value : 0xff));
  }

  portWrite(offset: number, size: AccessSize, value: number): void {
    writeBytes(offset, size, value, (at, byte) => {
      if (at !== 0) return;
      const rises = (byte & ~this.#at.value & PORT_A.FastReset) !== 0;
      this.#at.value = byte & (PORT_A.FastReset | PORT_A.A20);
      this.#a20((byte & PORT_A.A20) !== 0);
      if (rises) this.#init();
    });
  }
}
