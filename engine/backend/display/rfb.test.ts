import { duplexPair } from 'node:stream';
import { afterEach, expect, test, vi } from 'vitest';
import { Random } from '../../base/random.ts';
import { Damage } from '../../device/video/damage.ts';
import { displayAddress } from './display-address.ts';
import { PixelWriter, packFormat, unpackFormat, NATIVE_FORMAT } from './pixel-format.ts';
import { RfbClient, type RfbClientOptions } from './rfb-client.ts';
import { Encoding } from './rfb-protocol.ts';
import { Viewer, type ViewerOptions } from './testing/viewer.ts';
import { vncResponse } from './vnc-password.ts';

/** As the real screen, with accessors that belong to the class. */
class Picture {
  size = { width: 200, height: 120 };
  pixels = new Uint32Array(200 * 120);

  get width(): number {
    return this.size.width;
  }

  get height(): number {
    return this.size.height;
  }
}

const screen = new Picture();
const inputs: string[] = [];
let absolute = true;
const clients: RfbClient[] = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  inputs.length = 0;
  absolute = true;
});

function serve(options: Partial<RfbClientOptions> = {}) {
  const [here, there] = duplexPair();
  const gone = vi.fn<() => void>();
  const client = new RfbClient({
    stream: here,
    name: 'a machine',
    password: undefined,
    screen,
    input: {
      key: (code, down) => void inputs.push(`${down ? 'down' : 'up'} ${code}`),
      pointer: ({ x, y }, buttons) => void inputs.push(`pointer ${x},${y} ${buttons}`),
      move: (dx, dy, buttons) => void inputs.push(`move ${dx},${dy} ${buttons}`),
      get absolute() {
        return absolute;
      },
    },
    local: false,
    wants: () => {},
    gone,
    ...options,
  });
  clients.push(client);
  return { client, there, gone };
}

async function connect(viewer: Partial<ViewerOptions>, options: Partial<RfbClientOptions> = {}) {
  const { client, there, gone } = serve(options);
  return { client, gone, viewer: await Viewer.connect(there, { encodings: [], ...viewer }) };
}

/** Pictures of one colour, of few, of many, and of noise, side by side. */
function paint(seed: number): void {
  const random = new Random(seed);
  for (let i = 0; i < screen.pixels.length; i++) {
    const x = i % screen.width;
    const colors = x < 64 ? 1 : x < 100 ? 2 : x < 130 ? 13 : x < 150 ? 200 : 2 ** 24;
    screen.pixels[i] = Math.imul(random.below(colors), 0x10845f) & 0xff_ffff;
  }
}

test.each([
  ['raw', 0],
  ['hextile', 5],
  ['tight', 7],
  ['ZRLE', 16],
])('%s carries the picture exactly, and then what changes', async (_name, encoding) => {
  paint(1);
  const { client, viewer } = await connect({ encodings: [encoding] });
  expect([viewer.width, viewer.height, viewer.name]).toEqual([200, 120, 'a machine']);
  await viewer.update();
  expect(Buffer.compare(Buffer.from(viewer.pixels.buffer), Buffer.from(screen.pixels.buffer))).toBe(0);

  for (let seed = 2; seed < 5; seed++) {
    paint(seed);
    const damage = new Damage(200, 120);
    damage.markRectangle({ x: 0, y: 0, width: 200, height: 120 });
    viewer.request(true);
    client.changed(damage, false);
    await viewer.next();
    expect(Buffer.compare(Buffer.from(viewer.pixels.buffer), Buffer.from(screen.pixels.buffer))).toBe(0);
  }
  expect(new Set(viewer.seen)).toEqual(new Set([encoding]));
});

test('a local viewer is sent what is hard to compress as it is, and the rest in the encoding of its choice', async () => {
  for (const local of [false, true]) {
    paint(1);
    screen.pixels.fill(0x123456, 0, 60 * screen.width);
    const { client, viewer } = await connect({ encodings: [Encoding.Tight] }, { local });
    const damage = new Damage(200, 120);
    damage.markRectangle({ x: 0, y: 0, width: 200, height: 16 });
    viewer.request(true);
    client.changed(damage, false);
    await viewer.next();
    await viewer.update();
    expect(viewer.seen).toEqual([Encoding.Tight, local ? Encoding.Raw : Encoding.Tight]);
    expect(Buffer.compare(Buffer.from(viewer.pixels.buffer), Buffer.from(screen.pixels.buffer))).toBe(0);
  }
});

test('only what was damaged is sent, and nothing before something is', async () => {
  paint(1);
  const { client, viewer } = await connect({ encodings: [0] });
  await viewer.update();
  viewer.seen.length = 0;
  screen.pixels[50 * 200 + 70] = 0x123456;
  screen.pixels[0] = 0x654321; // nobody has said so
  const damage = new Damage(200, 120);
  damage.mark(70, 70, 50);
  viewer.request(true);
  client.changed(damage, false);
  await viewer.next();
  expect([viewer.pixels[50 * 200 + 70], viewer.pixels[0] === 0x654321]).toEqual([0x123456, false]);
  expect(viewer.seen).toEqual([0]);
});

test('a viewer that understands it is told of another size; one that does not keeps its own', async () => {
  for (const encodings of [[0, Encoding.DesktopSize], [0]]) {
    const now = new Picture();
    const { client, viewer } = await connect({ encodings }, { screen: now });
    await viewer.update();
    viewer.request(true);
    now.size = { width: 320, height: 200 };
    now.pixels = new Uint32Array(320 * 200).fill(0x00ff00);
    client.changed(new Damage(320, 200), true);
    await viewer.next();
    if (encodings.length > 1) await viewer.update();
    expect(viewer.width).toBe(encodings.length > 1 ? 320 : 200);
    expect(viewer.pixels.every((color) => color === 0x00ff00)).toBe(true);
  }
});

test('a picture that becomes smaller while it is sent ends the update in order', async () => {
  const now = {
    width: 1000,
    height: 600,
    pixels: new Uint32Array(1000 * 600).fill(0x123456),
  };
  const encodings = [Encoding.Tight, Encoding.DesktopSize];
  let looks = 0;
  const { client, viewer } = await connect(
    { encodings },
    {
      screen: {
        get width() {
          return now.width;
        },
        get height() {
          return now.height;
        },
        get pixels() {
          if (looks++ === 0) queueMicrotask(shrink);
          return now.pixels;
        },
      },
    },
  );
  function shrink(): void {
    Object.assign(now, { width: 500, height: 100, pixels: new Uint32Array(500 * 100).fill(0x00ff00) });
    client.changed(new Damage(500, 100), true);
  }
  await viewer.update();
  expect(viewer.seen).toEqual([Encoding.Tight, Encoding.Raw, Encoding.Raw]);
  await viewer.update();
  await viewer.update();
  expect([viewer.width, viewer.height]).toEqual([500, 100]);
  expect(viewer.pixels.every((color) => color === 0x00ff00)).toBe(true);
});

test('keys by code and by keysym, the pointer; what is held is let go at the end', async () => {
  const { viewer, gone } = await connect({ encodings: [0, Encoding.QemuExtendedKeyEvent, Encoding.Cursor] });
  await viewer.update();
  expect(viewer.seen).toEqual([Encoding.QemuExtendedKeyEvent, Encoding.Cursor, 0]);
  viewer.key(0xc8, true);
  viewer.key(0xc8, false);
  viewer.keysym(0x41, true);
  viewer.pointer(10, 20, 5);
  viewer.send(Uint8Array.of(6, 0, 0, 0, 0, 0, 0, 3, 65, 66, 67)); // cut text
  viewer.pointer(11, 20, 0);
  await vi.waitFor(() => expect(inputs.length).toBe(5));
  viewer.close();
  await vi.waitFor(() => expect(gone).toHaveBeenCalledOnce());
  expect(inputs).toEqual(['down 200', 'up 200', 'down 30', 'pointer 10,20 5', 'pointer 11,20 0', 'up 30']);
});

test('a viewer that can grab the pointer is told when it has to', async () => {
  absolute = false;
  const { viewer } = await connect({ encodings: [0, Encoding.QemuPointerMotion] });
  await viewer.update();
  expect([viewer.absolute, viewer.seen]).toEqual([false, [Encoding.QemuPointerMotion, 0]]);
  viewer.pointer(0x7fff - 5, 0x7fff + 3, 1);
  // What the viewer did before it knew.
  viewer.pointer(30, 40, 0);
  await vi.waitFor(() => expect(inputs).toEqual(['move -5,3 1', 'pointer 30,40 0']));
  absolute = true;
  await viewer.update(true);
  expect(viewer.absolute).toBe(true);
});

test('a viewer that cannot grab the pointer moves it anywhere', async () => {
  absolute = false;
  const { viewer } = await connect({ encodings: [0] });
  await viewer.update();
  viewer.pointer(0x7fff, 0x7fff, 0);
  await vi.waitFor(() => expect(inputs).toEqual(['pointer 32767,32767 0']));
  expect([viewer.absolute, viewer.seen]).toEqual([undefined, [0]]);
});

test.each([3, 7, 8])('version 3.%i, with and without a password', async (minor) => {
  await connect({ minor });
  await connect({ minor, password: 'sesame' }, { password: 'sesame' });
  await expect(connect({ minor, password: 'wrong' }, { password: 'sesame' })).rejects.toThrow(
    minor === 8 ? 'the password is wrong' : '',
  );
});

test('RFC 6143, 7.2.2: the response is DES by the password with its bits mirrored', () => {
  // DES of zeros by the key 0123456789ABCDEF (FIPS 81 gives D5D44FF720683D0D).
  const password = Buffer.from([0x80, 0xc4, 0xa2, 0xe6, 0x91, 0xd5, 0xb3, 0xf7]).toString('latin1');
  expect(Buffer.from(vncResponse(password, new Uint8Array(16))).toString('hex')).toBe(
    'd5d44ff720683d0d'.repeat(2),
  );
});

test('pixel formats: 16 and 8 bits, big-endian; what makes no pixels is refused', () => {
  const format = { ...NATIVE_FORMAT, bitsPerPixel: 16, depth: 16, bigEndian: true, redMax: 31, greenMax: 63, blueMax: 31, redShift: 11, greenShift: 5 } as const; // prettier-ignore
  const writer = new PixelWriter(unpackFormat(packFormat(format)) ?? NATIVE_FORMAT);
  const bytes = new Uint8Array(3);
  expect([writer.put(bytes, 0, 0xff00ff), ...bytes]).toEqual([2, 0xf8, 0x1f, 0]);
  const swapped = new PixelWriter({ ...NATIVE_FORMAT, redShift: 0, blueShift: 16 });
  expect([swapped.putCompact(bytes, 0, 0x112233), ...bytes]).toEqual([3, 0x11, 0x22, 0x33]);
  const wrong = (at: number, ...values: number[]) => {
    const packed = packFormat(NATIVE_FORMAT);
    packed.set(values, at);
    return unpackFormat(packed);
  };
  expect([wrong(0, 24), wrong(3, 0), wrong(4, 0, 0), wrong(4, 0, 100), wrong(10, 255)]).toEqual(
    Array(5).fill(undefined),
  );
});

test('many pixels are written as one by one', () => {
  const random = new Random(7);
  const colors = Uint32Array.from({ length: 9 }, () => random.below(2 ** 24));
  const formats = [
    {},
    { redShift: 0, blueShift: 16 },
    { redShift: 24, greenShift: 16, blueShift: 8 },
    { bigEndian: true },
    { bitsPerPixel: 16, depth: 16, redMax: 31, greenMax: 63, blueMax: 31, redShift: 11, greenShift: 5 },
    {
      bitsPerPixel: 8,
      depth: 8,
      redMax: 7,
      greenMax: 7,
      blueMax: 3,
      redShift: 0,
      greenShift: 3,
      blueShift: 6,
    },
  ] as const;
  for (const changes of formats) {
    const writer = new PixelWriter({ ...NATIVE_FORMAT, ...changes });
    for (const start of [0, 1, 4]) {
      const [single, together] = [new Uint8Array(41), new Uint8Array(41)];
      let end: number = start;
      for (const color of colors) end = writer.put(single, end, color);
      expect(writer.putAll(together, start, colors)).toBe(end);
      expect(together).toEqual(single);
    }
  }
});

test('addresses: Unix sockets, ports, displays; an open door only to this computer', () => {
  expect(displayAddress('/run/a.sock', false)).toEqual({ kind: 'unix', path: '/run/a.sock' });
  expect(displayAddress('unix:a.sock', false)).toEqual({ kind: 'unix', path: 'a.sock' });
  expect(displayAddress(':3', false)).toEqual({ kind: 'tcp', host: '127.0.0.1', port: 5903 });
  expect(displayAddress('127.0.0.1:0', false)).toEqual({ kind: 'tcp', host: '127.0.0.1', port: 0 });
  expect(displayAddress('[::1]:5901', false)).toEqual({ kind: 'tcp', host: '::1', port: 5901 });
  expect(displayAddress('0.0.0.0:5900', true)).toEqual({ kind: 'tcp', host: '0.0.0.0', port: 5900 });
  expect(() => displayAddress('0.0.0.0:5900', false)).toThrow('open to everybody');
  for (const wrong of ['5900', 'host', 'host:99999', 'a:b:c', '']) {
    expect(() => displayAddress(wrong, false)).toThrow('is no address');
  }
});

test('fuzz: whatever a viewer sends, the machine is left alone and the connection ends or goes on', async () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed);
    const { there, gone } = serve(seed % 3 === 0 ? { password: 'x' } : {});
    there.resume();
    there.on('error', () => {});
    if (seed % 4 !== 0) there.write('RFB 003.008\n\x01\x01');
    for (let i = 0; i < 20; i++) {
      const bytes = new Uint8Array(random.below(40)).map(() => random.next());
      // Most begin with a type that there is.
      if (bytes.length > 0 && !random.oneIn(4)) bytes[0] = random.pick([0, 2, 3, 4, 5, 6, 255]);
      if (there.writable) there.write(bytes);
    }
    await new Promise((resolve) => setImmediate(resolve));
    if (there.writable) there.end();
    await vi.waitFor(() => expect(gone).toHaveBeenCalledOnce());
  }
});
