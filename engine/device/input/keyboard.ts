/**
 * A PS/2 keyboard: commands and answers, scan code sets 1 and 2, and the repetition of keys that are held.
 *
 * IBM Personal System/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-key)", commands
 * from and to the system.
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { Clock, TimedDevice } from '../device.ts';
import { type Ps2Device, Ps2Queue } from './ps2-device.ts';
import { BREAK, toSet1 } from './scancode.ts';
import { Typematic } from './typematic.ts';

const COMMAND = {
  SetLeds: 0xed,
  Echo: 0xee,
  ScanCodeSet: 0xf0,
  Identify: 0xf2,
  Typematic: 0xf3,
  Enable: 0xf4,
  DefaultDisable: 0xf5,
  Default: 0xf6,
  /** F7 … FA: all keys typematic, make/break, make only, both. Set 3 only; acknowledged. */
  AllKeys: 0xf7,
  AllKeysEnd: 0xfa,
  /** FB … FD: the same for one key, whose code follows. */
  OneKey: 0xfb,
  OneKeyEnd: 0xfd,
  Resend: 0xfe,
  Reset: 0xff,
} as const;

const ANSWER = {
  TestPassed: 0xaa,
  Acknowledge: 0xfa,
  Resend: 0xfe,
  OverrunSet2: 0x00,
  OverrunSet1: 0xff,
} as const;

/** The identity of a 101/102-key MF2 keyboard. */
const IDENTITY = [0xab, 0x83] as const;

const keyboardLayout = layout('ps2-keyboard', 1, {
  scanning: 'u8',
  /** 1 or 2. */
  scanCodeSet: 'u8',
  /** Bit 0 scroll lock, 1 num lock, 2 caps lock. */
  leds: 'u8',
  /** The command whose parameter comes next, 0 where none does. */
  expecting: 'u8',
});

export class Ps2Keyboard implements Ps2Device, TimedDevice {
  readonly name = 'ps2-keyboard';
  readonly #at: View<typeof keyboardLayout.fields>;
  readonly #queue: Ps2Queue;
  readonly #typematic: Typematic;
  readonly #ledsChanged: (leds: number) => void;
  #ready: () => void = () => {};

  /** @param ledsChanged told the lock lights: bit 0 scroll, 1 num, 2 caps */
  constructor(arena: Arena, clock: Clock, ledsChanged: (leds: number) => void = () => {}) {
    this.#at = arena.place(keyboardLayout);
    this.#queue = new Ps2Queue(arena);
    this.#typematic = new Typematic(arena, clock);
    this.#ledsChanged = ledsChanged;
  }

  /** As after a self-test whose result has been read. */
  reset(): void {
    this.#queue.clear();
    this.#at.expecting = 0;
    this.#at.leds = 0;
    this.#default();
    this.#at.scanning = 1;
    this.#ledsChanged(0);
  }

  connect(ready: () => void): void {
    this.#ready = ready;
  }

  take(): number {
    return this.#queue.take();
  }

  /** The lock lights: bit 0 scroll, 1 num, 2 caps. */
  get leds(): number {
    return this.#at.leds;
  }

  /**
   * A key pressed or released. One that is held repeats by itself; being pressed again means nothing.
   *
   * @param codes its make or break sequence in set 2, prefixes included
   * @returns false where the keyboard does not scan, or its queue is full and now ends with an overrun code
   */
  key(codes: readonly number[]): boolean {
    const known = this.#typematic.key(codes);
    if (this.#at.scanning === 0) return false;
    return !known || this.#send(codes);
  }

  deadline(): number {
    return this.#typematic.deadline();
  }

  service(now: number): void {
    const codes = this.#typematic.due(now);
    // A host that does not take what there is gets no more of the same.
    if (codes !== undefined && this.#at.scanning !== 0 && this.#queue.room > codes.length) this.#send(codes);
  }

  #send(codes: readonly number[]): boolean {
    const at = this.#at;
    const bytes = at.scanCodeSet === 1 ? inSet1(codes) : codes;
    // One place is kept for the code that tells of the overrun.
    const fits = bytes.length < this.#queue.room;
    if (fits) this.#queue.put(...bytes);
    else if (this.#queue.room === 1) {
      this.#queue.put(at.scanCodeSet === 1 ? ANSWER.OverrunSet1 : ANSWER.OverrunSet2);
    } else return false;
    this.#ready();
    return fits;
  }

  receive(byte: number): void {
    const command = this.#at.expecting;
    this.#at.expecting = 0;
    // A byte that cannot be a parameter is a new command.
    if (command !== 0 && byte < 0x80) this.#parameter(command, byte);
    else this.#command(byte);
    this.#ready();
  }

  #command(byte: number): void {
    const at = this.#at;
    if (byte === COMMAND.Resend) {
      this.#queue.put(this.#queue.last);
      return;
    }
    // Any other command drops what has not been sent.
    this.#queue.clear();
    if (byte === COMMAND.Echo) {
      this.#queue.put(COMMAND.Echo);
      return;
    }
    const oneKey = byte >= COMMAND.OneKey && byte <= COMMAND.OneKeyEnd;
    const allKeys = byte >= COMMAND.AllKeys && byte <= COMMAND.AllKeysEnd;
    switch (byte) {
      case COMMAND.SetLeds:
      case COMMAND.ScanCodeSet:
      case COMMAND.Typematic:
        at.expecting = byte;
        break;
      case COMMAND.Enable:
        at.scanning = 1;
        break;
      case COMMAND.DefaultDisable:
        this.#default();
        at.scanning = 0;
        break;
      case COMMAND.Default:
        this.#default();
        break;
      case COMMAND.Identify:
        this.#queue.put(ANSWER.Acknowledge, ...IDENTITY);
        return;
      case COMMAND.Reset:
        this.reset();
        this.#queue.put(ANSWER.Acknowledge, ANSWER.TestPassed);
        return;
      default:
        if (oneKey) at.expecting = byte;
        else if (!allKeys) {
          this.#queue.put(ANSWER.Resend);
          return;
        }
    }
    this.#queue.put(ANSWER.Acknowledge);
  }

  #parameter(command: number, value: number): void {
    const at = this.#at;
    this.#queue.clear();
    switch (command) {
      case COMMAND.SetLeds:
        at.leds = value & 7;
        this.#ledsChanged(at.leds);
        break;
      case COMMAND.Typematic:
        this.#typematic.setRate(value);
        break;
      case COMMAND.ScanCodeSet:
        if (value === 0) {
          this.#queue.put(ANSWER.Acknowledge, at.scanCodeSet);
          return;
        }
        if (value !== 1 && value !== 2) {
          this.#queue.put(ANSWER.Resend);
          return;
        }
        at.scanCodeSet = value;
        break;
    }
    this.#queue.put(ANSWER.Acknowledge);
  }

  #default(): void {
    this.#at.scanCodeSet = 2;
    this.#typematic.reset();
  }
}

function inSet1(codes: readonly number[]): number[] {
  const bytes: number[] = [];
  let released = false;
  for (const code of codes) {
    if (code !== BREAK) bytes.push(toSet1(code, released));
    released = code === BREAK;
  }
  return bytes;
}
