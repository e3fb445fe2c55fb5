/**
 * A CD-ROM drive as its SCSI commands have it (packet commands, whatever carries them): a tray, perhaps a disc in
 * it, and what is wrong.
 *
 * INCITS 430 / T10 MMC-3 (multimedia commands) and SPC-3 (primary commands), by the clause named with each command.
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { Device } from '../device.ts';

/** Bytes of a data sector. */
export const CD_SECTOR = 2048;

const cdromLayout = layout('cdrom', 1, {
  /** Bytes of the disc; 0 where there is none. */
  bytes: 'f64',
  trayOpen: 'u8',
  /** The guest does not want the disc to be taken out. */
  locked: 'u8',
  /** Sense key, additional sense code and its qualifier of the last command that failed. */
  senseKey: 'u8',
  asc: 'u8',
  ascq: 'u8',
  /** The disc was changed, and the guest has not been told by a failing command yet. */
  attention: 'u8',
  /** Media event that GET EVENT STATUS NOTIFICATION has not told yet. */
  event: 'u8',
});

/** What a command comes to. */
export type CdResult =
  | { readonly kind: 'done' }
  /** Bytes for the guest, no more than it has asked for. */
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  /** Sectors of the disc for the guest. */
  | { readonly kind: 'read'; readonly sector: number; readonly count: number }
  /** The command has failed; REQUEST SENSE says why. */
  | { readonly kind: 'failed' };

const DONE: CdResult = { kind: 'done' };
const FAILED: CdResult = { kind: 'failed' };

/** Sense keys with additional sense codes and qualifiers (SPC-3, 4.5.6). */
const Sense = {
  NotReadyNoMedium: [0x02, 0x3a, 0x01],
  NotReadyTrayOpen: [0x02, 0x3a, 0x02],
  MediumError: [0x03, 0x11, 0x00],
  InvalidCommand: [0x05, 0x20, 0x00],
  OutOfRange: [0x05, 0x21, 0x00],
  InvalidField: [0x05, 0x24, 0x00],
  RemovalPrevented: [0x05, 0x53, 0x02],
  MediumChanged: [0x06, 0x28, 0x00],
} as const;

/** Media events (MMC-3, GET EVENT STATUS NOTIFICATION, media class). */
const Event = { None: 0, EjectRequest: 1, NewMedia: 2, Removal: 3 } as const;

const Opcode = {
  TestUnitReady: 0x00,
  RequestSense: 0x03,
  Inquiry: 0x12,
  ModeSelect6: 0x15,
  ModeSense6: 0x1a,
  StartStop: 0x1b,
  PreventAllow: 0x1e,
  ReadCapacity: 0x25,
  Read10: 0x28,
  Seek: 0x2b,
  SynchronizeCache: 0x35,
  ReadToc: 0x43,
  GetConfiguration: 0x46,
  EventStatus: 0x4a,
  ReadDiscInformation: 0x51,
  ModeSelect10: 0x55,
  ModeSense10: 0x5a,
  Read12: 0xa8,
  ReadDiscStructure: 0xad,
  SetSpeed: 0xbb,
  MechanismStatus: 0xbd,
  ReadCd: 0xbe,
} as const;

/** Discs larger than any CD are DVDs, as profiles go. */
const LARGEST_CD = 700 * 2 ** 20 * 1.3;
const Profile = { CdRom: 0x0008, DvdRom: 0x0010 } as const;

export class Cdrom implements Device {
  readonly name: string;
  readonly #at: View<typeof cdromLayout.fields>;
  readonly #initial: number;
  readonly #moved: () => void;

  /**
   * @param bytes of the disc that is in it when the machine is built; 0 where there is none
   * @param moved called when the tray was moved or locked, or the disc was changed
   */
  constructor(name: string, arena: Arena, bytes: number, moved: () => void = () => {}) {
    this.name = name;
    this.#at = arena.place(cdromLayout);
    this.#initial = bytes;
    this.#moved = moved;
  }

  /** Puts in what is there from the start. Once, before the machine first runs. */
  install(): void {
    this.#at.bytes = this.#initial;
  }

  /** Power-on: the disc stays in the drive; the tray is closed. */
  reset(): void {
    const at = this.#at;
    const moves = at.trayOpen !== 0 || at.locked !== 0;
    at.trayOpen = 0;
    at.locked = 0;
    at.senseKey = 0;
    at.asc = 0;
    at.ascq = 0;
    at.attention = 0;
    at.event = Event.None;
    if (moves) this.#moved();
  }

  /** Sectors of the disc; 0 where there is none, or the tray is open. */
  get sectors(): number {
    return this.#at.trayOpen !== 0 ? 0 : Math.floor(this.#at.bytes / CD_SECTOR);
  }

  get locked(): boolean {
    return this.#at.locked !== 0;
  }

  /** Whether the tray is out: the guest has ejected what is in it. */
  get trayOpen(): boolean {
    return this.#at.trayOpen !== 0;
  }

  /** Somebody presses the button of a drive that is locked: the guest may let go of the disc. */
  requestEject(): void {
    this.#at.event = Event.EjectRequest;
  }

  /** Puts a disc in, or takes it out, whatever the guest thinks of it. @param bytes 0 for none */
  change(bytes: number): void {
    const at = this.#at;
    at.bytes = bytes;
    at.trayOpen = 0;
    at.locked = 0;
    at.attention = 1;
    at.event = bytes === 0 ? Event.Removal : Event.NewMedia;
    this.#moved();
  }

  /** The host could not read the disc. */
  failMedium(): void {
    this.#fail(Sense.MediumError);
  }

  /**
   * Carries a command out, as far as that can be done without reading the disc.
   *
   * @param packet 12 bytes, or more
   */
  execute(packet: Uint8Array): CdResult {
    const at = this.#at;
    const [opcode] = packet;
    // What may be asked of a drive whatever its state (SPC-3, 4.5.6 "unit attention").
    const always =
      opcode === Opcode.Inquiry || opcode === Opcode.RequestSense || opcode === Opcode.EventStatus;
    if (!always && at.attention !== 0) {
      at.attention = 0;
      return this.#fail(Sense.MediumChanged);
    }
    if (opcode !== Opcode.RequestSense) this.#setSense([0, 0, 0]);
    return this.#dispatch(opcode, packet, new DataView(packet.buffer, packet.byteOffset, packet.length));
  }

  #dispatch(opcode: number, packet: Uint8Array, view: DataView): CdResult {
    switch (opcode) {
      case Opcode.TestUnitReady:
        return this.#ready() ? DONE : FAILED;
      case Opcode.RequestSense:
        return this.#requestSense(packet[4]);
      case Opcode.Inquiry:
        return inquiry(packet, view.getUint16(3));
      case Opcode.ModeSense6:
        return this.#modeSense(packet, packet[4], 4);
      case Opcode.ModeSense10:
        return this.#modeSense(packet, view.getUint16(7), 8);
      case Opcode.StartStop:
        return this.#startStop(packet[4]);
      case Opcode.PreventAllow:
        this.#at.locked = packet[4] & 1;
        this.#moved();
        return DONE;
      case Opcode.ReadCapacity:
        return this.#readCapacity();
      case Opcode.Read10:
        return this.#read(view.getUint32(2), view.getUint16(7));
      case Opcode.Read12:
        return this.#read(view.getUint32(2), view.getUint32(6));
      case Opcode.ReadCd:
        return this.#readCd(packet, view);
      case Opcode.ReadToc:
        return this.#readToc(packet, view.getUint16(7));
      case Opcode.GetConfiguration:
        return this.#getConfiguration(view.getUint16(2), packet[1] & 3, view.getUint16(7));
      case Opcode.EventStatus:
        return this.#eventStatus(packet, view.getUint16(7));
      case Opcode.ReadDiscInformation:
        return this.#readDiscInformation(view.getUint16(7));
      case Opcode.MechanismStatus:
        return data(new Uint8Array([0, 0, 0, 0, 0, 1, 0, 0]), view.getUint16(8));
      case Opcode.Seek:
        if (!this.#ready()) return FAILED;
        return view.getUint32(2) < this.sectors ? DONE : this.#fail(Sense.OutOfRange);
      case Opcode.SynchronizeCache:
      case Opcode.SetSpeed:
        return DONE;
      default:
        return this.#fail(Sense.InvalidCommand);
    }
  }

  #ready(): boolean {
    if (this.#at.trayOpen !== 0) this.#fail(Sense.NotReadyTrayOpen);
    else if (this.#at.bytes === 0) this.#fail(Sense.NotReadyNoMedium);
    else return true;
    return false;
  }

  #fail(sense: readonly [number, number, number]): CdResult {
    this.#setSense(sense);
    return FAILED;
  }

  #setSense([key, asc, ascq]: readonly [number, number, number]): void {
    this.#at.senseKey = key;
    this.#at.asc = asc;
    this.#at.ascq = ascq;
  }

  /** The key of the last failure, for the error register. */
  get senseKey(): number {
    return this.#at.senseKey;
  }

  /** SPC-3, 6.27; fixed format, 4.5.3. */
  #requestSense(length: number): CdResult {
    const at = this.#at;
    if (at.attention !== 0) {
      at.attention = 0;
      this.#setSense(Sense.MediumChanged);
    }
    const bytes = new Uint8Array(18);
    bytes[0] = 0x70;
    bytes[2] = at.senseKey;
    bytes[7] = 10;
    bytes[12] = at.asc;
    bytes[13] = at.ascq;
    this.#setSense([0, 0, 0]);
    return data(bytes, length);
  }

  /** MMC-3, 5.18 START/STOP UNIT: bit 1 load/eject, bit 0 start. */
  #startStop(operation: number): CdResult {
    const at = this.#at;
    if ((operation & 2) === 0) return DONE;
    if ((operation & 1) !== 0) {
      if (at.trayOpen !== 0 && at.bytes !== 0) at.event = Event.NewMedia;
      at.trayOpen = 0;
      this.#moved();
      return DONE;
    }
    if (at.locked !== 0) return this.#fail(Sense.RemovalPrevented);
    at.trayOpen = 1;
    at.event = Event.Removal;
    this.#moved();
    return DONE;
  }

  #readCapacity(): CdResult {
    if (!this.#ready()) return FAILED;
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, this.sectors - 1);
    view.setUint32(4, CD_SECTOR);
    return data(bytes, 8);
  }

  #read(sector: number, count: number): CdResult {
    if (!this.#ready()) return FAILED;
    if (sector + count > this.sectors) return this.#fail(Sense.OutOfRange);
    return count === 0 ? DONE : { kind: 'read', sector, count };
  }

  /** MMC-3, 5.8.5 READ CD: user data only, which is all there is in an image of data sectors. */
  #readCd(packet: Uint8Array, view: DataView): CdResult {
    const fields = packet[9] & 0xf8;
    if (fields !== 0x10 && fields !== 0) return this.#fail(Sense.InvalidField);
    const count = view.getUint32(5) & 0xff_ffff;
    const result = this.#read(view.getUint32(2), count);
    return fields === 0 && result.kind === 'read' ? DONE : result;
  }

  /** MMC-3, 5.23 READ TOC/PMA/ATIP: one session of one data track. */
  #readToc(packet: Uint8Array, length: number): CdResult {
    if (!this.#ready()) return FAILED;
    const msf = (packet[1] & 2) !== 0;
    const format = (packet[2] & 0x0f) !== 0 ? packet[2] & 0x0f : packet[9] >> 6;
    const start = packet[6];
    const address = (sector: number): number[] => {
      if (!msf) return [sector >>> 24, (sector >>> 16) & 0xff, (sector >>> 8) & 0xff, sector & 0xff];
      const frame = sector + 150;
      return [0, Math.floor(frame / 4500), Math.floor(frame / 75) % 60, frame % 75];
    };
    const track = (number: number, sector: number) => [0, 0x14, number, 0, ...address(sector)];
    const LEAD_OUT = 0xaa;
    let body: number[];
    if (format === 0) {
      if (start > 1 && start !== LEAD_OUT) return this.#fail(Sense.InvalidField);
      body = [1, 1, ...(start <= 1 ? track(1, 0) : []), ...track(LEAD_OUT, this.sectors)];
    } else if (format === 1) {
      body = [1, 1, ...track(1, 0)];
    } else if (format === 2) {
      const point = (number: number, place: number[]) => [1, 0x14, 0, number, 0, 0, 0, ...place];
      const leadOut = address(this.sectors);
      const [first, last] = [
        [0, 1, 0, 0],
        [0, 1, 0, 0],
      ];
      body = [
        1,
        1,
        ...point(0xa0, first),
        ...point(0xa1, last),
        ...point(0xa2, leadOut),
        ...point(1, address(0)),
      ];
    } else {
      return this.#fail(Sense.InvalidField);
    }
    return data(Uint8Array.from([body.length >> 8, body.length & 0xff, ...body]), length);
  }

  /** MMC-3, 5.6 GET CONFIGURATION: profiles, core, removable medium, what can be read. */
  #getConfiguration(from: number, kind: number, length: number): CdResult {
    const current = this.sectors === 0 ? 0 : this.#at.bytes > LARGEST_CD ? Profile.DvdRom : Profile.CdRom;
    const flag = (profile: number) => (profile === current ? 1 : 0);
    const present = current === 0 ? 0 : 1;
    const features: ReadonlyArray<readonly number[]> = [
      [
        0x00,
        0x00,
        0x03,
        8,
        0,
        Profile.DvdRom,
        flag(Profile.DvdRom),
        0,
        0,
        Profile.CdRom,
        flag(Profile.CdRom),
        0,
      ],
      [0x00, 0x01, 0x0b, 8, 0, 0, 0, 2, 1, 0, 0, 0], // core: ATAPI
      [0x00, 0x03, 0x03, 4, 0x29, 0, 0, 0], // removable: tray, eject, lock
      [0x00, 0x10, present, 8, 0, 0, 8, 0, 0, 1, 0, 0], // random readable: 2048 bytes a block
      [0x00, 0x1e, flag(Profile.CdRom), 4, 0, 0, 0, 0], // CD read
      [0x00, 0x1f, flag(Profile.DvdRom), 4, 0, 0, 0, 0], // DVD read
    ];
    const chosen = features.filter((feature) => {
      const code = (feature[0] << 8) | feature[1];
      if (kind === 2) return code === from;
      return code >= from && (kind === 0 || (feature[2] & 1) !== 0);
    });
    const body = chosen.flat();
    const total = 4 + body.length;
    return data(Uint8Array.from([0, 0, 0, total, 0, 0, current >> 8, current & 0xff, ...body]), length);
  }

  /** MMC-3, 5.7 GET EVENT STATUS NOTIFICATION, polled: the media class alone. */
  #eventStatus(packet: Uint8Array, length: number): CdResult {
    if ((packet[1] & 1) === 0) return this.#fail(Sense.InvalidField);
    const MEDIA = 1 << 4;
    if ((packet[4] & MEDIA) === 0) return data(Uint8Array.of(0, 2, 0x80, MEDIA), length);
    const at = this.#at;
    const status = (at.trayOpen !== 0 ? 1 : 0) | (this.sectors !== 0 ? 2 : 0);
    const { event } = at;
    if (length > 4) at.event = Event.None;
    return data(Uint8Array.of(0, 6, 4, MEDIA, event, status, 0, 0), length);
  }

  /** MMC-3, 5.20: one finished session. */
  #readDiscInformation(length: number): CdResult {
    if (!this.#ready()) return FAILED;
    const bytes = new Uint8Array(34);
    bytes.set([0, 32, 0x0e, 1, 1, 1, 1, 0x20]);
    return data(bytes, length);
  }

  /** SPC-3, 6.9 and 6.10; pages of MMC-3, 6.3. */
  #modeSense(packet: Uint8Array, length: number, headerBytes: 4 | 8): CdResult {
    const page = packet[2] & 0x3f;
    const control = packet[2] >> 6;
    if (control === 3) return this.#fail(Sense.InvalidField); // nothing is saved
    const pages: Record<number, readonly number[]> = {
      0x01: [0x01, 0x06, 0, 5, 0, 0, 0, 0],
      0x0e: [0x0e, 0x0e, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      0x2a: this.#capabilities(),
    };
    const ALL = 0x3f;
    const wanted = page === ALL ? Object.values(pages).flat() : pages[page];
    if (wanted === undefined) return this.#fail(Sense.InvalidField);
    const values = control === 1 ? wanted.map(() => 0) : wanted;
    const total = headerBytes + values.length;
    const medium = this.sectors !== 0 ? 0x01 : 0x70;
    const header =
      headerBytes === 4
        ? [total - 1, medium, 0, 0]
        : [(total - 2) >> 8, (total - 2) & 0xff, medium, 0, 0, 0, 0, 0];
    return data(Uint8Array.from([...header, ...values]), length);
  }

  /** MMC-3, 6.3.11 "CD capabilities and mechanical status": reads discs, has a tray that can be locked. */
  #capabilities(): readonly number[] {
    const locked = this.#at.locked !== 0 ? 2 : 0;
    // Speeds in kB/s: 4234 is 24 times that of an audio CD.
    const speed = [0x10, 0x8a];
    return [0x2a, 0x12, 0x3b, 0, 0x70, 0, 0x29 | locked, 0, ...speed, 0, 2, 2, 0, ...speed, 0, 0, 0, 0];
  }
}

/** SPC-3, 6.4: a removable CD-ROM drive. */
function inquiry(packet: Uint8Array, length: number): CdResult {
  // Vital product data: none but the list of pages, which is empty but for itself.
  if ((packet[1] & 1) !== 0) return data(Uint8Array.of(5, 0, 0, 1, 0), length);
  const bytes = new Uint8Array(36).fill(0x20, 8);
  bytes.set([5, 0x80, 0, 0x21, 31, 0, 0, 0]);
  const text = (at: number, what: string) => bytes.set(new TextEncoder().encode(what), at);
  text(8, 'GUESTHSE');
  text(16, 'CD-ROM');
  text(32, '1.0');
  return data(bytes, length);
}

function data(bytes: Uint8Array, most: number): CdResult {
  return most === 0 ? DONE : { kind: 'data', bytes: bytes.subarray(0, most) };
}
