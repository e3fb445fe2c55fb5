/**
 * Logs that a drive on a serial link can be asked for, a page of 512 bytes each.
 *
 * ATA8-ACS, annex A "Log page definitions".
 */

/** Bytes of a page. */
export const LOG_PAGE = 512;

/** Address of the log of what has failed of the queue. */
export const QUEUED_ERROR_LOG = 0x10;

/** The log directory (A.2): a version, and for each log its number of pages. */
export function logDirectory(): Uint8Array {
  const page = new Uint8Array(LOG_PAGE);
  const words = new DataView(page.buffer);
  words.setUint16(0, 1, true);
  words.setUint16(2 * QUEUED_ERROR_LOG, 1, true);
  return page;
}

/** A queued command that has failed. */
export interface QueuedFailure {
  readonly tag: number;
  /** What the registers hold. */
  readonly status: number;
  readonly error: number;
  readonly sector: number;
}

/** The log of the queued command that has failed (A.14): its tag and registers, with a checksum. */
export function queuedErrorLog({ tag, status, error, sector }: QueuedFailure): Uint8Array {
  const page = new Uint8Array(LOG_PAGE);
  const byte = (index: number) => Math.floor(sector / 2 ** (8 * index)) % 256;
  page.set([tag & 0x1f, 0, status, error, byte(0), byte(1), byte(2), 0x40, byte(3), byte(4), byte(5)]);
  page[LOG_PAGE - 1] = -page.reduce((sum, each) => sum + each, 0);
  return page;
}
