/**
 * One viewer: the handshake, its messages, and the updates of the picture that it asks for.
 *
 * It is sent what has changed since it was sent something, when it asks and as fast as it takes it, so that a slow one
 * sees fewer pictures and no stale ones. Whatever it sends, nothing breaks: what is no message ends the connection.
 *
 * RFC 6143, chapter 7.
 */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { keyOfKeysym } from '../../api/keys.ts';
import { Damage, type Rectangle } from '../../device/video/damage.ts';
import { lengthOf } from '../image/buffers.ts';
import { ByteReader } from './byte-reader.ts';
import { FORMAT_BYTES, NATIVE_FORMAT, packFormat, PixelWriter, unpackFormat } from './pixel-format.ts';
import {
  encodeHextile, encodeRaw, encodeTight, encodeZrle, type Picture, TIGHT_MOST_WIDTH, TIGHT_STREAMS, indexForTight,
} from './rfb-encodings.ts'; // prettier-ignore
import {
  ClientMessage,
  Encoding,
  MOST_CUT_TEXT,
  PIXEL_ENCODINGS,
  QemuMessage,
  Security,
  ServerMessage,
} from './rfb-protocol.ts';
import { type Move, SentPicture } from './sent-picture.ts';
import { answersChallenge, CHALLENGE_BYTES } from './vnc-password.ts';
import { ZlibStream } from './zlib-stream.ts';

/** What viewers do to the machine. */
export interface InputTarget {
  /** A key by its code (`engine/api/keys.ts`). */
  key(code: number, down: boolean): void;
  /** The pointer: its place in the picture, and its buttons: bit 0 left, 1 middle, 2 right, 3 and 4 the wheel up and
   * down. */
  pointer(
    at: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
    buttons: number,
  ): void;
  /** The pointer of a viewer that has grabbed it was moved by so many pixels, to the right and downwards. */
  move(dx: number, dy: number, buttons: number): void;
  /** Whether the guest's pointer goes where the viewer's is, so that nothing needs to be grabbed. */
  readonly absolute: boolean;
}

/** What a viewer looks at: the pixels as they are now. */
export interface ViewedScreen extends Picture {
  readonly height: number;
}

/** Why a viewer wants the screen looked at: it can take an update, or has used an input. */
export type WantReason = 'update' | 'input';

export interface RfbClientOptions {
  readonly stream: Duplex;
  readonly name: string;
  /** Undefined where anybody may look. */
  readonly password: string | undefined;
  readonly screen: ViewedScreen;
  readonly input: InputTarget;
  /** The viewer is on this computer: bytes are cheaper than the time to make them fewer. */
  readonly local: boolean;
  /** Called when the screen is worth a look. */
  readonly wants: (reason: WantReason) => void;
  /** Called once, when the connection has ended. */
  readonly gone: () => void;
}

/** Longest message of a client but for cut text, in bytes; nobody sends more before it is answered. */
const MOST_WAITING = 2 * MOST_CUT_TEXT;

/** Pixels of a rectangle that is encoded in one go: bounds how long a vCPU's host thread is kept from other things. */
const MOST_PIXELS = 0x4_0000;

/** Bytes that are copied to make one piece of several. */
const MOST_JOINED = 0x1_0000;

const VERSION = 'RFB 003.008\n';

/** Compression level where the client names none: fast. */
const LEVEL = 1;

/** Moves of a pointer are told as if it were here (QEMU Pointer Motion Change), and places in a picture never are at
 * half of that, so that either is known for what it is while the viewer does not know of a change yet. */
const ORIGIN = 0x7fff;

/** An empty rectangle: of what is no part of the picture. */
const NOWHERE: Rectangle = { x: 0, y: 0, width: 0, height: 0 };

/** What is waited for, with its least number of bytes. */
type Phase = 'version' | 'security' | 'response' | 'init' | 'messages' | 'over';

export class RfbClient {
  readonly #options: RfbClientOptions;
  readonly #reader = new ByteReader();
  readonly #streams: ZlibStream[] = [];
  readonly #held = new Set<number>();
  #phase: Phase = 'version';
  /** Minor version of the protocol: 3, 7 or 8. */
  #minor = 8;
  #challenge = new Uint8Array();
  #writer = new PixelWriter(NATIVE_FORMAT);
  #encodings: readonly number[] = [];
  #level = LEVEL;
  #damage: Damage;
  /** What the client has of the picture, where it can move parts of it. */
  #sent: SentPicture | undefined;
  /** What the client has asked for, undefined where nothing. */
  #requested: Rectangle | undefined;
  /** The size that the client knows. */
  #known: { width: number; height: number };
  #sending = false;
  #told = false;
  /** Whether the client has been told that its pointer needs no grabbing; undefined where it has been told nothing. */
  #absolute: boolean | undefined;

  constructor(options: RfbClientOptions) {
    this.#options = options;
    const { stream, screen } = options;
    this.#known = { width: screen.width, height: screen.height };
    this.#damage = new Damage(screen.width, screen.height);
    stream.on('data', (bytes: Buffer) => this.#feed(bytes));
    stream.on('error', () => this.close());
    stream.on('end', () => this.close());
    stream.on('close', () => this.close());
    stream.write(VERSION);
  }

  /** Whether the viewer waits for an update. */
  get waiting(): boolean {
    return this.#requested !== undefined && !this.#sending;
  }

  /** Ends the connection; keys that are held are let go. */
  close(): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    for (const code of this.#held) this.#options.input.key(code, false);
    for (const stream of this.#streams) stream.close();
    this.#options.stream.destroy();
    this.#options.gone();
  }

  /** Notes what has changed in the picture. */
  changed(damage: Damage, resized: boolean): void {
    const { width, height } = this.#options.screen;
    if (resized) {
      this.#damage = new Damage(width, height);
      this.#damage.markRectangle({ x: 0, y: 0, width, height });
    } else this.#damage.add(damage);
    this.update();
  }

  /** Sends an update where one is wanted and there is something to send. */
  update(): void {
    const { screen } = this.#options;
    if (this.#phase !== 'messages' || !this.waiting || this.#requested === undefined) return;
    const resize = screen.width !== this.#known.width || screen.height !== this.#known.height;
    const parts = [...this.#announcements(), ...this.#pointerMotion()];
    if (resize && this.#encodings.includes(Encoding.DesktopSize)) {
      this.#known = { width: screen.width, height: screen.height };
      parts.push(rectangleHeader({ x: 0, y: 0, ...this.#known }, Encoding.DesktopSize));
      this.#sent = undefined;
      // The client asks anew for what it wants of the new picture.
      this.#requested = undefined;
      this.#send(parts, []);
      return;
    }
    const within = intersect(this.#requested, { x: 0, y: 0, ...this.#known });
    let areas = this.#damage.take(within);
    const sent = this.#sentPicture();
    const move = sent?.move(screen, areas);
    if (sent !== undefined && move !== undefined) {
      parts.push(copyRectangle(move));
      areas = sent.different(screen, areas);
    }
    if (areas.length === 0 && parts.length === 0) return;
    this.#requested = undefined;
    this.#send(parts, areas.flatMap(divide));
  }

  /** What the client has of a picture of the present size, where it is able to move parts of it. */
  #sentPicture(): SentPicture | undefined {
    const { screen } = this.#options;
    if (!this.#encodings.includes(Encoding.CopyRect)) this.#sent = undefined;
    else if (this.#sent?.fits(screen) !== true) this.#sent = new SentPicture(screen.width, screen.height);
    return this.#sent;
  }

  /** Sends an update, and no other before the connection has taken it.
   * @param parts rectangles that are complete, @param areas of the picture */
  #send(parts: readonly Uint8Array[], areas: readonly Rectangle[]): void {
    this.#sending = true;
    this.#sendUpdate(parts, areas)
      .catch(() => this.close())
      .finally(() => {
        this.#sending = false;
        if (this.#phase === 'over') return;
        this.#options.wants('update');
        this.update();
      });
  }

  /** Each area is sent when it has been encoded, so that the viewer draws it while the next one is. */
  async #sendUpdate(parts: readonly Uint8Array[], areas: readonly Rectangle[]): Promise<void> {
    const { screen } = this.#options;
    const head = new Uint8Array(4);
    head[0] = ServerMessage.Update;
    new DataView(head.buffer).setUint16(2, parts.length + areas.length);
    let pieces: Uint8Array[] = [head, ...parts];
    for (const area of areas) {
      // The picture may have become smaller meanwhile. How many rectangles come has been said; what is left of the
      // picture comes with the next update.
      if (area.x + area.width > screen.width || area.y + area.height > screen.height) {
        pieces.push(rectangleHeader(NOWHERE, Encoding.Raw));
        continue;
      }
      const [encoding, data] = await this.#encodeArea(area);
      await this.#put([...pieces, rectangleHeader(area, encoding), data]);
      pieces = [];
    }
    if (pieces.length > 0) await this.#put(pieces);
  }

  /** Writes, and resolves when the connection takes more, or has ended. */
  async #put(pieces: readonly Uint8Array[]): Promise<void> {
    const { stream } = this.#options;
    if (this.#phase === 'over' || !stream.writable) return;
    let more = true;
    // What is small goes in one piece, as each is a message on its way to the desktop.
    const joined = lengthOf(pieces) <= MOST_JOINED ? [Buffer.concat(pieces)] : pieces;
    for (const piece of joined) more = stream.write(piece);
    if (more) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        stream.off('drain', done).off('close', done);
        resolve();
      };
      stream.on('drain', done).on('close', done);
    });
  }

  /** Whether the viewer has to grab the pointer, where that is news to a client that understands it. */
  #pointerMotion(): Uint8Array[] {
    const { absolute } = this.#options.input;
    if (absolute === this.#absolute || !this.#encodings.includes(Encoding.QemuPointerMotion)) return [];
    this.#absolute = absolute;
    return [rectangleHeader({ ...NOWHERE, x: absolute ? 1 : 0 }, Encoding.QemuPointerMotion)];
  }

  /** What is said once, when the client has said that it understands it. */
  #announcements(): Uint8Array[] {
    if (this.#told) return [];
    this.#told = true;
    const parts: Uint8Array[] = [];
    if (this.#encodings.includes(Encoding.QemuExtendedKeyEvent)) {
      parts.push(rectangleHeader(NOWHERE, Encoding.QemuExtendedKeyEvent));
    }
    // An empty cursor: the guest draws its own.
    if (this.#encodings.includes(Encoding.Cursor)) parts.push(rectangleHeader(NOWHERE, Encoding.Cursor));
    return parts;
  }

  async #encodeArea(area: Rectangle): Promise<[encoding: number, data: Uint8Array]> {
    const { screen, local } = this.#options;
    const writer = this.#writer;
    // Encoders read the pixels before they wait for anything.
    this.#sentPicture()?.sent(screen, area);
    const encoding = this.#encodings.find((each) => PIXEL_ENCODINGS.includes(each)) ?? Encoding.Raw;
    switch (encoding) {
      case Encoding.Tight: {
        const indexed = indexForTight(screen, area);
        if (local && indexed === undefined) break;
        return [encoding, await encodeTight(screen, area, indexed, writer, this.#zlib(TIGHT_STREAMS))];
      }
      case Encoding.Zrle: {
        const stream = this.#zlib(TIGHT_STREAMS + 1)[TIGHT_STREAMS];
        return [encoding, await encodeZrle(screen, area, writer, stream)];
      }
      case Encoding.Hextile:
        return [encoding, encodeHextile(screen, area, writer)];
    }
    // Every client takes it (7.7.1).
    return [Encoding.Raw, encodeRaw(screen, area, writer)];
  }

  /** The first `count` compressed streams of the connection. */
  #zlib(count: number): readonly ZlibStream[] {
    while (this.#streams.length < count) this.#streams.push(new ZlibStream(this.#level));
    return this.#streams;
  }

  #feed(bytes: Uint8Array): void {
    if (this.#phase === 'over') return;
    this.#reader.push(bytes);
    for (;;) {
      const before = this.#reader.length;
      if (!this.#step()) break;
      if (this.#reader.length === before) break;
    }
    if (this.#reader.length > MOST_WAITING) this.close();
  }

  /** Takes the next message; false where it is not whole yet, or the connection is over. */
  #step(): boolean {
    switch (this.#phase) {
      case 'version':
        return this.#take(12, (bytes) => this.#version(Buffer.from(bytes).toString('latin1')));
      case 'security':
        return this.#take(1, ([type]) => {
          if (type === this.#security) this.#authenticate();
          else this.close();
        });
      case 'response':
        return this.#take(CHALLENGE_BYTES, (bytes) => this.#answer(bytes));
      case 'init':
        return this.#take(1, () => this.#init());
      case 'messages':
        return this.#message();
      case 'over':
        return false;
    }
  }

  #take(count: number, body: (bytes: Uint8Array) => void): boolean {
    const bytes = this.#reader.peek(count);
    if (bytes === undefined) return false;
    this.#reader.drop(count);
    body(bytes);
    return true;
  }

  get #security(): number {
    return this.#options.password === undefined ? Security.None : Security.VncAuthentication;
  }

  /** 7.1.1 and 7.1.2. */
  #version(text: string): void {
    const match = /^RFB 003\.(\d{3})\n$/.exec(text);
    if (match === null) {
      this.close();
      return;
    }
    const minor = Number(match[1]);
    this.#minor = minor >= 8 ? 8 : minor === 7 ? 7 : 3;
    if (this.#minor >= 7) {
      this.#write(Uint8Array.of(1, this.#security));
      this.#phase = 'security';
      return;
    }
    // Version 3.3: the server decides.
    this.#write(Uint8Array.of(0, 0, 0, this.#security));
    this.#authenticate();
  }

  #authenticate(): void {
    if (this.#options.password === undefined) {
      if (this.#minor === 8) this.#write(new Uint8Array(4));
      this.#phase = 'init';
      return;
    }
    this.#challenge = randomBytes(CHALLENGE_BYTES);
    this.#write(this.#challenge);
    this.#phase = 'response';
  }

  #answer(response: Uint8Array): void {
    const right = answersChallenge(this.#options.password ?? '', this.#challenge, response);
    if (right) {
      this.#write(new Uint8Array(4));
      this.#phase = 'init';
      return;
    }
    const reason = Buffer.from('the password is wrong');
    const length = Uint8Array.of(0, 0, 0, reason.length);
    const said = this.#minor === 8 ? [length, reason] : [];
    this.#options.stream.end(Buffer.concat([Uint8Array.of(0, 0, 0, 1), ...said]));
    this.#phase = 'over';
    this.#options.gone();
  }

  /** 7.3: size, pixel format and name. */
  #init(): void {
    const { screen, name } = this.#options;
    this.#known = { width: screen.width, height: screen.height };
    this.#damage = new Damage(screen.width, screen.height);
    const text = Buffer.from(name);
    const head = new Uint8Array(8 + FORMAT_BYTES);
    const view = new DataView(head.buffer);
    view.setUint16(0, screen.width);
    view.setUint16(2, screen.height);
    head.set(packFormat(NATIVE_FORMAT), 4);
    view.setUint32(4 + FORMAT_BYTES, text.length);
    this.#write(Buffer.concat([head, text]));
    this.#phase = 'messages';
  }

  /** 7.5. */
  #message(): boolean {
    const type = this.#reader.peek(1)?.[0];
    switch (type) {
      case undefined:
        return false;
      case ClientMessage.SetPixelFormat:
        return this.#take(4 + FORMAT_BYTES, (bytes) => {
          const format = unpackFormat(bytes.subarray(4));
          if (format === undefined) this.close();
          else this.#writer = new PixelWriter(format);
          this.#sent = undefined;
        });
      case ClientMessage.SetEncodings: {
        const head = this.#reader.peek(4);
        if (head === undefined) return false;
        const count = (head[2] << 8) | head[3];
        return this.#take(4 + 4 * count, (bytes) => this.#setEncodings(bytes.subarray(4), count));
      }
      case ClientMessage.UpdateRequest:
        return this.#take(10, (bytes) => this.#request(bytes));
      case ClientMessage.KeyEvent:
        return this.#take(8, (bytes) => {
          const code = keyOfKeysym(numbers(bytes).getUint32(4));
          if (code !== undefined) this.#key(code, bytes[1] !== 0);
        });
      case ClientMessage.PointerEvent:
        return this.#take(6, (bytes) => {
          const view = numbers(bytes);
          this.#pointer(view.getUint16(2), view.getUint16(4), bytes[1]);
          this.#options.wants('input');
        });
      case ClientMessage.CutText: {
        const head = this.#reader.peek(8);
        if (head === undefined) return false;
        // A negative length is the extended clipboard's, which is not offered.
        const length = Math.abs(numbers(head).getInt32(4));
        if (length > MOST_CUT_TEXT) {
          this.close();
          return false;
        }
        return this.#take(8 + length, () => {});
      }
      case ClientMessage.Qemu:
        return this.#qemu();
      default:
        this.close();
        return false;
    }
  }

  #qemu(): boolean {
    const head = this.#reader.peek(2);
    if (head === undefined) return false;
    if (head[1] !== QemuMessage.ExtendedKeyEvent) {
      this.close();
      return false;
    }
    return this.#take(12, (bytes) => {
      const view = numbers(bytes);
      this.#key(view.getUint32(8), view.getUint16(2) !== 0);
    });
  }

  #key(code: number, down: boolean): void {
    if (code === 0 || code > 0xff) return;
    if (down) this.#held.add(code);
    else this.#held.delete(code);
    this.#options.input.key(code, down);
    this.#options.wants('input');
  }

  #pointer(x: number, y: number, buttons: number): void {
    const { input } = this.#options;
    const moved = this.#absolute !== undefined && Math.min(x, y) > ORIGIN / 2;
    if (moved) input.move(x - ORIGIN, y - ORIGIN, buttons);
    else input.pointer({ x, y, ...this.#known }, buttons);
  }

  #setEncodings(bytes: Uint8Array, count: number): void {
    const view = numbers(bytes);
    this.#encodings = Array.from({ length: count }, (_, i) => view.getInt32(4 * i));
    const level = this.#encodings.find((each) => each >= Encoding.CompressionLevel0 && each < Encoding.CompressionLevel0 + 10); // prettier-ignore
    if (level !== undefined) this.#level = Math.max(level - Encoding.CompressionLevel0, 1);
    this.#told = false;
  }

  #request(bytes: Uint8Array): void {
    const view = numbers(bytes);
    const area = {
      x: view.getUint16(2),
      y: view.getUint16(4),
      width: view.getUint16(6),
      height: view.getUint16(8),
    };
    const incremental = bytes[1] !== 0;
    const { width, height } = this.#options.screen;
    if (!incremental) {
      const lost = intersect(area, { x: 0, y: 0, width, height });
      this.#damage.markRectangle(lost);
      this.#sentPicture()?.forget(lost);
    }
    this.#requested = this.#requested === undefined ? area : union(this.#requested, area);
    this.#options.wants('update');
    this.update();
  }

  #write(bytes: Uint8Array): void {
    this.#options.stream.write(bytes);
  }
}

function numbers(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function rectangleHeader({ x, y, width, height }: Rectangle, encoding: number): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of [x, y, width, height].entries()) view.setUint16(2 * i, value);
  view.setInt32(8, encoding);
  return bytes;
}

/** 7.7.2: where from. */
function copyRectangle(move: Move): Uint8Array {
  const source = new Uint8Array(4);
  numbers(source).setUint16(0, move.x);
  numbers(source).setUint16(2, move.fromY);
  return Buffer.concat([rectangleHeader(move, Encoding.CopyRect), source]);
}

function intersect(a: Rectangle, b: Rectangle): Rectangle {
  const x = Math.max(a.x, b.x);
  const y = Math.max(a.y, b.y);
  const width = Math.max(Math.min(a.x + a.width, b.x + b.width) - x, 0);
  const height = Math.max(Math.min(a.y + a.height, b.y + b.height) - y, 0);
  return { x, y, width, height };
}

function union(a: Rectangle, b: Rectangle): Rectangle {
  const x = Math.min(a.x, b.x);
  const y = Math.min(a.y, b.y);
  return {
    x,
    y,
    width: Math.max(a.x + a.width, b.x + b.width) - x,
    height: Math.max(a.y + a.height, b.y + b.height) - y,
  };
}

/** Cuts a rectangle into such as are encoded in one go. */
function divide(area: Rectangle): Rectangle[] {
  const pieces: Rectangle[] = [];
  for (let x = area.x; x < area.x + area.width; x += TIGHT_MOST_WIDTH) {
    const width = Math.min(TIGHT_MOST_WIDTH, area.x + area.width - x);
    const rows = Math.max(Math.floor(MOST_PIXELS / width), 1);
    for (let y = area.y; y < area.y + area.height; y += rows) {
      pieces.push({ x, y, width, height: Math.min(rows, area.y + area.height - y) });
    }
  }
  return pieces;
}
