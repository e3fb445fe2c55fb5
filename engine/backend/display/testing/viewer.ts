/** A viewer for tests: speaks RFB, and keeps the picture that it is sent. */
import type { Duplex } from 'node:stream';
import { constants, createInflate, type Inflate } from 'node:zlib';
import type { Rectangle } from '../../../device/video/damage.ts';
import { ByteReader } from '../byte-reader.ts';
import { vncResponse } from '../vnc-password.ts';

/** Bytes of a pixel in the server's own format; this viewer asks for no other. */
const PIXEL = 4;

export interface ViewerOptions {
  readonly encodings: readonly number[];
  readonly password?: string;
  /** 3, 7 or 8. */
  readonly minor?: number;
}

export class Viewer {
  readonly #stream: Duplex;
  readonly #reader = new ByteReader();
  readonly #inflates = new Map<number, Inflate>();
  #wake: () => void = () => {};
  #ended = false;
  width = 0;
  height = 0;
  name = '';
  pixels = new Uint32Array();
  /** Whether the server has said that the pointer needs no grabbing. */
  absolute: boolean | undefined;
  /** Encodings of the rectangles that came. */
  readonly seen: number[] = [];
  /** Where they were. */
  readonly areas: Rectangle[] = [];

  private constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('data', (bytes: Buffer) => {
      this.#reader.push(bytes);
      this.#wake();
    });
    const ended = () => {
      this.#ended = true;
      this.#wake();
    };
    stream.on('close', ended).on('end', ended).on('error', ended);
  }

  /** Does the handshake.
   * @throws Error with the server's reason where it refuses */
  static async connect(stream: Duplex, options: ViewerOptions): Promise<Viewer> {
    const viewer = new Viewer(stream);
    await viewer.#handshake(options);
    viewer.#write([
      2,
      0,
      options.encodings.length >> 8,
      options.encodings.length & 0xff,
      ...options.encodings.flatMap(be32),
    ]);
    return viewer;
  }

  /** Asks for an update and takes it. */
  async update(incremental = false): Promise<void> {
    this.request(incremental);
    await this.next();
  }

  request(incremental: boolean): void {
    this.#write([3, incremental ? 1 : 0, 0, 0, 0, 0, ...be16(this.width), ...be16(this.height)]);
  }

  /** Takes the next update. */
  async next(): Promise<void> {
    const head = await this.#read(4);
    if (head[0] !== 0) throw new Error(`a message of type ${head[0]}`);
    for (let left = (head[2] << 8) | head[3]; left > 0; left--) await this.#rectangle();
  }

  key(code: number, down: boolean): void {
    this.#write([255, 0, 0, down ? 1 : 0, 0, 0, 0, 0, ...be32(code)]);
  }

  keysym(keysym: number, down: boolean): void {
    this.#write([4, down ? 1 : 0, 0, 0, ...be32(keysym)]);
  }

  pointer(x: number, y: number, buttons: number): void {
    this.#write([5, buttons, ...be16(x), ...be16(y)]);
  }

  send(bytes: Uint8Array): void {
    this.#write(bytes);
  }

  close(): void {
    this.#stream.end();
  }

  async #handshake({ password, minor = 8 }: ViewerOptions): Promise<void> {
    await this.#read(12);
    this.#write(Buffer.from(`RFB 003.00${minor}\n`));
    let security: number;
    if (minor >= 7) {
      const [count] = await this.#read(1);
      [security] = await this.#read(count);
      this.#write([security]);
    } else {
      security = (await this.#read(4))[3];
    }
    if (security === 2) this.#write(vncResponse(password ?? '', await this.#read(16)));
    if (security === 2 || minor === 8) {
      const result = await this.#read(4);
      if (result[3] !== 0) {
        const reason = minor === 8 ? await this.#read((await this.#read(4))[3]) : new Uint8Array();
        throw new Error(Buffer.from(reason).toString());
      }
    }
    this.#write([1]);
    const init = await this.#read(24);
    const view = new DataView(init.buffer, init.byteOffset);
    this.#resize(view.getUint16(0), view.getUint16(2));
    this.name = Buffer.from(await this.#read(view.getUint32(20))).toString();
  }

  #resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
    this.pixels = new Uint32Array(width * height);
  }

  async #rectangle(): Promise<void> {
    const head = await this.#read(12);
    const view = new DataView(head.buffer, head.byteOffset);
    const [x, y, width, height] = [0, 2, 4, 6].map((at) => view.getUint16(at));
    const encoding = view.getInt32(8);
    this.seen.push(encoding);
    this.areas.push({ x, y, width, height });
    const put = (dx: number, dy: number, color: number) => {
      this.pixels[(y + dy) * this.width + x + dx] = color;
    };
    switch (encoding) {
      case 0: {
        const data = await this.#read(width * height * PIXEL);
        const words = new Uint32Array(data.buffer, data.byteOffset, width * height);
        this.#lines({ x, y, width, height }, (line, row) => {
          for (let i = 0; i < width; i++) line[i] = words[row * width + i] & 0xff_ffff;
        });
        return;
      }
      case 1: {
        const from = await this.#read(4);
        const [fromX, fromY] = [(from[0] << 8) | from[1], (from[2] << 8) | from[3]];
        const before = this.pixels.slice();
        this.#lines({ x, y, width, height }, (line, row) => {
          const at = (fromY + row) * this.width + fromX;
          line.set(before.subarray(at, at + width));
        });
        return;
      }
      case 5:
        return this.#hextile(width, height, put);
      case 7:
        return this.#tight({ x, y, width, height });
      case 16:
        return this.#zrle(width, height, put);
      case -223:
        this.#resize(width, height);
        return;
      case -257:
        this.absolute = x === 1;
        return;
      case -239:
      case -258:
        return;
      default:
        throw new Error(`encoding ${encoding}`);
    }
  }

  async #hextile(width: number, height: number, put: Put): Promise<void> {
    let [background, foreground] = [0, 0];
    for (let y = 0; y < height; y += 16) {
      for (let x = 0; x < width; x += 16) {
        const [w, h] = [Math.min(16, width - x), Math.min(16, height - y)];
        const [mask] = await this.#read(1);
        if ((mask & 1) !== 0) {
          const data = await this.#read(w * h * PIXEL);
          for (let i = 0; i < w * h; i++) put(x + (i % w), y + Math.floor(i / w), pixel(data, 4 * i));
          continue;
        }
        if ((mask & 2) !== 0) background = pixel(await this.#read(4), 0);
        if ((mask & 4) !== 0) foreground = pixel(await this.#read(4), 0);
        for (let i = 0; i < w * h; i++) put(x + (i % w), y + Math.floor(i / w), background);
        const count = (mask & 8) === 0 ? 0 : (await this.#read(1))[0];
        const runs = await this.#read(2 * count);
        for (let run = 0; run < count; run++) {
          const [at, size] = [runs[2 * run], runs[2 * run + 1]];
          for (let dy = 0; dy <= (size & 15); dy++) {
            for (let dx = 0; dx <= size >> 4; dx++) put(x + (at >> 4) + dx, y + (at & 15) + dy, foreground);
          }
        }
      }
    }
  }

  async #tight(area: Rectangle): Promise<void> {
    const { width, height } = area;
    const [control] = await this.#read(1);
    if (control === 0x80) {
      const [fill] = colorsOf(await this.#read(3));
      this.#lines(area, (line) => line.fill(fill));
      return;
    }
    const stream = (control >> 4) & 3;
    if ((control & 0x40) === 0) {
      const colors = colorsOf(await this.#compact(stream, 3 * width * height));
      this.#lines(area, (line, y) => line.set(colors.subarray(y * width, (y + 1) * width)));
      return;
    }
    const [filter, last] = await this.#read(2);
    if (filter !== 1) throw new Error(`filter ${filter}`);
    const palette = colorsOf(await this.#read(3 * (last + 1)));
    const pitch = last === 1 ? Math.ceil(width / 8) : width;
    const data = await this.#compact(stream, pitch * height);
    this.#lines(area, (line, y) => {
      const from = y * pitch;
      for (let x = 0; x < width; x++) {
        line[x] = palette[last === 1 ? (data[from + (x >> 3)] >> (7 - (x & 7))) & 1 : data[from + x]];
      }
    });
  }

  /** Has the pixels of each line of an area filled in. */
  #lines({ x, y, width, height }: Rectangle, body: (line: Uint32Array, y: number) => void): void {
    for (let line = 0; line < height; line++) {
      const at = (y + line) * this.width + x;
      body(this.pixels.subarray(at, at + width), line);
    }
  }

  async #compact(stream: number, bytes: number): Promise<Uint8Array> {
    if (bytes < 12) return this.#read(bytes);
    let length = 0;
    for (let shift = 0; shift < 22; shift += 7) {
      const [part] = await this.#read(1);
      length |= (shift === 14 ? part : part & 0x7f) << shift;
      if ((part & 0x80) === 0) break;
    }
    return this.#inflate(stream, await this.#read(length));
  }

  async #zrle(width: number, height: number, put: Put): Promise<void> {
    const length = await this.#read(4);
    const data = await this.#inflate(
      4,
      await this.#read(new DataView(length.buffer, length.byteOffset).getUint32(0)),
    );
    let at = 0;
    const color = () => {
      at += 3;
      return data[at - 3] | (data[at - 2] << 8) | (data[at - 1] << 16);
    };
    for (let y = 0; y < height; y += 64) {
      for (let x = 0; x < width; x += 64) {
        const [w, h] = [Math.min(64, width - x), Math.min(64, height - y)];
        const kind = data[at++];
        if (kind > 16) throw new Error(`a tile of kind ${kind}`);
        const palette = Array.from({ length: kind }, color);
        const bits = kind <= 2 ? 1 : kind <= 4 ? 2 : 4;
        const pitch = Math.ceil((w * bits) / 8);
        for (let i = 0; i < w * h; i++) {
          const [dx, dy] = [i % w, Math.floor(i / w)];
          const index = kind < 2 ? 0 : (data[at + dy * pitch + ((dx * bits) >> 3)] >> (8 - bits - ((dx * bits) & 7))) & ((1 << bits) - 1); // prettier-ignore
          put(x + dx, y + dy, kind === 0 ? color() : palette[index]);
        }
        if (kind > 1) at += pitch * h;
      }
    }
    if (at !== data.length) throw new Error(`${data.length - at} bytes too many`);
  }

  async #inflate(stream: number, data: Uint8Array): Promise<Uint8Array> {
    const inflate = this.#inflates.get(stream) ?? createInflate({ finishFlush: constants.Z_SYNC_FLUSH });
    this.#inflates.set(stream, inflate);
    const chunks: Buffer[] = [];
    const take = (chunk: Buffer) => void chunks.push(chunk);
    inflate.on('data', take);
    await new Promise<void>((resolve, reject) => {
      inflate.once('error', reject);
      inflate.write(data, () =>
        inflate.flush(() => {
          inflate.off('error', reject);
          resolve();
        }),
      );
    });
    inflate.off('data', take);
    return Buffer.concat(chunks);
  }

  async #read(count: number): Promise<Uint8Array> {
    for (;;) {
      const bytes = this.#reader.peek(count);
      if (bytes !== undefined) {
        const taken = bytes.slice();
        this.#reader.drop(count);
        return taken;
      }
      if (this.#ended) throw new Error('the connection has ended');
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #write(bytes: Uint8Array | readonly number[]): void {
    this.#stream.write(Uint8Array.from(bytes));
  }
}

/** Colours of three bytes each, red first. */
function colorsOf(data: Uint8Array): Uint32Array {
  const colors = new Uint32Array(data.length / 3);
  for (let i = 0; i < colors.length; i++) {
    colors[i] = (data[3 * i] << 16) | (data[3 * i + 1] << 8) | data[3 * i + 2];
  }
  return colors;
}

type Put = (dx: number, dy: number, color: number) => void;

const be16 = (value: number) => [(value >> 8) & 0xff, value & 0xff];
const be32 = (value: number) => [...be16(value >>> 16), ...be16(value & 0xffff)];
const pixel = (data: Uint8Array, at: number) => data[at] | (data[at + 1] << 8) | (data[at + 2] << 16);
