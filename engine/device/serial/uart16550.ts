/**
 * The 16550A UART: eight byte registers, 16-byte FIFOs in both directions, or none (8250/16450 behaviour)
 * while FCR bit 0 is clear.
 *
 * The speed of the line is not simulated: a byte leaves at once unless the sink is full, and arrives when
 * the host hands it over. The divisor only sets how long a character time is for the FIFO timeout.
 *
 * The chip raises INTRPT whatever MCR's OUT2 is; the tri-state gate that some PC adapters hang on OUT2 is
 * not modelled, since much guest software leaves OUT2 clear.
 *
 * Texas Instruments PC16550D data sheet (SNLS378), section 8 "Registers".
 */
import type { Arena, View } from '../../memory/layout.ts';
import { layout } from '../../memory/layout.ts';
import { readBytes, writeBytes } from '../byte-access.ts';
import type { AccessSize, Clock, Device, Line, PortDevice, TimedDevice } from '../device.ts';

/** Where transmitted bytes go. */
export interface SerialSink {
  /** Takes one byte; false where there is no room now, and the byte is offered again later. */
  write(byte: number): boolean;
}

const DEPTH = 16;

/** How long a full sink is left alone before it is tried again, in nanoseconds. */
const RETRY_NS = 1_000_000;

/** Frequency that the divisor divides: the 1.8432 MHz crystal (SNLS378, table 8-4). */
const CRYSTAL_HZ = 1_843_200;

export const uartLayout = layout('uart16550', 1, {
  /** Guest time of the FIFO timeout, Infinity where none is running. */
  timeoutAt: 'f64',
  /** Guest time at which a refused byte is offered again, Infinity where none waits. */
  retryAt: 'f64',
  receive: ['u8', DEPTH],
  transmit: ['u8', DEPTH],
  receiveHead: 'u8',
  receiveCount: 'u8',
  transmitHead: 'u8',
  transmitCount: 'u8',
  ier: 'u8',
  /** FCR bits that stick: 0 FIFO enable, 3 DMA mode, 6-7 trigger level. */
  fcr: 'u8',
  lcr: 'u8',
  mcr: 'u8',
  scr: 'u8',
  /** LSR bit 1, cleared by reading LSR. */
  overrun: 'u8',
  /** MSR bits 0-3, cleared by reading MSR. */
  modemDelta: 'u8',
  /** The transmitter-empty interrupt waits for a read of IIR or a write of THR. */
  emptyPending: 'u8',
  /** The FIFO timeout has run out. */
  timedOut: 'u8',
  dll: 'u8',
  dlm: 'u8',
});

/** Interrupt enable register bits. */
const IER = { Data: 1 << 0, Empty: 1 << 1, Line: 1 << 2, Modem: 1 << 3 } as const;
/** Interrupt identification, highest priority first (SNLS378, table 8-6). */
const IIR = {
  Line: 0x06,
  Data: 0x04,
  Timeout: 0x0c,
  Empty: 0x02,
  Modem: 0x00,
  None: 0x01,
  Fifos: 0xc0,
} as const;
const FCR = { Enable: 1 << 0, ResetReceive: 1 << 1, ResetTransmit: 1 << 2, Kept: 0xc9 } as const;
const LCR = { TwoStops: 1 << 2, Parity: 1 << 3, Dlab: 1 << 7 } as const;
const MCR = { Dtr: 1 << 0, Rts: 1 << 1, Out1: 1 << 2, Out2: 1 << 3, Loop: 1 << 4, Kept: 0x1f } as const;
const LSR = { Data: 1 << 0, Overrun: 1 << 1, HoldingEmpty: 1 << 5, Empty: 1 << 6 } as const;
const MSR = { Cts: 1 << 4, Dsr: 1 << 5, Ring: 1 << 6, Carrier: 1 << 7 } as const;
const TRIGGER = [1, 4, 8, 14] as const;

/** What a UART is wired to. */
export interface UartWires {
  readonly irq: Line;
  readonly sink: SerialSink;
  readonly clock: Clock;
  /** Called when the guest has emptied the receiver: more may be handed to {@link Uart16550.receive}. */
  readonly receiverEmptied?: () => void;
}

/** A 16550A at eight consecutive ports. */
export class Uart16550 implements Device, PortDevice, TimedDevice {
  readonly name: string;
  readonly #at: View<typeof uartLayout.fields>;
  readonly #wires: UartWires;

  constructor(name: string, arena: Arena, wires: UartWires) {
    this.name = name;
    this.#at = arena.place(uartLayout);
    this.#wires = wires;
  }

  /** The state after MR (master reset): SNLS378, table 8-1. The divisor and scratch registers are not
   * defined there; the divisor is set to 9600 baud, as PC firmware does. */
  reset(): void {
    const at = this.#at;
    at.timeoutAt = Infinity;
    at.retryAt = Infinity;
    at.receive.fill(0);
    at.transmit.fill(0);
    at.receiveHead = 0;
    at.receiveCount = 0;
    at.transmitHead = 0;
    at.transmitCount = 0;
    at.ier = 0;
    at.fcr = 0;
    at.lcr = 0;
    at.mcr = 0;
    at.scr = 0;
    at.overrun = 0;
    at.modemDelta = 0;
    at.emptyPending = 0;
    at.timedOut = 0;
    at.dll = 12;
    at.dlm = 0;
    this.#update();
  }

  portRead(offset: number, size: AccessSize): number {
    return readBytes(offset, size, (register) => this.#read(register));
  }

  portWrite(offset: number, size: AccessSize, value: number): void {
    writeBytes(offset, size, value, (register, byte) => this.#write(register, byte));
  }

  /**
   * Hands bytes from the line to the receiver.
   *
   * @returns how many were taken, from the first; the rest wait with the caller. None are taken in
   *   loopback, where the input pin is disconnected.
   */
  receive(bytes: Uint8Array): number {
    if ((this.#at.mcr & MCR.Loop) !== 0) return 0;
    const room = this.#depth() - this.#at.receiveCount;
    const taken = Math.min(Math.max(room, 0), bytes.length);
    for (let i = 0; i < taken; i++) this.#arrive(bytes[i]);
    if (taken > 0) this.#update();
    return taken;
  }

  deadline(): number {
    return Math.min(this.#at.timeoutAt, this.#at.retryAt);
  }

  service(now: number): void {
    const at = this.#at;
    if (now >= at.timeoutAt) {
      at.timeoutAt = Infinity;
      at.timedOut = 1;
    }
    if (now >= at.retryAt) {
      at.retryAt = Infinity;
      this.#transmit();
    }
    this.#update();
  }

  #read(register: number): number {
    const at = this.#at;
    const divisor = (at.lcr & LCR.Dlab) !== 0;
    let value: number;
    switch (register) {
      case 0:
        value = divisor ? at.dll : this.#takeReceived();
        break;
      case 1:
        value = divisor ? at.dlm : at.ier;
        break;
      case 2:
        value = this.#identify();
        // Reading IIR is what acknowledges the transmitter-empty interrupt, but only where IIR shows it.
        if (value === IIR.Empty) at.emptyPending = 0;
        if ((at.fcr & FCR.Enable) !== 0) value |= IIR.Fifos;
        break;
      case 3:
        value = at.lcr;
        break;
      case 4:
        value = at.mcr;
        break;
      case 5:
        value =
          (at.receiveCount > 0 ? LSR.Data : 0) |
          (at.overrun !== 0 ? LSR.Overrun : 0) |
          (at.transmitCount === 0 ? LSR.HoldingEmpty | LSR.Empty : 0);
        at.overrun = 0;
        break;
      case 6:
        value = this.#modemLines() | at.modemDelta;
        at.modemDelta = 0;
        break;
      case 7:
        value = at.scr;
        break;
      default:
        return 0xff;
    }
    this.#update();
    return value;
  }

  #write(register: number, byte: number): void {
    const at = this.#at;
    const divisor = (at.lcr & LCR.Dlab) !== 0;
    switch (register) {
      case 0:
        if (divisor) at.dll = byte;
        else this.#putTransmit(byte);
        break;
      case 1:
        if (divisor) {
          at.dlm = byte;
        } else {
          const enabled = byte & ~at.ier & IER.Empty;
          at.ier = byte & 0x0f;
          // Enabling the interrupt while the holding register is empty raises it, each time.
          if (enabled !== 0 && at.transmitCount === 0) at.emptyPending = 1;
        }
        break;
      case 2:
        this.#controlFifos(byte);
        break;
      case 3:
        at.lcr = byte;
        break;
      case 4:
        this.#controlModem(byte);
        break;
      case 7:
        at.scr = byte;
        break;
      default: // LSR and MSR are for factory tests; writing them has no effect here
        return;
    }
    this.#update();
  }

  #controlFifos(byte: number): void {
    const at = this.#at;
    const toggled = ((byte ^ at.fcr) & FCR.Enable) !== 0;
    // The other bits are programmed only together with bit 0; changing bit 0 clears both FIFOs.
    at.fcr = (byte & FCR.Enable) !== 0 ? byte & FCR.Kept : 0;
    const enabled = (byte & FCR.Enable) !== 0;
    if (toggled || (enabled && (byte & FCR.ResetReceive) !== 0)) {
      at.receiveHead = 0;
      at.receiveCount = 0;
      this.#restartTimeout();
    }
    if ((toggled || (enabled && (byte & FCR.ResetTransmit) !== 0)) && at.transmitCount > 0) {
      at.transmitHead = 0;
      at.transmitCount = 0;
      at.retryAt = Infinity;
      at.emptyPending = 1;
    }
  }

  #controlModem(byte: number): void {
    const at = this.#at;
    const before = this.#modemLines();
    at.mcr = byte & MCR.Kept;
    const after = this.#modemLines();
    const changed = before ^ after;
    // DCTS, DDSR and DDCD tell of any change, TERI of the trailing edge of RI alone.
    if ((changed & MSR.Cts) !== 0) at.modemDelta |= 1 << 0;
    if ((changed & MSR.Dsr) !== 0) at.modemDelta |= 1 << 1;
    if ((before & ~after & MSR.Ring) !== 0) at.modemDelta |= 1 << 2;
    if ((changed & MSR.Carrier) !== 0) at.modemDelta |= 1 << 3;
  }

  /** MSR bits 4-7: in loopback the outputs RTS, DTR, OUT1 and OUT2; else a peer that is ready. */
  #modemLines(): number {
    const mcr = this.#at.mcr;
    if ((mcr & MCR.Loop) === 0) return MSR.Cts | MSR.Dsr | MSR.Carrier;
    return (
      ((mcr & MCR.Rts) !== 0 ? MSR.Cts : 0) |
      ((mcr & MCR.Dtr) !== 0 ? MSR.Dsr : 0) |
      ((mcr & MCR.Out1) !== 0 ? MSR.Ring : 0) |
      ((mcr & MCR.Out2) !== 0 ? MSR.Carrier : 0)
    );
  }

  #depth(): number {
    return (this.#at.fcr & FCR.Enable) !== 0 ? DEPTH : 1;
  }

  /** One byte into the receiver. A full FIFO keeps what it holds; without FIFOs the new byte replaces the
   * old one. Either way the overrun is noted. */
  #arrive(byte: number): void {
    const at = this.#at;
    const depth = this.#depth();
    if (at.receiveCount >= depth) {
      at.overrun = 1;
      if (depth === 1) at.receive[at.receiveHead] = byte;
    } else {
      at.receive[(at.receiveHead + at.receiveCount) % DEPTH] = byte;
      at.receiveCount += 1;
    }
    this.#restartTimeout();
  }

  #takeReceived(): number {
    const at = this.#at;
    // An empty receiver still shows the byte that was read last.
    if (at.receiveCount === 0) return at.receive[(at.receiveHead + DEPTH - 1) % DEPTH];
    const byte = at.receive[at.receiveHead];
    at.receiveHead = (at.receiveHead + 1) % DEPTH;
    at.receiveCount -= 1;
    this.#restartTimeout();
    if (at.receiveCount === 0) this.#wires.receiverEmptied?.();
    return byte;
  }

  /** The timeout runs while the receive FIFO holds something, from the latest arrival or read, for four
   * character times (SNLS378, 8.4 "FIFO interrupt mode operation"). */
  #restartTimeout(): void {
    const at = this.#at;
    at.timedOut = 0;
    const runs = (at.fcr & FCR.Enable) !== 0 && at.receiveCount > 0;
    at.timeoutAt = runs ? this.#wires.clock.now() + 4 * this.#characterTime() : Infinity;
  }

  /** Nanoseconds per character, from the divisor and the line format. */
  #characterTime(): number {
    const { dll, dlm, lcr } = this.#at;
    const bits =
      1 + 5 + (lcr & 3) + ((lcr & LCR.Parity) !== 0 ? 1 : 0) + ((lcr & LCR.TwoStops) !== 0 ? 2 : 1);
    const divisor = Math.max(dll | (dlm << 8), 1);
    return Math.ceil((bits * 16 * divisor * 1e9) / CRYSTAL_HZ);
  }

  #putTransmit(byte: number): void {
    const at = this.#at;
    at.emptyPending = 0;
    if (at.transmitCount < this.#depth()) {
      at.transmit[(at.transmitHead + at.transmitCount) % DEPTH] = byte;
      at.transmitCount += 1;
    } else if (this.#depth() === 1) {
      at.transmit[at.transmitHead] = byte;
    } // a byte for a full FIFO is lost
    this.#transmit();
  }

  /** Sends what the transmitter holds until it is empty or the sink is full. */
  #transmit(): void {
    const at = this.#at;
    if (at.transmitCount === 0) return;
    // Word lengths below eight bits send the low bits only.
    const mask = 0xff >> (3 - (at.lcr & 3));
    const loop = (at.mcr & MCR.Loop) !== 0;
    while (at.transmitCount > 0) {
      const byte = at.transmit[at.transmitHead] & mask;
      if (loop) {
        this.#arrive(byte);
      } else if (!this.#wires.sink.write(byte)) {
        at.retryAt = this.#wires.clock.now() + RETRY_NS;
        return;
      }
      at.transmitHead = (at.transmitHead + 1) % DEPTH;
      at.transmitCount -= 1;
    }
    at.retryAt = Infinity;
    at.emptyPending = 1;
  }

  /** IIR bits 0-3: the enabled source of highest priority. */
  #identify(): number {
    const at = this.#at;
    if ((at.ier & IER.Line) !== 0 && at.overrun !== 0) return IIR.Line;
    if ((at.ier & IER.Data) !== 0) {
      const fifo = (at.fcr & FCR.Enable) !== 0;
      if (at.receiveCount >= (fifo ? TRIGGER[at.fcr >> 6] : 1)) return IIR.Data;
      if (at.timedOut !== 0) return IIR.Timeout;
    }
    if ((at.ier & IER.Empty) !== 0 && at.emptyPending !== 0) return IIR.Empty;
    if ((at.ier & IER.Modem) !== 0 && at.modemDelta !== 0) return IIR.Modem;
    return IIR.None;
  }

  #update(): void {
    this.#wires.irq(this.#identify() !== IIR.None);
  }
}
