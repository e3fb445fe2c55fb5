/**
 * A PS/2 mouse: three-byte packets, or four with a wheel once the guest has asked for it by the IntelliMouse
 * sequence of sample rates (200, 100, 80).
 *
 * IBM Personal System/2 Hardware Interface Technical Reference, "Auxiliary device"; Microsoft, "Intellimouse
 * wheel mouse support".
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import { type Ps2Device, Ps2Queue } from './ps2-device.ts';

const COMMAND = {
  Scale1: 0xe6,
  Scale2: 0xe7,
  SetResolution: 0xe8,
  Status: 0xe9,
  SetStream: 0xea,
  ReadData: 0xeb,
  ResetWrap: 0xec,
  SetWrap: 0xee,
  SetRemote: 0xf0,
  Identify: 0xf2,
  SetSampleRate: 0xf3,
  Enable: 0xf4,
  Disable: 0xf5,
  Default: 0xf6,
  Resend: 0xfe,
  Reset: 0xff,
} as const;

const ANSWER = { TestPassed: 0xaa, Acknowledge: 0xfa, Error: 0xfc, Resend: 0xfe } as const;

/** Identities: a plain mouse, and one with a wheel. */
const PLAIN = 0;
const WHEEL = 3;

/** Most a packet can say of one axis. */
const MOST = 255;

/** Most that gathers of one axis while the guest does not read. */
const MOST_GATHERED = 32767;

const mouseLayout = layout('ps2-mouse', 1, {
  /** Movement that has not been reported; y counts upwards, the wheel towards the user. */
  x: 'i32',
  y: 'i32',
  wheel: 'i32',
  /** Bit 0 left, 1 right, 2 middle; as now, and as last reported. */
  buttons: 'u8',
  reported: 'u8',
  identity: 'u8',
  reporting: 'u8',
  remote: 'u8',
  wrap: 'u8',
  scale2: 'u8',
  resolution: 'u8',
  sampleRate: 'u8',
  /** The three latest sample rates, by which a driver unlocks the wheel. */
  rates: ['u8', 3],
  /** The command whose parameter comes next, 0 where none does. */
  expecting: 'u8',
});

export class Ps2Mouse implements Ps2Device {
  readonly name = 'ps2-mouse';
  readonly #at: View<typeof mouseLayout.fields>;
  readonly #queue: Ps2Queue;
  #ready: () => void = () => {};

  constructor(arena: Arena) {
    this.#at = arena.place(mouseLayout);
    this.#queue = new Ps2Queue(arena);
  }

  /** As after a self-test whose result has been read. */
  reset(): void {
    const at = this.#at;
    this.#queue.clear();
    at.buttons = 0;
    at.reported = 0;
    at.identity = PLAIN;
    at.wrap = 0;
    at.expecting = 0;
    at.rates.fill(0);
    this.#default();
  }

  connect(ready: () => void): void {
    this.#ready = ready;
  }

  take(): number {
    const byte = this.#queue.take();
    if (byte !== -1) return byte;
    // What has gathered meanwhile goes out as soon as the packets before it have.
    this.#report();
    return this.#queue.take();
  }

  /**
   * The mouse moved, or its buttons or wheel were used.
   *
   * @param dx to the right, @param dy upwards, in counts
   * @param wheel towards the user, in notches
   * @param buttons held now: bit 0 left, 1 right, 2 middle
   */
  move(dx: number, dy: number, wheel: number, buttons: number): void {
    const at = this.#at;
    at.buttons = buttons & 7;
    if (at.reporting === 0 && at.remote === 0) return;
    at.x = gather(at.x, dx);
    at.y = gather(at.y, dy);
    at.wheel = gather(at.wheel, wheel);
    this.#ready();
  }

  receive(byte: number): void {
    const at = this.#at;
    const command = at.expecting;
    at.expecting = 0;
    if (at.wrap !== 0 && byte !== COMMAND.Reset && byte !== COMMAND.ResetWrap) this.#queue.put(byte);
    else if (command !== 0) this.#parameter(command, byte);
    else this.#command(byte);
    this.#ready();
  }

  #command(byte: number): void {
    const at = this.#at;
    if (byte === COMMAND.Resend) {
      this.#queue.put(this.#queue.last);
      return;
    }
    this.#queue.clear();
    switch (byte) {
      case COMMAND.Scale1:
      case COMMAND.Scale2:
        at.scale2 = byte === COMMAND.Scale2 ? 1 : 0;
        break;
      case COMMAND.SetResolution:
      case COMMAND.SetSampleRate:
        at.expecting = byte;
        break;
      case COMMAND.Status:
        this.#queue.put(ANSWER.Acknowledge, this.#status(), at.resolution, at.sampleRate);
        return;
      case COMMAND.ReadData:
        this.#queue.put(ANSWER.Acknowledge);
        this.#packet();
        return;
      case COMMAND.ResetWrap:
      case COMMAND.SetWrap:
        at.wrap = byte === COMMAND.SetWrap ? 1 : 0;
        break;
      case COMMAND.SetStream:
      case COMMAND.SetRemote:
        at.remote = byte === COMMAND.SetRemote ? 1 : 0;
        this.#forget();
        break;
      case COMMAND.Identify:
        this.#queue.put(ANSWER.Acknowledge, at.identity);
        return;
      case COMMAND.Enable:
      case COMMAND.Disable:
        at.reporting = byte === COMMAND.Enable ? 1 : 0;
        this.#forget();
        break;
      case COMMAND.Default:
        this.#default();
        break;
      case COMMAND.Reset:
        this.reset();
        this.#queue.put(ANSWER.Acknowledge, ANSWER.TestPassed, PLAIN);
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
    if (command === COMMAND.SetResolution) {
      if (value > 3) {
        this.#queue.put(ANSWER.Error);
        return;
      }
      at.resolution = value;
    } else {
      at.sampleRate = value;
      at.rates.copyWithin(0, 1);
      at.rates[2] = value;
      if (at.rates[0] === 200 && at.rates[1] === 100 && at.rates[2] === 80) at.identity = WHEEL;
    }
    this.#queue.put(ANSWER.Acknowledge);
  }

  #default(): void {
    const at = this.#at;
    at.reporting = 0;
    at.remote = 0;
    at.scale2 = 0;
    at.resolution = 2; // four counts a millimetre
    at.sampleRate = 100;
    this.#forget();
  }

  #forget(): void {
    const at = this.#at;
    at.x = 0;
    at.y = 0;
    at.wheel = 0;
    at.reported = at.buttons;
  }

  #status(): number {
    const { buttons, scale2, reporting, remote } = this.#at;
    const left = (buttons & 1) << 2;
    const right = (buttons & 2) >> 1;
    const middle = (buttons & 4) >> 1;
    return left | right | middle | (scale2 << 4) | (reporting << 5) | (remote << 6);
  }

  /** In stream mode, a packet where there is something new. */
  #report(): void {
    const at = this.#at;
    if (at.reporting === 0 || at.remote !== 0 || at.wrap !== 0) return;
    const wheel = at.identity === WHEEL && at.wheel !== 0;
    if (at.x === 0 && at.y === 0 && !wheel && at.buttons === at.reported) return;
    this.#packet();
  }

  /** As much of what has gathered as one packet can tell; the rest stays. */
  #packet(): void {
    const at = this.#at;
    const x = within(at.x, MOST);
    const y = within(at.y, MOST);
    const signs = (x < 0 ? 1 << 4 : 0) | (y < 0 ? 1 << 5 : 0);
    this.#queue.put(at.buttons | (1 << 3) | signs, x & 0xff, y & 0xff);
    at.x -= x;
    at.y -= y;
    at.reported = at.buttons;
    if (at.identity === PLAIN) {
      at.wheel = 0;
      return;
    }
    const wheel = within(at.wheel, 7);
    this.#queue.put(wheel & 0xff);
    at.wheel -= wheel;
  }
}

function within(value: number, most: number): number {
  return Math.max(-most, Math.min(most, value));
}

/** Adds movement to what has not been reported yet. */
function gather(sum: number, delta: number): number {
  return within(sum + Math.trunc(delta), MOST_GATHERED);
}
