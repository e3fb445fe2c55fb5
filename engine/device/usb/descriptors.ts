/**
 * Descriptors, by which a USB device says what it is.
 *
 * USB 2.0, 9.6 "Standard USB Descriptor Definitions"; Device Class Definition for Human Interface Devices (HID) 1.11,
 * 6.2 "Report Descriptors".
 */

/** Types (table 9-5; HID 1.11, 7.1). */
export const DescriptorType = {
  Device: 1,
  Configuration: 2,
  String: 3,
  Interface: 4,
  Endpoint: 5,
  Hid: 0x21,
  Report: 0x22,
} as const;

/** US English (Universal Serial Bus Language Identifiers 1.0). */
const LANGUAGE = 0x0409;

/** A descriptor: its length, its type, and the rest. */
export function descriptor(type: number, ...body: readonly number[]): number[] {
  return [body.length + 2, type, ...body];
}

/** A 16-bit number as descriptors have it. */
export function word(value: number): [number, number] {
  return [value & 0xff, value >> 8];
}

/** String descriptors (9.6.7): the list of languages, then each text, whose index begins with 1. */
export function strings(...texts: readonly string[]): Uint8Array[] {
  const bytes = texts.map((text) => Array.from(text, (_, i) => word(text.charCodeAt(i))).flat());
  return [word(LANGUAGE), ...bytes].map((body) =>
    Uint8Array.from(descriptor(DescriptorType.String, ...body)),
  );
}
