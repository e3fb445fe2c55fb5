/**
 * The ACPI fixed hardware: PM1a event and control blocks, the power-management timer and one block of
 * general-purpose events, in one range of ports laid out as in Intel's 82371AB (PIIX4):
 *
 * ```
 * +0   PM1a status   (2)     +4   PM1a control (2)     +12  GPE0 status (2)
 * +2   PM1a enable   (2)     +8   PM timer     (4)     +14  GPE0 enable (2)
 * ```
 *
 * What else the chip has up to +63 (throttling, traps, global control) reads as zero and takes no writes.
 *
 * ACPI 6.5, 4.8 "ACPI Register Model"; 82371AB data sheet, 7.2 "Power management IO space registers".
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import { readBytes, writeBytes } from '../byte-access.ts';
import type { AccessSize, Clock, Device, Line, MachineControl, PortDevice, TimedDevice } from '../device.ts';

/** Frequency of the power-management timer (ACPI 6.5, 4.8.3.3). */
export const PM_TIMER_HZ = 3_579_545;

/** Offsets of the blocks in the range, for the FADT. Bytes. */
export const PM = { Event: 0, Control: 4, Timer: 8, Gpe0: 12, Gpe0Bytes: 4, Bytes: 64 } as const;

/** SLP_TYP of soft-off, for the \_S5 package (82371AB, 7.2.3: 000 is soft off). */
export const SLP_TYP_S5 = 0;

/** PM1 status and enable bits (ACPI 6.5, tables 4.13 and 4.14). */
const EVENT = {
  Timer: 1 << 0,
  GlobalLock: 1 << 5,
  PowerButton: 1 << 8,
  SleepButton: 1 << 9,
  Rtc: 1 << 10,
  Wake: 1 << 15,
} as const;
const STATUS_BITS =
  EVENT.Timer | EVENT.GlobalLock | EVENT.PowerButton | EVENT.SleepButton | EVENT.Rtc | EVENT.Wake;
const ENABLE_BITS = STATUS_BITS & ~EVENT.Wake;

/** PM1 control bits (ACPI 6.5, table 4.15). */
const CONTROL = {
  SciEnable: 1 << 0,
  BusMasterReload: 1 << 1,
  TypeShift: 10,
  Type: 7 << 10,
  SleepEnable: 1 << 13,
} as const;

/** The timer's status bit is set each time that its top bit changes: every 2^31 ticks. */
const HALF_PERIOD = 2 ** 31;

const pmLayout = layout('acpi-pm', 1, {
  /** Half periods of the timer that have been accounted for in the status. */
  halfPeriods: 'f64',
  status: 'u16',
  enable: 'u16',
  control: 'u16',
  gpeStatus: 'u16',
  gpeEnable: 'u16',
});

/** What the block is wired to. */
export interface AcpiPmWires {
  /** System control interrupt, level. */
  readonly sci: Line;
  readonly clock: Clock;
  readonly control: MachineControl;
}

export class AcpiPm implements Device, PortDevice, TimedDevice {
  readonly name = 'acpi-pm';
  readonly #at: View<typeof pmLayout.fields>;
  readonly #wires: AcpiPmWires;

  constructor(arena: Arena, wires: AcpiPmWires) {
    this.#at = arena.place(pmLayout);
    this.#wires = wires;
  }

  reset(): void {
    const at = this.#at;
    at.halfPeriods = Math.floor(this.#ticks() / HALF_PERIOD);
    at.status = 0;
    at.enable = 0;
    at.control = 0;
    at.gpeStatus = 0;
    at.gpeEnable = 0;
    this.#update();
  }

  portRead(offset: number, size: AccessSize): number {
    // The whole timer is latched once, so that a 32-bit read is consistent.
    this.#accountTimer();
    const timer = this.#ticks() % 2 ** 32;
    return readBytes(offset, size, (at) => this.#read(at, timer));
  }

  portWrite(offset: number, size: AccessSize, value: number): void {
    this.#accountTimer();
    writeBytes(offset, size, value, (at, byte) => this.#write(at, byte));
    this.#update();
  }

  /** The power button, pressed and let go: sets PWRBTN_STS (ACPI 6.5, 4.8.2.2.1.2). */
  pressPowerButton(): void {
    this.#at.status |= EVENT.PowerButton;
    this.#update();
  }

  /** Sets bit `event` (0 … 15) of the GPE0 status, for the _Lxx or _Exx method of that number. */
  raiseGeneralPurposeEvent(event: number): void {
    this.#at.gpeStatus |= 1 << (event & 15);
    this.#update();
  }

  /** Hands the machine over to ACPI, or back: what firmware does when SMI_CMD asks for it. */
  setAcpiMode(enabled: boolean): void {
    if (enabled) this.#at.control |= CONTROL.SciEnable;
    else this.#at.control &= ~CONTROL.SciEnable;
    this.#update();
  }

  deadline(): number {
    const at = this.#at;
    const awaited = (at.enable & EVENT.Timer) !== 0 && (at.status & EVENT.Timer) === 0;
    if (!awaited || (at.control & CONTROL.SciEnable) === 0) return Infinity;
    return Math.ceil(nanoseconds((at.halfPeriods + 1) * HALF_PERIOD));
  }

  service(_now: number): void {
    this.#accountTimer();
    this.#update();
  }

  #read(offset: number, timer: number): number {
    const at = this.#at;
    switch (offset) {
      case 0:
      case 1:
        return byteOf(at.status, offset);
      case 2:
      case 3:
        return byteOf(at.enable, offset - 2);
      case 4:
      case 5:
        return byteOf(at.control, offset - 4);
      case 8:
      case 9:
      case 10:
      case 11:
        return Math.floor(timer / 2 ** (8 * (offset - 8))) & 0xff;
      case 12:
      case 13:
        return byteOf(at.gpeStatus, offset - 12);
      case 14:
      case 15:
        return byteOf(at.gpeEnable, offset - 14);
      default:
        return offset < PM.Bytes ? 0 : 0xff;
    }
  }

  #write(offset: number, byte: number): void {
    const at = this.#at;
    switch (offset) {
      case 0:
      case 1: // status bits are cleared by writing ones
        at.status &= ~(byte << (8 * offset));
        break;
      case 2:
      case 3:
        at.enable = withByte(at.enable, offset - 2, byte) & ENABLE_BITS;
        break;
      case 4:
        at.control = withByte(at.control, 0, byte & (CONTROL.SciEnable | CONTROL.BusMasterReload));
        break;
      case 5:
        this.#controlHigh(byte << 8);
        break;
      case 12:
      case 13:
        at.gpeStatus &= ~(byte << (8 * (offset - 12)));
        break;
      case 14:
      case 15:
        at.gpeEnable = withByte(at.gpeEnable, offset - 14, byte);
        break;
    } // the timer and what lies between the blocks cannot be written
  }

  /** The upper half of PM1 control: SLP_TYP stays, SLP_EN acts and reads as zero. */
  #controlHigh(value: number): void {
    const at = this.#at;
    at.control = (at.control & 0xff) | (value & CONTROL.Type);
    if ((value & CONTROL.SleepEnable) === 0) return;
    // Other sleep types belong to states that the tables do not offer.
    if ((value & CONTROL.Type) >> CONTROL.TypeShift === SLP_TYP_S5) this.#wires.control.powerOff();
  }

  #ticks(): number {
    return ticks(this.#wires.clock.now());
  }

  /** Sets TMR_STS for every change of the top bit since it was last looked at. */
  #accountTimer(): void {
    const at = this.#at;
    const halfPeriods = Math.floor(this.#ticks() / HALF_PERIOD);
    if (halfPeriods === at.halfPeriods) return;
    at.halfPeriods = halfPeriods;
    at.status |= EVENT.Timer;
  }

  #update(): void {
    const at = this.#at;
    const events = (at.status & at.enable) | (at.gpeStatus & at.gpeEnable);
    this.#wires.sci((at.control & CONTROL.SciEnable) !== 0 && events !== 0);
  }
}

/** Timer ticks in `time` nanoseconds; split, as the product would leave the exact range of a Number. */
function ticks(time: number): number {
  const seconds = Math.floor(time / 1e9);
  return seconds * PM_TIMER_HZ + Math.floor(((time - seconds * 1e9) * PM_TIMER_HZ) / 1e9);
}

/** The first nanosecond at which the timer has counted `count` ticks. */
function nanoseconds(count: number): number {
  const seconds = Math.floor(count / PM_TIMER_HZ);
  return seconds * 1e9 + Math.ceil(((count - seconds * PM_TIMER_HZ) * 1e9) / PM_TIMER_HZ);
}

function byteOf(word: number, index: number): number {
  return (word >> (8 * index)) & 0xff;
}

function withByte(word: number, index: number, byte: number): number {
  return (word & ~(0xff << (8 * index))) | (byte << (8 * index));
}
