/**
 * Two cascaded 8259A programmable interrupt controllers, as in every PC: the master's input 2 is the
 * slave's output. Trigger modes come from the chipset's edge/level control registers, which take the place
 * of ICW1's LTIM bit (Intel 8259A data sheet; Intel 82371AB (PIIX4) data sheet, 4.2.3 and 4.2.10).
 */
import type { Device, Line, PortDevice } from '../device.ts';
import { layout, type View } from '../../memory/layout.ts';
import { bytePorts } from './byte-ports.ts';

/** Arrays hold the master at index 0 and the slave at index 1. */
export const picLayout = layout('pic', 1, {
  /** Input levels as driven; the master's bit 2 is unused. */
  lines: ['u8', 2],
  /** Edge-triggered requests: set by a rising input, cleared by acknowledge or by a falling input. */
  edge: ['u8', 2],
  isr: ['u8', 2],
  imr: ['u8', 2],
  /** Edge/level control: 1 is level. */
  elcr: ['u8', 2],
  /** ICW2: bits 7-3 of the vectors. */
  base: ['u8', 2],
  /** The input of lowest priority; the next one, modulo 8, has the highest. */
  lowest: ['u8', 2],
  icw1: ['u8', 2],
  icw4: ['u8', 2],
  /** The initialization word that is expected next at the odd port (2, 3 or 4); 0 outside of a sequence. */
  expects: ['u8', 2],
  /** 1 once the initialization sequence has been completed: only then are requests passed on. */
  ready: ['u8', 2],
  specialMask: ['u8', 2],
  rotateOnAutoEoi: ['u8', 2],
  /** OCW3: 1 where the even port reads ISR rather than IRR. */
  readIsr: ['u8', 2],
  /** OCW3: 1 where the next read is a poll. */
  poll: ['u8', 2],
  /** Level of the INTR output. */
  intr: 'u8',
});

export type PicState = View<typeof picLayout.fields>;

const MASTER = 0;
const SLAVE = 1;
type Chip = typeof MASTER | typeof SLAVE;
const CASCADE = 2;

const Icw1 = { Icw4Needed: 1 << 0, Single: 1 << 1, Init: 1 << 4 } as const;
const Icw4 = { AutoEoi: 1 << 1, SpecialFullyNested: 1 << 4 } as const;
const Ocw3 = { ReadSelect: 1, ReadRegister: 2, Poll: 4, Select: 8, SpecialMask: 0x20, EnableSpecialMask: 0x40 } as const; // prettier-ignore

/** Inputs that can be level-triggered. IRQ 0, 1, 2, 8 and 13 are edge-triggered by construction. */
const ELCR_WRITABLE = [0xf8, 0xde] as const;

export class Pic implements Device {
  readonly name = 'pic';
  /** Two ports at 0x20. */
  readonly master: PortDevice;
  /** Two ports at 0xa0. */
  readonly slave: PortDevice;
  /** Edge/level control, two ports at 0x4d0. */
  readonly elcr: PortDevice;

  readonly #state: PicState;
  readonly #intr: Line;

  /** @param intr the INTR output: asserted while a request waits to be acknowledged */
  constructor(state: PicState, intr: Line) {
    this.#state = state;
    this.#intr = intr;
    this.master = this.#ports(MASTER);
    this.slave = this.#ports(SLAVE);
    this.elcr = bytePorts(
      2,
      (offset) => state.elcr[offset]!,
      (offset, value) => {
        state.elcr[offset] = value & ELCR_WRITABLE[offset]!;
        this.#update();
      },
    );
  }

  /** Power-on state: no request is passed on until the guest has initialized the chips. */
  reset(): void {
    const s = this.#state;
    for (const chip of [MASTER, SLAVE] as const) {
      s.lines[chip] = 0;
      s.elcr[chip] = 0;
      s.base[chip] = 0;
      s.icw1[chip] = 0;
      this.#initialize(chip);
      s.expects[chip] = 0;
    }
    s.intr = 0;
    this.#intr(false);
  }

  /**
   * Drives an interrupt input.
   *
   * @param irq 0 … 15; 2 is taken by the cascade, and nothing is connected to it
   * @param level true is asserted
   */
  setIrq(irq: number, level: boolean): void {
    if (irq === CASCADE || irq < 0 || irq > 15) return;
    const s = this.#state;
    const chip = irq >> 3;
    const bit = 1 << (irq & 7);
    if (level) {
      if ((s.lines[chip]! & bit) === 0) s.edge[chip] = s.edge[chip]! | bit;
      s.lines[chip] = s.lines[chip]! | bit;
    } else {
      // An edge-triggered input has to stay high until it is acknowledged.
      s.lines[chip] = s.lines[chip]! & ~bit;
      s.edge[chip] = s.edge[chip]! & ~bit;
    }
    this.#update();
  }

  /** The input as a line to give to a device. */
  line(irq: number): Line {
    return (level) => this.setIrq(irq, level);
  }

  /** Whether an edge-triggered input's request has yet to be acknowledged: another edge would be the same. */
  isWaiting(irq: number): boolean {
    const s = this.#state;
    const chip = irq >> 3 === MASTER ? MASTER : SLAVE;
    const waiting = s.edge[chip]! & ~s.elcr[chip]! & ~s.imr[chip]!;
    return s.ready[chip] !== 0 && (waiting & (1 << (irq & 7))) !== 0;
  }

  /** Level of INTR. */
  get intr(): boolean {
    return this.#state.intr !== 0;
  }

  /**
   * The processor's interrupt acknowledge cycle.
   *
   * @returns the vector (0 … 255); where the request has gone, that of input 7, which is then not put in
   *   service (8259A, "Interrupt Sequence")
   */
  acknowledge(): number {
    const s = this.#state;
    const irq = this.#highestRequest(MASTER);
    let vector = s.base[MASTER]! + (irq < 0 ? 7 : irq);
    if (irq >= 0) {
      // The slave is asked for its vector before the master's cascade request goes with the slave's.
      if (irq === CASCADE && this.#cascaded()) {
        const slaveIrq = this.#highestRequest(SLAVE);
        if (slaveIrq >= 0) this.#accept(SLAVE, slaveIrq);
        vector = s.base[SLAVE]! + (slaveIrq < 0 ? 7 : slaveIrq);
      }
      this.#accept(MASTER, irq);
    }
    this.#update();
    return vector;
  }

  #ports(chip: Chip): PortDevice {
    return bytePorts(
      2,
      (offset) => this.#read(chip, offset),
      (offset, value) => {
        if (offset === 1) this.#writeOdd(chip, value);
        else if ((value & Icw1.Init) !== 0) this.#writeIcw1(chip, value);
        else if ((value & Ocw3.Select) !== 0) this.#writeOcw3(chip, value);
        else this.#writeOcw2(chip, value);
        this.#update();
      },
    );
  }

  #read(chip: Chip, offset: number): number {
    const s = this.#state;
    if (s.poll[chip] !== 0) {
      // A poll is an acknowledge cycle by software: bit 7 a request was there, bits 2-0 which.
      s.poll[chip] = 0;
      const irq = this.#highestRequest(chip);
      if (irq < 0) return 0x07;
      this.#accept(chip, irq);
      this.#update();
      return 0x80 | irq;
    }
    if (offset === 1) return s.imr[chip]!;
    return s.readIsr[chip] !== 0 ? s.isr[chip]! : this.#requests(chip);
  }

  /** What ICW1 does to the chip besides starting the sequence (8259A, "Initialization Command Word 1"). */
  #initialize(chip: Chip): void {
    const s = this.#state;
    s.edge[chip] = 0;
    s.isr[chip] = 0;
    s.imr[chip] = 0;
    s.lowest[chip] = 7;
    s.icw4[chip] = 0;
    s.specialMask[chip] = 0;
    s.rotateOnAutoEoi[chip] = 0;
    s.readIsr[chip] = 0;
    s.poll[chip] = 0;
    s.ready[chip] = 0;
    s.expects[chip] = 2;
  }

  #writeIcw1(chip: Chip, value: number): void {
    this.#initialize(chip);
    this.#state.icw1[chip] = value;
  }

  #writeOdd(chip: Chip, value: number): void {
    const s = this.#state;
    const icw1 = s.icw1[chip]!;
    switch (s.expects[chip]) {
      case 2:
        s.base[chip] = value & 0xf8;
        s.expects[chip] = (icw1 & Icw1.Single) === 0 ? 3 : (icw1 & Icw1.Icw4Needed) !== 0 ? 4 : 0;
        break;
      case 3:
        // ICW3 tells how the chips are wired, and that is fixed.
        s.expects[chip] = (icw1 & Icw1.Icw4Needed) !== 0 ? 4 : 0;
        break;
      case 4:
        s.icw4[chip] = value;
        s.expects[chip] = 0;
        break;
      default:
        s.imr[chip] = value;
        return;
    }
    if (s.expects[chip] === 0) s.ready[chip] = 1;
  }

  /** End of interrupt and rotation: bit 7 rotate, bit 6 specific, bit 5 EOI, bits 2-0 the input. */
  #writeOcw2(chip: Chip, value: number): void {
    const s = this.#state;
    const level = value & 7;
    switch (value >> 5) {
      case 0b000:
        s.rotateOnAutoEoi[chip] = 0;
        break;
      case 0b100:
        s.rotateOnAutoEoi[chip] = 1;
        break;
      case 0b001:
      case 0b101: {
        const irq = this.#highest(chip, this.#nestingIsr(chip));
        if (irq < 0) break;
        s.isr[chip] = s.isr[chip]! & ~(1 << irq);
        if ((value & 0x80) !== 0) s.lowest[chip] = irq;
        break;
      }
      case 0b011:
        s.isr[chip] = s.isr[chip]! & ~(1 << level);
        break;
      case 0b111:
        s.isr[chip] = s.isr[chip]! & ~(1 << level);
        s.lowest[chip] = level;
        break;
      case 0b110:
        s.lowest[chip] = level;
        break;
      default:
        // 010 does nothing.
        break;
    }
  }

  #writeOcw3(chip: Chip, value: number): void {
    const s = this.#state;
    if ((value & Ocw3.EnableSpecialMask) !== 0)
      s.specialMask[chip] = (value & Ocw3.SpecialMask) !== 0 ? 1 : 0;
    // A poll command takes the next read whatever else is selected.
    s.poll[chip] = (value & Ocw3.Poll) !== 0 ? 1 : 0;
    if ((value & Ocw3.ReadRegister) !== 0) s.readIsr[chip] = value & Ocw3.ReadSelect;
  }

  #cascaded(): boolean {
    return (this.#state.icw1[MASTER]! & Icw1.Single) === 0;
  }

  /** IRR. The cascade input follows the slave's output. */
  #requests(chip: Chip): number {
    const s = this.#state;
    const level = s.elcr[chip]!;
    const irr = (s.lines[chip]! & level) | (s.edge[chip]! & ~level);
    return chip === MASTER && this.#highestRequest(SLAVE) >= 0 ? irr | (1 << CASCADE) : irr;
  }

  /** The in-service bits that hold back requests and that a non-specific EOI looks at: in special mask
   * mode, not those which are masked. */
  #nestingIsr(chip: Chip): number {
    const s = this.#state;
    return s.specialMask[chip] !== 0 ? s.isr[chip]! & ~s.imr[chip]! : s.isr[chip]!;
  }

  /** Distance of an input from the highest priority, 0 … 7. */
  #rank(chip: Chip, irq: number): number {
    return (irq - this.#state.lowest[chip]! - 1) & 7;
  }

  /** The input of highest priority in a mask, or -1. */
  #highest(chip: Chip, mask: number): number {
    if (mask === 0) return -1;
    let irq = (this.#state.lowest[chip]! + 1) & 7;
    while ((mask & (1 << irq)) === 0) irq = (irq + 1) & 7;
    return irq;
  }

  /** The input whose request would be acknowledged now, or -1. */
  #highestRequest(chip: Chip): number {
    const s = this.#state;
    if (s.ready[chip] === 0) return -1;
    const irq = this.#highest(chip, this.#requests(chip) & ~s.imr[chip]!);
    if (irq < 0) return -1;
    const serving = this.#highest(chip, this.#nestingIsr(chip));
    if (serving < 0 || this.#rank(chip, irq) < this.#rank(chip, serving)) return irq;
    // Special fully nested: the slave may interrupt its own service, having judged its own priorities.
    const nests = chip === MASTER && irq === CASCADE && serving === CASCADE;
    return nests && (s.icw4[chip]! & Icw4.SpecialFullyNested) !== 0 ? irq : -1;
  }

  /** Takes a request into service. */
  #accept(chip: Chip, irq: number): void {
    const s = this.#state;
    const bit = 1 << irq;
    s.edge[chip] = s.edge[chip]! & ~bit;
    if ((s.icw4[chip]! & Icw4.AutoEoi) === 0) s.isr[chip] = s.isr[chip]! | bit;
    else if (s.rotateOnAutoEoi[chip] !== 0) s.lowest[chip] = irq;
  }

  #update(): void {
    const level = this.#highestRequest(MASTER) >= 0;
    if (level === this.intr) return;
    this.#state.intr = level ? 1 : 0;
    this.#intr(level);
  }
}
