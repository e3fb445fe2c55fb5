/**
 * What drives say of themselves: the 256 words of IDENTIFY DEVICE and IDENTIFY PACKET DEVICE.
 *
 * ATA/ATAPI-6, 8.15 and 8.16, tables 27 and 30.
 */
import { LBA28_SECTORS, MOST_MULTIPLE } from './registers.ts';

/** Where a disk's sectors are said to be, for software that counts in cylinders. */
export interface Geometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
}

/** The usual geometry: 16 heads of 63 sectors, up to 16383 cylinders. */
export function defaultGeometry(sectors: number): Geometry {
  return { cylinders: Math.max(1, Math.min(16383, Math.floor(sectors / (16 * 63)))), heads: 16, sectors: 63 };
}

/** What both kinds of drives have. */
interface Facts {
  /** Up to 20 characters of ASCII. */
  readonly serial: string;
  /** Selected transfer mode, as SET FEATURES has it: the kind in bits 7-3, the mode below. */
  readonly transferMode: number;
  /** It is on a serial link. */
  readonly serialLink: boolean;
}

export interface DiskFacts extends Facts {
  readonly sectors: number;
  readonly geometry: Geometry;
  /** Geometry set by INITIALIZE DEVICE PARAMETERS. */
  readonly current: Geometry;
  /** Sectors of a DRQ block of READ MULTIPLE; 0 where it is not set. */
  readonly multiple: number;
  readonly writeCache: boolean;
}

const MODEL = 'GUESTHOUSE';
const FIRMWARE = '1.0';

class Words {
  readonly bytes = new Uint8Array(512);
  readonly #view = new DataView(this.bytes.buffer);

  set(word: number, value: number): void {
    this.#view.setUint16(word * 2, value, true);
  }

  set32(word: number, value: number): void {
    this.#view.setUint32(word * 2, value, true);
  }

  /** Text: two characters a word, the first in the upper byte, filled up with spaces. */
  text(word: number, words: number, text: string): void {
    for (let i = 0; i < words * 2; i++) {
      const code = i < text.length ? text.charCodeAt(i) : 0x20;
      this.bytes[word * 2 + (i ^ 1)] = code >= 0x20 && code < 0x7f ? code : 0x3f;
    }
  }

  /** Selected and supported modes of multiword DMA and Ultra DMA (words 63 and 88). */
  modes(transferMode: number): void {
    const kind = transferMode >> 3;
    const selected = 1 << (transferMode & 7);
    this.set(63, 0x07 | (kind === 4 ? selected << 8 : 0));
    this.set(88, 0x3f | (kind === 8 ? selected << 8 : 0));
    // PIO modes 3 and 4, cycle times in nanoseconds.
    this.set(64, 0x03);
    for (const word of [65, 66, 67, 68]) this.set(word, 120);
  }

  /** How it is connected: by a serial link (ATA8-ACS, words 76 to 80), or a cable whose two ends were found. */
  connection(serialLink: boolean): void {
    this.set(80, serialLink ? 0x01fe : 0x007e); // ATA-1 to ATA-6, to ATA8-ACS
    if (serialLink)
      this.set(76, 0x0006); // 1.5 and 3 Gb/s
    else this.set(93, 0x6001);
  }
}

/** IDENTIFY DEVICE. @returns 512 bytes */
export function identifyDisk(facts: DiskFacts): Uint8Array {
  const { sectors, geometry, current, multiple } = facts;
  const words = new Words();
  words.set(0, 0x0040); // not removable
  words.set(1, geometry.cylinders);
  words.set(3, geometry.heads);
  words.set(6, geometry.sectors);
  words.text(10, 10, facts.serial);
  words.text(23, 4, FIRMWARE);
  words.text(27, 20, `${MODEL} DISK`);
  words.set(47, 0x8000 | MOST_MULTIPLE);
  words.set(49, 0x0f00); // IORDY, LBA, DMA
  words.set(50, 0x4000);
  words.set(53, 0x0007); // words 54-58, 64-70 and 88 are valid
  words.set(54, current.cylinders);
  words.set(55, current.heads);
  words.set(56, current.sectors);
  words.set32(57, current.cylinders * current.heads * current.sectors);
  words.set(59, multiple === 0 ? 0 : 0x0100 | multiple);
  words.set32(60, Math.min(sectors, LBA28_SECTORS - 1));
  words.modes(facts.transferMode);
  words.connection(facts.serialLink);
  // Write cache, power management; 48-bit addresses, both flushes; the same enabled.
  words.set(82, 0x4028);
  words.set(83, 0x7400);
  words.set(84, 0x4040); // write FUA
  words.set(85, 0x4008 | (facts.writeCache ? 0x20 : 0));
  words.set(86, 0x3400);
  words.set(87, 0x4040);
  if (facts.serialLink) {
    words.set(75, 31); // 32 queued commands
    words.set(76, 0x0106);
    words.set(84, 0x4060); // logs
    words.set(87, 0x4060);
  }
  words.set32(100, sectors % 2 ** 32);
  words.set32(102, Math.floor(sectors / 2 ** 32));
  words.set(105, 1); // blocks of DATA SET MANAGEMENT
  words.set(169, 0x0001); // TRIM
  return words.bytes;
}

/** IDENTIFY PACKET DEVICE, of a CD-ROM drive. @returns 512 bytes */
export function identifyCdrom(facts: Facts): Uint8Array {
  const words = new Words();
  words.set(0, 0x85c0); // ATAPI, CD-ROM, removable, DRQ within 50 µs, packets of 12 bytes
  words.text(10, 10, facts.serial);
  words.text(23, 4, FIRMWARE);
  words.text(27, 20, `${MODEL} CD-ROM`);
  words.set(49, 0x0f00);
  words.set(53, 0x0006);
  words.modes(facts.transferMode);
  words.connection(facts.serialLink);
  words.set(82, 0x4210); // NOP, DEVICE RESET, PACKET
  words.set(83, 0x4000);
  words.set(84, 0x4000);
  words.set(85, 0x4210);
  words.set(87, 0x4000);
  return words.bytes;
}
