/**
 * A port of the root hub, of the USB 2 protocol, with its device plugged in for good.
 *
 * What takes a bus some milliseconds, such as a reset, is over when the access that asked for it is.
 *
 * xHCI 1.2, 4.19 "Root Hub" and 5.4.8 "Port Status and Control Register (PORTSC)".
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { UsbDevice } from './usb-device.ts';

/** PORTSC. Bits of `Changes` are cleared by ones; those of `Kept` are the driver's. */
const Status = {
  Connected: 1 << 0,
  Enabled: 1 << 1,
  Reset: 1 << 4,
  Power: 1 << 9,
  Indicator: 3 << 14,
  LinkStrobe: 1 << 16,
  ConnectChange: 1 << 17,
  ResetChange: 1 << 21,
  LinkChange: 1 << 22,
  Changes: 0x7f << 17,
  Kept: 7 << 25,
} as const;
const LINK_SHIFT = 5;
const SPEED_SHIFT = 10;

/** Link states (PLS). A port of USB 2 that is not enabled polls. */
const Link = { U0: 0, U3: 3, Polling: 7, Resume: 15 } as const;

/** Registers of a port, by offset. */
const Register = { Status: 0 } as const;

const portLayout = layout('xhci-port', 1, {
  status: 'u32',
  /** The driver is to be told of a change. */
  news: 'u8',
});

export class RootPort {
  readonly device: UsbDevice;
  readonly #at: View<typeof portLayout.fields>;
  readonly #changed: () => void;

  /** @param changed called whenever there are news, or the device can be reached again */
  constructor(arena: Arena, device: UsbDevice, changed: () => void) {
    this.#at = arena.place(portLayout);
    this.device = device;
    this.#changed = changed;
  }

  /** As after a reset of the controller: a device is found. */
  reset(): void {
    const at = this.#at;
    at.status =
      Status.Power |
      Status.Connected |
      Status.ConnectChange |
      (Link.Polling << LINK_SHIFT) |
      (this.device.speed << SPEED_SHIFT);
    at.news = 1;
  }

  /** Whether there is something that the driver is to be told of. */
  get news(): boolean {
    return this.#at.news !== 0;
  }

  /** It has been told. */
  told(): void {
    this.#at.news = 0;
  }

  /** Whether the device hears what is sent to it, or would if it were not suspended. */
  get enabled(): boolean {
    return (this.#at.status & Status.Enabled) !== 0;
  }

  get suspended(): boolean {
    return this.enabled && this.#link !== Link.U0;
  }

  get #link(): number {
    return (this.#at.status >>> LINK_SHIFT) & 0xf;
  }

  /** @param offset a multiple of 4 in the port's register set */
  read(offset: number): number {
    return offset === Register.Status ? this.#at.status : 0;
  }

  write(offset: number, value: number): void {
    if (offset !== Register.Status) return;
    const at = this.#at;
    at.status = ((at.status & ~Status.Kept) | (value & Status.Kept)) >>> 0;
    at.status = (at.status & ~(value & Status.Changes)) >>> 0;
    if ((at.status & Status.Changes) === 0) at.news = 0;
    if ((value & Status.Reset) !== 0) this.#reset();
    else if ((value & Status.Enabled) !== 0) this.#disable();
    else if ((value & Status.LinkStrobe) !== 0) this.#setLink((value >>> LINK_SHIFT) & 0xf);
  }

  /** 4.3.1: the device is at address 0 afterwards, and the port enabled. */
  #reset(): void {
    this.device.busReset();
    this.#enter(Link.U0, Status.Enabled);
    this.#change(Status.ResetChange);
  }

  /** Port Enabled/Disabled is cleared by a one. */
  #disable(): void {
    this.#at.status &= ~Status.Enabled;
    this.#enter(Link.Polling, 0);
  }

  /** 4.15: to suspend, and back again. */
  #setLink(link: number): void {
    if (!this.enabled) return;
    const was = this.#link;
    if (link === Link.U3 && was === Link.U0) this.#enter(Link.U3, 0);
    else if (link === Link.Resume && was === Link.U3) this.#enter(Link.Resume, 0);
    else if (link === Link.U0 && was !== Link.U0) {
      this.#enter(Link.U0, 0);
      this.#change(Status.LinkChange);
    }
  }

  #enter(link: number, set: number): void {
    const at = this.#at;
    at.status = ((at.status & ~(0xf << LINK_SHIFT)) | (link << LINK_SHIFT) | set) >>> 0;
  }

  /** 4.19.2: an event where there was no change that the driver has not taken note of. */
  #change(bits: number): void {
    const at = this.#at;
    if ((at.status & Status.Changes) === 0) at.news = 1;
    at.status = (at.status | bits) >>> 0;
    this.#changed();
  }
}
