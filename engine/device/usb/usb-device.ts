/**
 * What a USB device is to the controller it hangs on, and the requests that all devices answer.
 *
 * Universal Serial Bus Specification 2.0, 9.3 "USB Device Requests" and 9.4 "Standard Device Requests".
 */
import type { Arena, View } from '../../memory/layout.ts';
import { layout } from '../../memory/layout.ts';
import type { Device } from '../device.ts';
import { DescriptorType } from './descriptors.ts';

/** The eight bytes of a setup packet (9.3). */
export interface SetupPacket {
  /** bmRequestType: direction in bit 7, type in bits 6-5, recipient in bits 4-0. */
  readonly requestType: number;
  readonly request: number;
  readonly value: number;
  readonly index: number;
  /** Bytes of the data stage at most. */
  readonly length: number;
}

/** Direction, type and recipient of requests, as bmRequestType has them. */
export const RequestType = {
  In: 0x80,
  Class: 0x20,
  Device: 0,
  Interface: 1,
  Endpoint: 2,
} as const;

/** Speeds, by the default ids of xHCI (7.2.2.1.1). */
export const UsbSpeed = { Full: 1, Low: 2, High: 3 } as const;

/** What a device does with an IN token: data, nothing yet (NAK), an error of the endpoint (STALL), or no answer. */
export type InAnswer = Uint8Array | 'nak' | 'stall' | 'none';

/** What a device may ask of what it hangs on. */
export interface UsbHost {
  /** An endpoint has something, having said NAK before. */
  ready(endpoint: number): void;
  /** Whether the driver polls an endpoint. */
  polls(endpoint: number): boolean;
}

/** A device on a port of the root hub. */
export interface UsbDevice extends Device {
  readonly speed: number;
  /** Its address on the bus; 0 until it is given one. */
  readonly address: number;
  /** The port's reset signal: address 0, not configured. */
  busReset(): void;
  /** A control transfer to the default pipe with a data stage to the host.
   * @returns what it sends, cut at the length asked for; undefined for STALL */
  controlIn(setup: SetupPacket): Uint8Array | undefined;
  /** A control transfer without a data stage. @returns whether it was done; else STALL */
  controlOut(setup: SetupPacket): boolean;
  /** An IN token to an endpoint other than the default one. */
  in(endpoint: number): InAnswer;
  attach(host: UsbHost): void;
}

/** Standard requests (table 9-4). */
const Request = {
  GetStatus: 0,
  ClearFeature: 1,
  SetFeature: 3,
  SetAddress: 5,
  GetDescriptor: 6,
  GetConfiguration: 8,
  SetConfiguration: 9,
  GetInterface: 10,
  SetInterface: 11,
} as const;

/** Feature of an endpoint (table 9-6). */
const ENDPOINT_HALT = 0;

const deviceLayout = layout('usb-device', 1, {
  address: 'u8',
  configuration: 'u8',
  /** A bit for each IN endpoint. */
  halted: 'u16',
});

/** The descriptors of a device with one configuration and one interface. */
export interface UsbDescriptors {
  readonly device: Uint8Array;
  /** The configuration descriptor with all that follows it. */
  readonly configuration: Uint8Array;
  /** By index; the first is the list of languages. */
  readonly strings: readonly Uint8Array[];
  /** Those that are asked of the interface, by type. */
  readonly ofInterface: ReadonlyMap<number, Uint8Array>;
}

/** The state that USB devices have in common, and what they answer to standard requests: a device with one
 * configuration (1), one interface (0) without alternates, and endpoint 1 IN. */
export class StandardRequests {
  readonly #at: View<typeof deviceLayout.fields>;
  readonly #descriptors: UsbDescriptors;
  readonly #configured: () => void;

  /** @param configured told whenever the device is configured anew, or no more */
  constructor(arena: Arena, descriptors: UsbDescriptors, configured: () => void) {
    this.#at = arena.place(deviceLayout);
    this.#descriptors = descriptors;
    this.#configured = configured;
  }

  get address(): number {
    return this.#at.address;
  }

  get configured(): boolean {
    return this.#at.configuration !== 0;
  }

  get halted(): boolean {
    return this.#at.halted !== 0;
  }

  busReset(): void {
    this.#at.address = 0;
    this.#configure(0);
  }

  #configure(configuration: number): void {
    this.#at.configuration = configuration;
    this.#at.halted = 0;
    this.#configured();
  }

  /** @returns undefined for what is not known, or not known of that recipient (STALL) */
  answer({ requestType, request, value, index }: SetupPacket): Uint8Array | undefined {
    const { halted, configuration } = this.#at;
    const to = requestType & ~RequestType.In;
    switch (request) {
      case Request.GetStatus:
        if (to === RequestType.Device) return Uint8Array.of(0, 0);
        if (to === RequestType.Interface && this.#hasInterface(index)) return Uint8Array.of(0, 0);
        if (to === RequestType.Endpoint && this.#hasEndpoint(index))
          return Uint8Array.of((index & 0xf) !== 0 && halted !== 0 ? 1 : 0, 0);
        return undefined;
      case Request.GetDescriptor:
        return this.#descriptor(to, value);
      case Request.GetConfiguration:
        return to === RequestType.Device ? Uint8Array.of(configuration) : undefined;
      case Request.GetInterface:
        return to === RequestType.Interface && this.#hasInterface(index) ? Uint8Array.of(0) : undefined;
      default:
        return undefined;
    }
  }

  /** @returns whether it was done; else STALL */
  do({ requestType, request, value, index }: SetupPacket): boolean {
    const at = this.#at;
    if (request === Request.SetAddress && requestType === RequestType.Device) {
      at.address = value & 0x7f;
      return true;
    }
    if (request === Request.SetConfiguration && requestType === RequestType.Device) {
      if (value > 1) return false;
      this.#configure(value);
      return true;
    }
    if (request === Request.SetInterface && requestType === RequestType.Interface)
      return this.#hasInterface(index) && value === 0;
    const feature = request === Request.SetFeature || request === Request.ClearFeature;
    if (!feature || requestType !== RequestType.Endpoint || value !== ENDPOINT_HALT) return false;
    if (!this.#hasEndpoint(index)) return false;
    if ((index & 0xf) !== 0) at.halted = request === Request.SetFeature ? 1 : 0;
    return true;
  }

  #hasInterface(index: number): boolean {
    return this.configured && index === 0;
  }

  /** The default endpoint, or endpoint 1 IN. */
  #hasEndpoint(index: number): boolean {
    return (index & 0x7f) === 0 || (this.configured && index === 0x81);
  }

  #descriptor(to: number, value: number): Uint8Array | undefined {
    const { device, configuration, strings, ofInterface } = this.#descriptors;
    const type = value >> 8;
    const index = value & 0xff;
    if (to === RequestType.Interface) return index === 0 ? ofInterface.get(type) : undefined;
    if (to !== RequestType.Device) return undefined;
    if (type === DescriptorType.String) return strings[index];
    if (index !== 0) return undefined;
    if (type === DescriptorType.Device) return device;
    return type === DescriptorType.Configuration ? configuration : undefined;
  }
}
