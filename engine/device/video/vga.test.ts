import { beforeEach, expect, test } from 'vitest';
import { AddressMap } from '../../memory/address-map.ts';
import { Arena } from '../../memory/layout.ts';
import { MmioBus } from '../../memory/mmio-bus.ts';
import { PortBus } from '../../memory/port-bus.ts';
import { deviceConformance, ManualClock } from '../conformance.ts';
import { displayMode } from './display-mode.ts';
import { Screen } from './screen.ts';
import { VgaMemory } from './vga-memory.ts';
import { VGA_PORTS, VgaPorts } from './vga-ports.ts';
import { resetVga, TEXT_WINDOW_BYTES, Vbe, vgaLayout, VIDEO_BYTES } from './vga-state.ts';
import { VBE_PORTS, VbePorts } from './vbe-ports.ts';
import { Vga } from './vga.ts';

deviceConformance(
  'the VGA',
  (arena, world) => {
    const state = arena.place(vgaLayout);
    const bytes = (length: number) => new Uint8Array(arena.buffer, arena.reserve(length, 4096), length);
    const memory = new VgaMemory(state, bytes(0x4_0000), bytes(0x1_0000), (at) =>
      world.log(`dirty ${at >> 12}`),
    );
    const changed = () => world.log('changed');
    return {
      device: { name: 'vga', reset: () => resetVga(state) },
      ports: [
        { device: new VgaPorts(state, world.clock, changed), length: VGA_PORTS },
        { device: new VbePorts(state, changed, () => world.log('clear')), length: VBE_PORTS },
      ],
      mmio: [{ device: memory, length: 0x2_0000 }],
    };
  },
  { bytes: 0x6_0000, persistent: true },
);

const MACHINE = 0x4_0000;
let ports: PortBus;
let mmio: MmioBus;
let map: AddressMap;
let vga: Vga;
let video: Uint8Array<SharedArrayBuffer>;
let dirty: Set<number>;
let screen: Screen;
const clock = new ManualClock();

beforeEach(() => {
  const buffer = new SharedArrayBuffer(MACHINE + VIDEO_BYTES + TEXT_WINDOW_BYTES);
  const arena = new Arena(buffer, 0, MACHINE);
  ports = new PortBus(arena);
  mmio = new MmioBus(arena);
  map = new AddressMap(arena, () => {});
  dirty = new Set();
  video = new Uint8Array(buffer, MACHINE, VIDEO_BYTES + TEXT_WINDOW_BYTES);
  const written = (address: number) => void dirty.add((address - MACHINE) >> 12);
  const parts = {
    ports,
    mmio,
    map,
    clock,
    buffer,
    videoAddress: MACHINE,
    romBytes: 0,
    romAddress: 0,
    written,
  };
  vga = new Vga(arena, parts);
  for (const device of [map, mmio, ports, vga.fn, vga]) device.reset();
  let enabled = false;
  screen = new Screen({
    vga,
    video,
    clock,
    locked: (body) => body(),
    dirt: {
      get enabled() {
        return enabled;
      },
      enable: () => void (enabled = true),
      collect: () => {
        const pages = [...dirty].sort((a, b) => a - b);
        dirty.clear();
        return pages;
      },
    },
  });
});

const out = (port: number, ...bytes: number[]) => {
  for (const byte of bytes) ports.write(port, 1, byte);
};
const seq = (index: number, value: number) => ports.write(0x3c4, 2, index | (value << 8));
const gfx = (index: number, value: number) => ports.write(0x3ce, 2, index | (value << 8));
const crtc = (index: number, value: number) => ports.write(0x3d4, 2, index | (value << 8));
const attr = (index: number, value: number) => (ports.read(0x3da, 1), out(0x3c0, index, value));
const vbe = (index: number, value: number) => (ports.write(0x1ce, 2, index), ports.write(0x1cf, 2, value));

/** A write of the guest, wherever the address map has it go. */
function poke(address: number, ...bytes: number[]): void {
  for (const [i, byte] of bytes.entries()) {
    const at = map.resolve((address + i) >> 12);
    if (at === 0) mmio.write(address + i, 1, BigInt(byte), 0);
    else {
      const offset = at + ((address + i) & 0xfff) - MACHINE;
      video[offset] = byte;
      dirty.add(offset >> 12);
    }
  }
}

function peek(address: number): number {
  const at = map.resolve(address >> 12);
  return at === 0 ? Number(mmio.read(address, 1, 0)) : video[at + (address & 0xfff) - MACHINE];
}

/** Registers of the modes, as any VGA BIOS sets them up. */
function setMode(mode: 3 | 0x12 | 0x13 | 'x'): void {
  out(0x3c2, 0x67);
  const text = mode === 3;
  seq(1, text ? 0 : 1);
  seq(2, text ? 3 : 0x0f);
  seq(3, 0);
  seq(4, text ? 2 : mode === 0x13 ? 0x0e : 6);
  for (const [i, value] of [
    0,
    0,
    0,
    0,
    0,
    text ? 0x10 : mode === 0x12 ? 0 : 0x40,
    text ? 0x0e : 5,
    0x0f,
    0xff,
  ].entries()) {
    gfx(i, value);
  }
  crtc(0x11, 0);
  const high = mode === 0x12;
  const values: Array<[number, number]> = [
    [0x01, 79], [0x07, high ? 0x3e : 0x1f], [0x09, text ? 0x4f : high ? 0x40 : 0x41], [0x0a, 13], [0x0b, 14],
    [0x12, high ? 0xdf : 0x8f], [0x13, 40], [0x17, high || mode === 'x' ? 0xe3 : 0xa3], [0x18, 0xff],
  ]; // prettier-ignore
  for (const [index, value] of values) crtc(index, value);
  for (let i = 0; i < 16; i++) attr(i, i);
  attr(0x10, text ? 0x0c : high ? 0x01 : 0x41);
  attr(0x12, 0x0f);
  attr(0x13, 0);
  ports.read(0x3da, 1);
  out(0x3c0, 0x20);
  out(0x3c8, 0);
  for (let i = 0; i < 256; i++) out(0x3c9, i & 63, (i >> 1) & 63, (i >> 2) & 63);
}

/** The colour that the palette of {@link setMode} has for an index. */
const color = (i: number) =>
  [i & 63, (i >> 1) & 63, (i >> 2) & 63].reduce((sum, six) => sum * 256 + ((six << 2) | (six >> 4)), 0);

test('the address of CRTC and status follows the miscellaneous output register', () => {
  out(0x3c2, 0x66);
  ports.write(0x3b4, 2, 0x550c);
  expect([ports.read(0x3b5, 1), ports.read(0x3d5, 1)]).toEqual([0x55, 0xff]);
  out(0x3c2, 0x67);
  expect([ports.read(0x3d4, 2), ports.read(0x3b5, 1), ports.read(0x3cc, 1)]).toEqual([0x550c, 0xff, 0x67]);
});

test('CRTC 0 to 7 can be protected, all but the line compare bit', () => {
  out(0x3c2, 0x67);
  crtc(1, 79);
  crtc(0x11, 0x80);
  crtc(1, 5);
  crtc(7, 0xff);
  crtc(0x0c, 7);
  const read = (index: number) => (out(0x3d4, index), ports.read(0x3d5, 1));
  expect([read(1), read(7), read(0x0c)]).toEqual([79, 0x10, 7]);
});

test('the attribute controller takes index and data in turn, reset by a read of the status', () => {
  out(0x3c2, 0x67);
  attr(0x11, 0x2a);
  ports.read(0x3da, 1);
  out(0x3c0, 0x11);
  expect([ports.read(0x3c0, 1), ports.read(0x3c1, 1)]).toEqual([0x11, 0x2a]);
  out(0x3c0, 0x15, 0x20);
  out(0x3c0, 5);
  expect(ports.read(0x3c1, 1)).toBe(0x00);
});

test('the palette is written and read in threes, with six bits, or eight where VBE is told so', () => {
  out(0x3c8, 7);
  out(0x3c9, 0xff, 1, 2, 3, 4, 5);
  out(0x3c7, 7);
  expect(ports.read(0x3c7, 1)).toBe(3);
  expect(Array.from({ length: 6 }, () => ports.read(0x3c9, 1))).toEqual([63, 1, 2, 3, 4, 5]);
  vbe(Vbe.Width, 640);
  vbe(Vbe.Height, 480);
  vbe(Vbe.Enable, 0x21);
  out(0x3c8, 7);
  out(0x3c9, 0xff, 1, 2);
  out(0x3c7, 7);
  expect(ports.read(0x3c9, 1)).toBe(255);
});

test('the retrace bits come and go with time', () => {
  out(0x3c2, 0x67);
  const seen = new Set<number>();
  for (let i = 0; i < 1000; i++) {
    clock.time += 1e9 / 60 / 1000;
    seen.add(ports.read(0x3da, 1) & 9);
  }
  expect(seen).toEqual(new Set([0, 1, 9]));
});

test('write mode 0: rotation, set/reset, logic with the latches, bit mask, map mask', () => {
  setMode(0x12);
  poke(0xa0000, 0xf0);
  expect([...video.subarray(0, 4)]).toEqual([0xf0, 0xf0, 0xf0, 0xf0]);
  seq(2, 0b0101);
  gfx(3, 4);
  poke(0xa0000, 0x1e);
  expect([...video.subarray(0, 4)]).toEqual([0xe1, 0xf0, 0xe1, 0xf0]);
  gfx(3, 0);
  seq(2, 0x0f);
  gfx(0, 0b0010);
  gfx(1, 0b0011);
  poke(0xa0001, 0x55);
  expect([...video.subarray(4, 8)]).toEqual([0x00, 0xff, 0x55, 0x55]);
  gfx(1, 0);
  gfx(8, 0x0f);
  peek(0xa0001);
  gfx(3, 0x18); // exclusive or
  poke(0xa0001, 0xff);
  expect([...video.subarray(4, 8)]).toEqual([0x0f, 0xf0, 0x5a, 0x5a]);
  gfx(3, 0x08); // and
  poke(0xa0001, 0x00);
  expect([...video.subarray(4, 8)]).toEqual([0x00, 0xf0, 0x50, 0x50]);
});

test('write modes 1 to 3, read modes 0 and 1', () => {
  setMode(0x12);
  video.set([1, 2, 3, 4]);
  peek(0xa0000);
  gfx(5, 1);
  poke(0xa0002, 0xaa);
  expect([...video.subarray(8, 12)]).toEqual([1, 2, 3, 4]);
  gfx(5, 2);
  gfx(8, 0xf0);
  poke(0xa0000, 0b1010);
  expect([...video.subarray(0, 4)]).toEqual([0x01, 0xf2, 0x03, 0xf4]);
  gfx(5, 3);
  gfx(8, 0xff);
  gfx(0, 0b0001);
  peek(0xa0000);
  poke(0xa0000, 0x80);
  expect([...video.subarray(0, 4)]).toEqual([0x81, 0x72, 0x03, 0x74]);
  gfx(5, 0);
  gfx(4, 2);
  expect(peek(0xa0000)).toBe(0x03);
  gfx(5, 8);
  gfx(2, 0b0011);
  gfx(7, 0b0011);
  video.set([0xf0, 0xcc, 0, 0]);
  expect(peek(0xa0000)).toBe(0xc0);
});

test('mode 13h is plain memory at A0000; Mode X has four pixels at an address', () => {
  setMode(0x13);
  expect(map.resolve(0xa0)).toBe(MACHINE);
  poke(0xa0000 + 320 * 7 + 5, 0x21);
  screen.update();
  expect([screen.width, screen.height]).toEqual([320, 200]);
  expect(screen.pixels[320 * 7 + 5]).toBe(color(0x21));
  setMode('x');
  expect(map.resolve(0xa0)).toBe(0);
  seq(2, 0b0010);
  poke(0xa0000 + 80 * 3 + 2, 0x33);
  screen.update();
  expect(screen.pixels[320 * 3 + 9]).toBe(color(0x33));
  expect(screen.pixels[320 * 3 + 8]).toBe(color(0));
});

test('mode 12h: 640 × 480 in sixteen colours through the palette; panning, start address and line compare', () => {
  setMode(0x12);
  poke(0xa0000 + 80 * 100, 0x80);
  seq(2, 0b0100);
  poke(0xa0000 + 80 * 100, 0x40);
  screen.update();
  expect(screen.mode).toMatchObject({ kind: 'planar', width: 640, height: 480 });
  expect([...screen.pixels.subarray(64000, 64003)]).toEqual([color(11), color(4), color(0)]);
  crtc(0x0d, 80);
  attr(0x13, 1);
  ports.read(0x3da, 1);
  out(0x3c0, 0x20);
  screen.update();
  expect(screen.pixels[99 * 640]).toBe(color(4));
  crtc(0x18, 200);
  crtc(0x07, 0x2e);
  crtc(0x09, 0);
  screen.update();
  expect(screen.pixels[301 * 640]).toBe(color(11));
});

test('text: plain memory at B8000, drawn with the font of plane 2, cursor and blinking by the clock', () => {
  clock.time = 0;
  setMode(3);
  const direct = map.resolve(0xb8);
  expect(direct).toBe(MACHINE + VIDEO_BYTES);
  poke(0xb8000, 0x41, 0x1e, 0x42, 0x9c);
  // The font, as BIOSes load it: plane 2 at A0000.
  seq(2, 4);
  seq(4, 7);
  gfx(5, 0);
  gfx(6, 0);
  expect(map.resolve(0xb8)).toBe(0);
  poke(0xa0000 + 0x41 * 32, 0x81, 0xff);
  seq(2, 3);
  seq(4, 3);
  gfx(5, 0x10);
  gfx(6, 0x0e);
  expect([map.resolve(0xb8), peek(0xb8000), peek(0xb8003)]).toEqual([direct, 0x41, 0x9c]);
  crtc(0x0e, 0);
  crtc(0x0f, 1);
  const first = screen.update();
  expect([screen.width, screen.height, first.resized]).toEqual([720, 400, true]);
  expect(screen.text()?.[0]).toBe('AB');
  const [back, fore] = [color(1), color(14)];
  expect([...screen.pixels.subarray(0, 9)]).toEqual([fore, back, back, back, back, back, back, fore, back]);
  expect(screen.pixels[720]).toBe(fore);
  // The cursor on B, lines 13 and 14, in its foreground.
  expect([screen.pixels[720 * 12 + 9], screen.pixels[720 * 13 + 9]]).toEqual([color(1), color(12)]);
  expect(screen.update().damage.any).toBe(false);
  clock.time = 0.25e9;
  expect(screen.update().damage.any).toBe(true);
  expect(screen.pixels[720 * 13 + 9]).toBe(color(1));
  poke(0xb8000 + 160 * 24, 0x5a, 0x07);
  const { damage } = screen.update();
  expect(damage.take({ x: 0, y: 0, width: 720, height: 400 })).toEqual([
    { x: 0, y: 384, width: 64, height: 16 },
  ]);
  expect(screen.text()?.[24]).toBe('Z');
});

test('VBE: what can be had is told, modes beyond the memory are not taken, the bank is at A0000', () => {
  vbe(Vbe.Enable, 2);
  const read = (index: number) => (ports.write(0x1ce, 2, index), ports.read(0x1cf, 2));
  expect([read(0), read(1), read(2), read(3), read(10)]).toEqual([0xb0c5, 2560, 1600, 32, 256]);
  vbe(Vbe.Enable, 0);
  vbe(Vbe.Width, 2560);
  vbe(Vbe.Height, 1600);
  vbe(Vbe.Depth, 32);
  vbe(Vbe.Width, 4000);
  vbe(Vbe.Depth, 31);
  video.fill(0x77);
  vbe(Vbe.Enable, 0x41);
  expect([read(Vbe.Width), read(Vbe.Depth), read(Vbe.Enable), video[100]]).toEqual([2560, 32, 0x41, 0]);
  expect([read(Vbe.VirtualWidth), read(Vbe.VirtualHeight)]).toEqual([2560, 1638]);
  vbe(Vbe.Bank, 2);
  out(0x3c2, 0x67);
  expect(map.resolve(0xa0)).toBe(MACHINE + 0x2_0000);
  vbe(Vbe.Enable, 0);
  vbe(Vbe.Width, 0);
  vbe(Vbe.Enable, 1);
  expect(read(Vbe.Enable)).toBe(0);
});

test('VBE pixels of every depth; only lines of written pages are looked at, only tiles that differ are told', () => {
  const pixel = (depth: number, ...bytes: number[]) => {
    vbe(Vbe.Enable, 0);
    vbe(Vbe.Width, 800);
    vbe(Vbe.Height, 600);
    vbe(Vbe.Depth, depth);
    vbe(Vbe.Enable, 0x41);
    screen.update();
    video.set(bytes, (800 * 300 + 400) * Math.ceil(depth / 8));
    dirty.add(((800 * 300 + 400) * Math.ceil(depth / 8)) >> 12);
    const { damage } = screen.update();
    expect(damage.take({ x: 0, y: 0, width: 800, height: 600 })).toEqual([
      { x: 384, y: 288, width: 64, height: 16 },
    ]);
    return screen.pixels[800 * 300 + 400];
  };
  out(0x3c8, 9);
  out(0x3c9, 63, 0, 32);
  expect(pixel(8, 9)).toBe(0xff0082);
  expect(pixel(15, 0x1f, 0x7c)).toBe(0xff00ff);
  expect(pixel(16, 0xe0, 0x07)).toBe(0x00ff00);
  expect(pixel(24, 3, 2, 1)).toBe(0x010203);
  expect(pixel(32, 3, 2, 1, 0xff)).toBe(0x010203);
});

test('VBE scrolling beyond the memory shows what there is', () => {
  vbe(Vbe.Width, 1024);
  vbe(Vbe.Height, 768);
  vbe(Vbe.Depth, 32);
  vbe(Vbe.Enable, 0x41);
  vbe(Vbe.OffsetY, 0xffff);
  vbe(Vbe.OffsetX, 0xffff);
  const mode = displayMode(vga.state);
  expect(mode).toMatchObject({ kind: 'linear', start: VIDEO_BYTES - 1024 * 768 * 4 });
  expect(() => screen.update()).not.toThrow();
});

test('a display that is off or has no mode is blank, says so after a second, and keeps its size', () => {
  /** The lit pixels, each as a character. */
  const lit = () => {
    const { width } = screen;
    const lines = Array.from({ length: screen.height }, (_, y) =>
      screen.pixels.subarray(y * width, (y + 1) * width),
    );
    return lines.map((line) =>
      Array.from(line, (pixel) => (pixel === 0 ? ' ' : '#'))
        .join('')
        .trimEnd(),
    );
  };
  clock.time = 5e9;
  screen.update();
  expect([screen.signal, screen.text()]).toEqual([false, undefined]);
  setMode(3);
  screen.update();
  expect(screen.signal).toBe(true);
  const size = [screen.width, screen.height];
  seq(1, 0x20);
  // Modes are set with the display off, which is not to be told.
  expect(screen.update()).toMatchObject({ resized: false });
  expect([screen.signal, screen.width, screen.height]).toEqual([false, ...size]);
  clock.time += 0.9e9;
  screen.update();
  expect(lit().join('')).toBe('');
  clock.time += 0.2e9;
  expect(screen.update().damage.any).toBe(true);
  const said = lit().filter((line) => line !== '');
  expect(said[0]!.trim()).toMatch(/^#{3} +#{3}/); // the uprights of an N
  expect(said).toHaveLength(8 * 3);
  expect(screen.update().damage.any).toBe(false);
  seq(1, 0);
  screen.update();
  expect(screen.signal).toBe(true);
  seq(1, 0x20);
  screen.update();
  expect(lit().join('')).toBe('');
});

test('BAR 2 has the ports and the VBE registers', () => {
  vga.fn.configWrite(0x18, 4, 0xfeb0_0000);
  vga.fn.configWrite(0x10, 4, 0xfd00_0000);
  vga.fn.configWrite(4, 2, 3);
  expect(map.resolve(0xfd000)).toBe(MACHINE);
  mmio.write(0xfeb0_0402, 1, 0x67n, 0);
  expect(ports.read(0x3cc, 1)).toBe(0x67);
  mmio.write(0xfeb0_0502, 2, 1280n, 0);
  expect([mmio.read(0xfeb0_0502, 2, 0), mmio.read(0xfeb0_0500, 2, 0)]).toEqual([1280n, 0xb0c5n]);
  expect([mmio.read(0xfeb0_0600, 4, 0), mmio.read(0xfeb0_0604, 4, 0)]).toEqual([8n, 0x1e1e_1e1en]);
});

test('fuzz: no contents of the registers and the memory makes the screen fail', () => {
  let seed = 7;
  const random = (below: number) => ((seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) >>> 8) % below;
  for (let round = 0; round < 150; round++) {
    setMode(([3, 0x12, 0x13, 'x'] as const)[random(4)]);
    for (let i = 0; i < 12; i++) {
      ports.write(0x3c0 + random(32), random(2) === 0 ? 1 : 2, random(65536));
      if (random(3) === 0) vbe(random(12), random(4) === 0 ? random(65536) : random(1024));
      poke(0xa0000 + random(0x20000), random(256));
    }
    expect(screen.pixels.length).toBe(screen.width * screen.height);
    screen.update();
    screen.text();
    vbe(Vbe.Enable, 0);
  }
});
