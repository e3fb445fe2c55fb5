import { expect, test } from 'vitest';
import { parseMachineConfig, tabletOf } from '../../engine/api/config.ts';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { parseRunOptions } from './run-options.ts';

test('what is given ends up in the configuration', () => {
  const { config, stats, sample } = parseRunOptions([
    '--kernel=k',
    '--initrd',
    'i',
    '--append',
    'console=ttyS0 --flag',
    '--memory',
    '128',
    '--module',
    'a',
    '--module',
    'b',
    '--serial',
    'file:/tmp/log',
    '--debug-exit',
    '--stats',
  ]);
  expect(stats).toBe(true);
  expect(sample).toBe(false);
  expect(parseMachineConfig(config)).toMatchObject({
    kernel: 'k',
    initrd: 'i',
    append: 'console=ttyS0 --flag',
    memory: 128,
    modules: ['a', 'b'],
    serial: [{ kind: 'file', path: '/tmp/log' }],
    debugExit: true,
  });
});

test('without anything to boot the firmware looks for it, in the order given', () => {
  expect(parseRunOptions([]).config).toMatchObject({
    kernel: undefined,
    firmware: undefined,
    boot: undefined,
  });
  const { config } = parseRunOptions(['--boot', 'cdrom,disk,menu=on']);
  expect(parseMachineConfig(config).boot).toEqual({ order: ['cdrom', 'disk'], menu: true });
  expect(parseMachineConfig(parseRunOptions(['--boot=menu=on']).config).boot).toEqual({
    order: ['disk', 'cdrom'],
    menu: true,
  });
});

test('the display is served where it is wanted', () => {
  expect(parseRunOptions([]).config.display).toEqual({ kind: 'none' });
  expect(parseRunOptions(['--display', 'vnc=:1,password=p']).config.display).toEqual({
    kind: 'vnc',
    address: ':1',
    passwordFile: 'p',
  });
});

test('the tablet is on USB, or on virtio with a kernel, unless it is said', () => {
  const tablet = (...words: string[]) => {
    const { tablet, kernel } = parseMachineConfig(parseRunOptions(words).config);
    return tabletOf(tablet, kernel !== undefined);
  };
  expect(tablet()).toBe('usb');
  expect(tablet('--kernel', 'k')).toBe('virtio');
  expect(tablet('--kernel', 'k', '--tablet', 'usb')).toBe('usb');
  expect(tablet('--tablet=none')).toBe('none');
});

test('the first serial port is the terminal', () => {
  expect(parseRunOptions(['--sample']).config.serial).toEqual([{ kind: 'stdio' }]);
});

test.each([
  [['--append', 'x'], '--append needs --kernel'],
  [['--boot', 'tape'], '--boot must be disk, cdrom or network, in the order wanted'],
  [['--boot', 'disk,disk'], '--boot must be'],
  [['--boot', 'menu=maybe'], '--boot must be'],
  [['--display', 'sdl'], '--display must be none or vnc=ADDRESS'],
  [['--display', 'vnc='], '--display must be'],
  [['--tablet', 'ps2'], "--tablet must be usb, virtio or none, not 'ps2'"],
  [['--kernel', 'k', '--firmware', 'f'], '--kernel and --firmware exclude each other'],
  [['--sample', '--kernel', 'k'], '--kernel and --sample exclude each other'],
  [['--kernel', 'k', '--kernel', 'l'], '--kernel is given 2 times'],
  [['--firmware', 'f', '--initrd', 'i'], '--initrd needs --kernel'],
  [['--kernel', 'k', '--memory', '0'], '--memory must be a whole number from 1 to 3584'],
  [['--kernel', 'k', '--memory', '12.5'], "not '12.5'"],
  [['--kernel', 'k', '--memory', '1e3'], "not '1e3'"],
  [['--kernel', 'k', '--memory=-5'], "not '-5'"],
  [['--kernel', 'k', '--vcpus', '65'], '--vcpus must be'],
  [['--kernel', 'k', '--vcpus', '4,sockets=3'], '--vcpus: 3 sockets of 1 core'],
  [['--kernel', 'k', '--accel', 'kqemu'], '--accel must be auto, kvm or wasm'],
  [['--kernel', 'k', '--serial', 'tape'], '--serial must be stdio, null or file:PATH'],
  [['--kernel', 'k', '--serial', 'file:'], '--serial must be'],
  [['--kernel', ''], '--kernel needs a value'],
  [['--kernel'], '--kernel'],
  [['--kernel', 'k', '--stats=yes'], '--stats'],
  [['--kernel', 'k', '--accel', 'wasm', '--dump-code', '4096'], "an address such as 0x1000, not '4096'"],
  [['--kernel', 'k', '--dump-code', '0x1000'], '--dump-code needs --accel wasm'],
  [['--kernel', 'k', '--colour'], '--colour'],
  [['--kernel', 'k', 'extra'], "unexpected argument 'extra'"],
])('%j is refused in one line', (words, expected) => {
  let caught: unknown;
  try {
    parseRunOptions(words);
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(GuesthouseError);
  if (!(caught instanceof GuesthouseError)) return;
  expect(caught.code).toBe('usage');
  expect(caught.line).toContain(expected);
  expect(caught.line).not.toContain('\n');
});
