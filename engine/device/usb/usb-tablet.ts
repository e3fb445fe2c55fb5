/**
 * A USB device of the HID class that points at places, as a graphics tablet does, with a mouse's buttons and wheel:
 * what the guest's pointer follows without having to be grabbed, in every system that has a driver for USB mice.
 *
 * A report is six bytes: buttons, X and Y (16 bits each, 0 … {@link TABLET_MOST}), notches of the wheel. Moves that have
 * not been reported yet become one; presses and releases are reported one by one, as many as are remembered.
 *
 * Device Class Definition for Human Interface Devices (HID) 1.11; USB HID Usage Tables 1.12, pages 1 and 9.
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import { TABLET_MOST, type Tablet, within } from '../input/tablet.ts';
import { descriptor, DescriptorType, strings, word } from './descriptors.ts';
import {
  type InAnswer,
  RequestType,
  type SetupPacket,
  StandardRequests,
  type UsbDevice,
  type UsbHost,
  UsbSpeed,
} from './usb-device.ts';

/** Ids that systems know as a pointer which needs no special treatment, and may be suspended. */
const ID = { vendor: 0x0627, product: 0x0001 } as const;

/** Its one endpoint but the default one: IN, polled every 10 ms at most. */
const ENDPOINT = 1;
const INTERVAL = 10;

const REPORT_BYTES = 6;
const CONTROL_PACKET = 64;

/** HID 1.11, 6.2.2: items as prefix byte and data. */
const REPORT_DESCRIPTOR = Uint8Array.from(
  [
    [0x05, 0x01], // Usage Page (Generic Desktop)
    [0x09, 0x02], // Usage (Mouse)
    [0xa1, 0x01], // Collection (Application)
    [0x09, 0x01], //   Usage (Pointer)
    [0xa1, 0x00], //   Collection (Physical)
    [0x05, 0x09], //     Usage Page (Button)
    [0x19, 0x01, 0x29, 0x03], //     Usage Minimum (1), Maximum (3)
    [0x15, 0x00, 0x25, 0x01], //     Logical Minimum (0), Maximum (1)
    [0x95, 0x03, 0x75, 0x01], //     Report Count (3), Size (1)
    [0x81, 0x02], //     Input (Data, Variable, Absolute)
    [0x95, 0x01, 0x75, 0x05], //     Report Count (1), Size (5)
    [0x81, 0x01], //     Input (Constant)
    [0x05, 0x01], //     Usage Page (Generic Desktop)
    [0x09, 0x30, 0x09, 0x31], //     Usage (X), (Y)
    [0x15, 0x00, 0x26, ...word(TABLET_MOST)], //     Logical Minimum (0), Maximum
    [0x35, 0x00, 0x46, ...word(TABLET_MOST)], //     Physical Minimum (0), Maximum
    [0x95, 0x02, 0x75, 0x10], //     Report Count (2), Size (16)
    [0x81, 0x02], //     Input (Data, Variable, Absolute)
    [0x09, 0x38], //     Usage (Wheel)
    [0x15, 0x81, 0x25, 0x7f], //     Logical Minimum (-127), Maximum (127)
    [0x35, 0x00, 0x45, 0x00], //     Physical Minimum (0), Maximum (0): as the logical ones
    [0x95, 0x01, 0x75, 0x08], //     Report Count (1), Size (8)
    [0x81, 0x06], //     Input (Data, Variable, Relative)
    [0xc0, 0xc0], // both collections end
  ].flat(),
);

/** HID 1.11, 6.2.1: version, no country, one report descriptor. */
const HID_DESCRIPTOR = descriptor(
  DescriptorType.Hid,
  ...word(0x0111),
  0,
  1,
  DescriptorType.Report,
  ...word(REPORT_DESCRIPTOR.length),
);

/** USB 2.0, 9.6.5, 9.6.6: one interface of the HID class, neither keyboard nor mouse to firmware; one endpoint. */
const INTERFACE = [
  ...descriptor(DescriptorType.Interface, 0, 0, 1, 3, 0, 0, 0),
  ...HID_DESCRIPTOR,
  ...descriptor(DescriptorType.Endpoint, 0x80 | ENDPOINT, 3, ...word(REPORT_BYTES), INTERVAL),
];

const DESCRIPTORS = {
  /** USB 2.0, 9.6.1: version 2.00, class by interface, packets of the default pipe, ids, version 1.00, strings of
   * manufacturer and product, no serial number, one configuration. */
  device: Uint8Array.from(
    descriptor(
      DescriptorType.Device,
      ...[
        word(0x0200),
        0,
        0,
        0,
        CONTROL_PACKET,
        word(ID.vendor),
        word(ID.product),
        word(0x0100),
        1,
        2,
        0,
        1,
      ].flat(),
    ),
  ),
  /** USB 2.0, 9.6.3: powered by the bus, 100 mA. */
  configuration: Uint8Array.from([
    ...descriptor(DescriptorType.Configuration, ...word(9 + INTERFACE.length), 1, 1, 0, 0x80, 50),
    ...INTERFACE,
  ]),
  strings: strings('Guesthouse', 'Guesthouse Tablet'),
  ofInterface: new Map([
    [DescriptorType.Hid, Uint8Array.from(HID_DESCRIPTOR)],
    [DescriptorType.Report, REPORT_DESCRIPTOR],
  ]),
} as const;

/** Requests of the class (HID 1.11, 7.2). */
const HidRequest = { GetReport: 1, GetIdle: 2, GetProtocol: 3, SetIdle: 10, SetProtocol: 11 } as const;
const INPUT_REPORT = 1;
const REPORT_PROTOCOL = 1;

/** Reports that are remembered. */
const MOST_REPORTS = 16;

/** Notches of the wheel in a report. */
const MOST_NOTCHES = 127;

const tabletLayout = layout('usb-tablet', 1, {
  /** Reports that were not fetched yet, from the first on; the last fetched is at `first - 1`. */
  x: ['u16', MOST_REPORTS],
  y: ['u16', MOST_REPORTS],
  wheel: ['i32', MOST_REPORTS],
  buttons: ['u8', MOST_REPORTS],
  waiting: 'u8',
  /** As last fetched. */
  fetchedX: 'u16',
  fetchedY: 'u16',
  fetchedButtons: 'u8',
});

export class UsbTablet implements UsbDevice, Tablet {
  readonly name = 'usb-tablet';
  readonly speed = UsbSpeed.Full;
  readonly #at: View<typeof tabletLayout.fields>;
  readonly #standard: StandardRequests;
  #host: UsbHost | undefined;

  constructor(arena: Arena) {
    this.#at = arena.place(tabletLayout);
    this.#standard = new StandardRequests(arena, DESCRIPTORS, () => this.#forget());
  }

  attach(host: UsbHost): void {
    this.#host = host;
  }

  reset(): void {
    this.busReset();
    const at = this.#at;
    at.fetchedX = 0;
    at.fetchedY = 0;
  }

  busReset(): void {
    this.#standard.busReset();
  }

  get address(): number {
    return this.#standard.address;
  }

  get ready(): boolean {
    return this.#standard.configured && this.#host?.polls(ENDPOINT) === true;
  }

  point(x: number, y: number, notches: number, buttons: number): void {
    const at = this.#at;
    const last = at.waiting - 1;
    const held = last < 0 ? at.fetchedButtons : at.buttons[last];
    // A press or release is a report of its own, while there is room for that.
    const merges = last >= 0 && (held === (buttons & 7) || at.waiting === MOST_REPORTS);
    const index = merges ? last : at.waiting++;
    if (!merges) at.wheel[index] = 0;
    at.x[index] = within(x, 0, TABLET_MOST);
    at.y[index] = within(y, 0, TABLET_MOST);
    at.wheel[index] = within(at.wheel[index] + notches, -MOST_NOTCHES, MOST_NOTCHES);
    at.buttons[index] = buttons & 7;
    if (this.#isOld()) at.waiting = 0;
    else this.#host?.ready(ENDPOINT);
  }

  /** Whether all that waits is what was fetched last. */
  #isOld(): boolean {
    const { x, y, wheel, buttons, waiting, fetchedX, fetchedY, fetchedButtons } = this.#at;
    const same = x[0] === fetchedX && y[0] === fetchedY && buttons[0] === fetchedButtons && wheel[0] === 0;
    return waiting === 1 && same;
  }

  /** The driver knows nothing (any more). */
  #forget(): void {
    const at = this.#at;
    at.x.fill(0);
    at.y.fill(0);
    at.wheel.fill(0);
    at.buttons.fill(0);
    at.waiting = 0;
    at.fetchedButtons = 0;
  }

  in(endpoint: number): InAnswer {
    const at = this.#at;
    if (endpoint !== ENDPOINT || !this.#standard.configured) return 'none';
    if (this.#standard.halted) return 'stall';
    if (at.waiting === 0) return 'nak';
    const report = reportOf(at.x[0], at.y[0], at.wheel[0], at.buttons[0]);
    at.fetchedX = at.x[0];
    at.fetchedY = at.y[0];
    at.fetchedButtons = at.buttons[0];
    for (const field of [at.x, at.y, at.wheel, at.buttons]) field.copyWithin(0, 1);
    at.waiting--;
    return report;
  }

  controlIn(setup: SetupPacket): Uint8Array | undefined {
    const { requestType, request, value } = setup;
    if (requestType !== (RequestType.In | RequestType.Class | RequestType.Interface))
      return this.#standard.answer(setup);
    const { fetchedX, fetchedY, fetchedButtons } = this.#at;
    switch (request) {
      case HidRequest.GetReport:
        return value === INPUT_REPORT << 8 ? reportOf(fetchedX, fetchedY, 0, fetchedButtons) : undefined;
      case HidRequest.GetIdle:
        return Uint8Array.of(0);
      case HidRequest.GetProtocol:
        return Uint8Array.of(REPORT_PROTOCOL);
      default:
        return undefined;
    }
  }

  controlOut(setup: SetupPacket): boolean {
    const { requestType, request, value } = setup;
    if (requestType !== (RequestType.Class | RequestType.Interface)) return this.#standard.do(setup);
    // Reports are sent when something has changed and never just because time has passed.
    if (request === HidRequest.SetIdle) return value >> 8 === 0;
    return request === HidRequest.SetProtocol && value === REPORT_PROTOCOL;
  }
}

function reportOf(x: number, y: number, wheel: number, buttons: number): Uint8Array {
  return Uint8Array.of(buttons, ...word(x), ...word(y), wheel & 0xff);
}
