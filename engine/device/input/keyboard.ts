/**
 * A PS/2 keyboard: commands and answers, scan code sets 1 to 3, and the repetition of keys that are held.
 *
 * IBM Personal System/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-key)", commands
 * from and to the system.
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { Clock, TimedDevice } from '../device.ts';
import { type Ps2Device, Ps2Queue } from './ps2-device.ts';
import { BREAK, inSet1, repeatCodes, scanCodes } from './scancode.ts';
import { defaultTypes, KeyType, SET3_CODES, set3Code } from './scancode-set3.ts';
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
  /** The types of all keys, in set 3. */
  AllRepeat: 0xf7,
  AllBreak: 0xf8,
  AllMakeOnly: 0xf9,
  AllBoth: 0xfa,
  /** The type of one key, whose code follows. */
  OneRepeats: 0xfb,
  OneBreaks: 0xfc,
  OneMakeOnly: 0xfd,
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

/** What the commands for types make of a key. */
const TYPES = new Map<number, number>([
  [COMMAND.AllRepeat, KeyType.Repeats],
  [COMMAND.AllBreak, KeyType.Breaks],
  [COMMAND.AllMakeOnly, KeyType.MakeOnly],
  [COMMAND.AllBoth, KeyType.All],
  [COMMAND.OneRepeats, KeyType.Repeats],
  [COMMAND.OneBreaks, KeyType.Breaks],
  [COMMAND.OneMakeOnly, KeyType.MakeOnly],
]);

/** The lowest command: what is below is a parameter. */
const LOWEST_COMMAND = COMMAND.SetLeds;

/** The identity of a 101/102-key MF2 keyboard. */
const IDENTITY = [0xab, 0x83] as const;

const keyboardLayout = layout('ps2-keyboard', 2, {
  /** {@link KeyType} of each code of set 3. */
  types: ['u8', SET3_CODES],
  scanning: 'u8',
  /** 1, 2 or 3. */
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
   * @param key its code in set 1, plus 0x80 for a key with the prefix E0 (`engine/api/keys.ts`); codes that no key has
   *   are left out
   * @returns false where the keyboard does not scan, or its queue is full and now ends with an overrun code
   */
  key(key: number, down: boolean): boolean {
    if (scanCodes(key, true).length === 0) return true;
    const known = this.#typematic.key(key, down);
    if (this.#at.scanning === 0) return false;
    return !known || this.#send(this.#codes(key, down ? 'down' : 'up'));
  }

  deadline(): number {
    return this.#typematic.deadline();
  }

  service(now: number): void {
    const key = this.#typematic.due(now);
    if (key === undefined || this.#at.scanning === 0) return;
    const codes = this.#codes(key, 'repeat');
    // A host that does not take what there is gets no more of the same.
    if (this.#queue.room > codes.length) this.#send(codes);
  }

  /** What is sent for a key, in the set that the host has chosen. */
  #codes(key: number, what: 'down' | 'up' | 'repeat'): readonly number[] {
    const { scanCodeSet, types } = this.#at;
    if (scanCodeSet === 3) {
      const code = set3Code(key);
      const type = types[code];
      if (code === 0) return [];
      if (what === 'up') return (type & KeyType.Breaks) !== 0 ? [BREAK, code] : [];
      return what === 'down' || (type & KeyType.Repeats) !== 0 ? [code] : [];
    }
    const codes = what === 'repeat' ? repeatCodes(key) : scanCodes(key, what === 'down');
    return scanCodeSet === 1 ? inSet1(codes) : codes;
  }

  #send(bytes: readonly number[]): boolean {
    // One place is kept for the code that tells of the overrun.
    const fits = bytes.length < this.#queue.room;
    if (fits) this.#queue.put(...bytes);
    else if (this.#queue.room === 1) {
      this.#queue.put(this.#at.scanCodeSet === 1 ? ANSWER.OverrunSet1 : ANSWER.OverrunSet2);
    } else return false;
    this.#ready();
    return fits;
  }

  receive(byte: number): void {
    const command = this.#at.expecting;
    this.#at.expecting = 0;
    // A byte that cannot be a parameter is a new command.
    if (command !== 0 && byte < LOWEST_COMMAND) this.#parameter(command, byte);
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
    switch (byte) {
      case COMMAND.SetLeds:
      case COMMAND.ScanCodeSet:
      case COMMAND.Typematic:
      case COMMAND.OneRepeats:
      case COMMAND.OneBreaks:
      case COMMAND.OneMakeOnly:
        at.expecting = byte;
        break;
      case COMMAND.AllRepeat:
      case COMMAND.AllBreak:
      case COMMAND.AllMakeOnly:
      case COMMAND.AllBoth:
        at.types.fill(typeOf(byte));
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
        this.#queue.put(ANSWER.Resend);
        return;
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
        if (value > 3) {
          this.#queue.put(ANSWER.Resend);
          return;
        }
        at.scanCodeSet = value;
        break;
      default:
        if (value < SET3_CODES) at.types[value] = typeOf(command);
    }
    this.#queue.put(ANSWER.Acknowledge);
  }

  #default(): void {
    this.#at.scanCodeSet = 2;
    defaultTypes(this.#at.types);
    this.#typematic.reset();
  }
}

function typeOf(command: number): number {
  return TYPES.get(command) ?? KeyType.MakeOnly;
}
