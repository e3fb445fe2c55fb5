/**
 * The PS/2 controller: an 8042 with a keyboard port and an auxiliary port, at port 0x60 (data) and port
 * 0x64 (status and commands).
 *
 * IBM Personal System/2 Hardware Interface Technical Reference, "Keyboard and auxiliary device controller".
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import { readBytes, writeBytes } from '../byte-access.ts';
import type { AccessSize, Device, Line, MachineControl, PortDevice } from '../device.ts';
import type { Ps2Device } from './ps2-device.ts';
import { BREAK, toSet1 } from './scancode.ts';

const STATUS = {
  OutputFull: 1 << 0,
  System: 1 << 2,
  /** The last byte from the host was a command (port 0x64). */
  Command: 1 << 3,
  /** The keyboard is not locked. */
  Unlocked: 1 << 4,
  AuxiliaryData: 1 << 5,
  Timeout: 1 << 6,
} as const;

/** The command byte: RAM byte 0. */
const MODE = {
  KeyboardInterrupt: 1 << 0,
  AuxiliaryInterrupt: 1 << 1,
  System: 1 << 2,
  KeyboardDisabled: 1 << 4,
  AuxiliaryDisabled: 1 << 5,
  Translate: 1 << 6,
} as const;

/** The output port. Bits 4 and 5 follow the output buffer; the rest is as wired. */
const OUTPUT = {
  NotReset: 1 << 0,
  A20: 1 << 1,
  KeyboardFull: 1 << 4,
  AuxiliaryFull: 1 << 5,
  Kept: 0xcf,
} as const;

const COMMAND = {
  ReadRam: 0x20,
  WriteRam: 0x60,
  PasswordInstalled: 0xa4,
  DisableAuxiliary: 0xa7,
  EnableAuxiliary: 0xa8,
  TestAuxiliary: 0xa9,
  SelfTest: 0xaa,
  TestKeyboard: 0xab,
  DisableKeyboard: 0xad,
  EnableKeyboard: 0xae,
  ReadInputPort: 0xc0,
  ReadOutputPort: 0xd0,
  WriteOutputPort: 0xd1,
  WriteKeyboardOutput: 0xd2,
  WriteAuxiliaryOutput: 0xd3,
  WriteAuxiliary: 0xd4,
  ReadTestInputs: 0xe0,
  Pulse: 0xf0,
} as const;

/** Where a byte in the output buffer came from. */
const FROM = { Keyboard: 0, Auxiliary: 1, AuxiliaryTimeout: 2 } as const;

const controllerLayout = layout('i8042', 1, {
  /** The controller's RAM; byte 0 is the command byte. */
  ram: ['u8', 32],
  output: 'u8',
  outputFull: 'u8',
  /** {@link FROM}. */
  outputFrom: 'u8',
  /** An answer of the controller's own that waits for the output buffer to be read. */
  answer: 'u8',
  answerFull: 'u8',
  answerFrom: 'u8',
  /** The command whose parameter comes next at port 0x60, 0 where none does. */
  expecting: 'u8',
  outputPort: 'u8',
  /** STATUS.System and STATUS.Command. */
  flags: 'u8',
  /** The keyboard's latest byte was the break prefix, to be merged into the next. */
  released: 'u8',
});

/** What the controller is wired to. */
export interface I8042Wires {
  readonly keyboardIrq: Line;
  readonly auxiliaryIrq: Line;
  /** The A20 gate's keyboard input. */
  readonly a20: Line;
  readonly control: MachineControl;
  readonly keyboard: Ps2Device;
  /** What is plugged into the auxiliary port, if anything. */
  readonly auxiliary?: Ps2Device;
}

/** Registered twice: {@link I8042.data} at port 0x60 and {@link I8042.command} at port 0x64. */
export class I8042 implements Device {
  readonly name = 'i8042';
  readonly #at: View<typeof controllerLayout.fields>;
  readonly #wires: I8042Wires;

  constructor(arena: Arena, wires: I8042Wires) {
    this.#at = arena.place(controllerLayout);
    this.#wires = wires;
    const ready = () => this.#fill();
    wires.keyboard.connect(ready);
    wires.auxiliary?.connect(ready);
  }

  /** Power-on state: both ports disabled, interrupts off. */
  reset(): void {
    const at = this.#at;
    at.ram.fill(0);
    at.ram[0] = MODE.KeyboardDisabled | MODE.AuxiliaryDisabled;
    at.output = 0;
    at.outputFull = 0;
    at.outputFrom = FROM.Keyboard;
    at.answer = 0;
    at.answerFull = 0;
    at.answerFrom = FROM.Keyboard;
    at.expecting = 0;
    at.outputPort = OUTPUT.Kept;
    at.flags = STATUS.Command;
    at.released = 0;
    this.#wires.a20(true);
    this.#update();
  }

  /** Does what firmware does at power-on, for a machine that boots without: the keyboard works, with
   * translation to set 1 and IRQ 1; the auxiliary port stays disabled. */
  initialize(): void {
    this.#at.flags |= STATUS.System;
    this.#at.ram[0] = MODE.KeyboardInterrupt | MODE.System | MODE.AuxiliaryDisabled | MODE.Translate;
    this.#fill();
  }

  /** Port 0x60. */
  readonly data: PortDevice = {
    portRead: (offset: number, size: AccessSize) =>
      readBytes(offset, size, (at) => (at === 0 ? this.#readData() : 0xff)),
    portWrite: (offset: number, size: AccessSize, value: number) =>
      writeBytes(offset, size, value, (at, byte) => {
        if (at === 0) this.#writeData(byte);
      }),
  };

  /** Port 0x64. */
  readonly command: PortDevice = {
    portRead: (offset: number, size: AccessSize) =>
      readBytes(offset, size, (at) => (at === 0 ? this.#status() : 0xff)),
    portWrite: (offset: number, size: AccessSize, value: number) =>
      writeBytes(offset, size, value, (at, byte) => {
        if (at === 0) this.#command(byte);
      }),
  };

  #status(): number {
    const at = this.#at;
    let status = at.flags | STATUS.Unlocked;
    if (at.outputFull !== 0) status |= STATUS.OutputFull;
    if (at.outputFrom !== FROM.Keyboard) status |= STATUS.AuxiliaryData;
    if (at.outputFrom === FROM.AuxiliaryTimeout) status |= STATUS.Timeout;
    return status;
  }

  #readData(): number {
    const at = this.#at;
    const byte = at.output;
    at.outputFull = 0;
    // The line falls between two bytes, which is what makes an edge-triggered interrupt for each.
    this.#update();
    this.#fill();
    return byte;
  }

  #writeData(byte: number): void {
    const at = this.#at;
    const command = at.expecting;
    at.expecting = 0;
    at.flags &= ~STATUS.Command;
    switch (command) {
      case 0:
        // Talking to the keyboard turns its port on.
        at.ram[0] &= ~MODE.KeyboardDisabled;
        this.#wires.keyboard.receive(byte);
        break;
      case COMMAND.WriteOutputPort:
        this.#setOutputPort(byte);
        break;
      case COMMAND.WriteKeyboardOutput:
        this.#answer(byte);
        break;
      case COMMAND.WriteAuxiliaryOutput:
        this.#answer(byte, FROM.Auxiliary);
        break;
      case COMMAND.WriteAuxiliary:
        this.#toAuxiliary(byte);
        break;
      default: // 0x60 … 0x7f
        at.ram[command & 0x1f] = byte;
        break;
    }
    this.#fill();
  }

  #toAuxiliary(byte: number): void {
    const device = this.#wires.auxiliary;
    if (device === undefined) {
      // Nobody clocks the byte out: the controller gives up and says so.
      this.#answer(0xfe, FROM.AuxiliaryTimeout);
      return;
    }
    this.#at.ram[0] &= ~MODE.AuxiliaryDisabled;
    device.receive(byte);
  }

  #command(byte: number): void {
    const at = this.#at;
    at.flags |= STATUS.Command;
    at.expecting = 0;
    if (byte >= COMMAND.ReadRam && byte < COMMAND.ReadRam + 0x20) {
      this.#answer(at.ram[byte & 0x1f]);
    } else if (byte >= COMMAND.WriteRam && byte < COMMAND.WriteRam + 0x20) {
      at.expecting = byte;
    } else if (byte >= COMMAND.Pulse) {
      // The low bits that are zero pull their output port pins low for a moment; pin 0 is RESET.
      if ((byte & OUTPUT.NotReset) === 0) this.#wires.control.reset('keyboard controller');
    } else {
      this.#lone(byte);
    }
    this.#fill();
  }

  #lone(byte: number): void {
    const at = this.#at;
    switch (byte) {
      case COMMAND.DisableAuxiliary:
        at.ram[0] |= MODE.AuxiliaryDisabled;
        break;
      case COMMAND.EnableAuxiliary:
        at.ram[0] &= ~MODE.AuxiliaryDisabled;
        break;
      case COMMAND.DisableKeyboard:
        at.ram[0] |= MODE.KeyboardDisabled;
        break;
      case COMMAND.EnableKeyboard:
        at.ram[0] &= ~MODE.KeyboardDisabled;
        break;
      case COMMAND.SelfTest:
        at.flags |= STATUS.System;
        at.ram[0] |= MODE.System;
        this.#answer(0x55);
        break;
      case COMMAND.TestKeyboard:
      case COMMAND.TestAuxiliary:
        this.#answer(0x00);
        break;
      case COMMAND.PasswordInstalled:
        this.#answer(0xf1); // none
        break;
      case COMMAND.ReadInputPort:
        this.#answer(0x80); // not locked
        break;
      case COMMAND.ReadOutputPort:
        this.#answer(this.#outputPort());
        break;
      case COMMAND.ReadTestInputs:
        this.#answer(0x00);
        break;
      case COMMAND.WriteOutputPort:
      case COMMAND.WriteKeyboardOutput:
      case COMMAND.WriteAuxiliaryOutput:
      case COMMAND.WriteAuxiliary:
        at.expecting = byte;
        break;
    } // others are not known to the controller and do nothing
  }

  #outputPort(): number {
    const at = this.#at;
    if (at.outputFull === 0) return at.outputPort;
    return at.outputPort | (at.outputFrom === FROM.Keyboard ? OUTPUT.KeyboardFull : OUTPUT.AuxiliaryFull);
  }

  #setOutputPort(byte: number): void {
    this.#at.outputPort = byte & OUTPUT.Kept;
    this.#wires.a20((byte & OUTPUT.A20) !== 0);
    if ((byte & OUTPUT.NotReset) === 0) this.#wires.control.reset('keyboard controller');
  }

  /** The controller's own answer goes to the output buffer once that is empty, before any device's. */
  #answer(byte: number, from: number = FROM.Keyboard): void {
    this.#at.answer = byte;
    this.#at.answerFrom = from;
    this.#at.answerFull = 1;
  }

  /** Moves the next byte, if any, into an empty output buffer. */
  #fill(): void {
    const at = this.#at;
    if (at.outputFull === 0) {
      if (at.answerFull !== 0) {
        at.answerFull = 0;
        this.#put(at.answer, at.answerFrom);
      } else {
        this.#fillFromDevices();
      }
    }
    this.#update();
  }

  #fillFromDevices(): void {
    const at = this.#at;
    const mode = at.ram[0];
    if ((mode & MODE.KeyboardDisabled) === 0) {
      for (let byte = this.#wires.keyboard.take(); byte !== -1; byte = this.#wires.keyboard.take()) {
        if ((mode & MODE.Translate) === 0) {
          this.#put(byte, FROM.Keyboard);
          return;
        }
        const released = at.released !== 0;
        at.released = byte === BREAK ? 1 : 0;
        if (byte === BREAK) continue;
        this.#put(toSet1(byte, released), FROM.Keyboard);
        return;
      }
    }
    if ((mode & MODE.AuxiliaryDisabled) === 0) {
      const byte = this.#wires.auxiliary?.take() ?? -1;
      if (byte !== -1) this.#put(byte, FROM.Auxiliary);
    }
  }

  #put(byte: number, from: number): void {
    this.#at.output = byte;
    this.#at.outputFrom = from;
    this.#at.outputFull = 1;
  }

  #update(): void {
    const { ram, outputFull, outputFrom } = this.#at;
    const full = outputFull !== 0;
    const keyboard = outputFrom === FROM.Keyboard;
    this.#wires.keyboardIrq(full && keyboard && (ram[0] & MODE.KeyboardInterrupt) !== 0);
    this.#wires.auxiliaryIrq(full && !keyboard && (ram[0] & MODE.AuxiliaryInterrupt) !== 0);
  }
}
