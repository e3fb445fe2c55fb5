import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Random } from '../../engine/base/random.ts';
import { identifyMedium } from './os-catalogue.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-iso-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let made = 0;

/** Makes an image, as xorriso does. */
function iso(label: string, files: Readonly<Record<string, string>> = {}, ...options: string[]): string {
  const content = path.join(folder, `content-${++made}`);
  const image = path.join(folder, `${made}.iso`);
  mkdirSync(content);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(content, name)), { recursive: true });
    writeFileSync(path.join(content, name), text);
  }
  execFileSync('xorriso', ['-as', 'mkisofs', '-quiet', '-V', label, ...options, '-o', image, content], {
    stdio: 'ignore',
  });
  return image;
}

test.each([
  ['Debian 12.5.0 amd64 n', 'Debian GNU/Linux 12', 'debian12'],
  ['Ubuntu-Server 22.04.1 LTS amd64', 'Ubuntu 22.04.1', 'ubuntu22.04.1'],
  ['Fedora-E-dvd-x86_64-40', 'Fedora 40', 'fedora40'],
  ['Fedora-WS-Live-40-1-14', 'Fedora 40', 'fedora40'],
  ['openSUSE-Leap-15.5-DVD-x86_64', 'openSUSE Leap-15.5', 'opensuseleap-15.5'],
  ['alpine-std 3.19.1 x86_64', 'Alpine Linux 3.19', 'alpine3.19'],
  ['14_0_RELEASE_AMD64_CD', 'FreeBSD 14.0', 'freebsd14'],
  ['CCCOMA_X64FRE_EN-US_DV9', 'Windows', 'windows'],
  ['GSP1RMCULXFRER_EN_DVD', 'Windows 7', 'windows7'],
  ['MT86PLUS_64', 'Memtest86+', 'memtest'],
])('%s is %s', (label, name, id) => {
  expect(identifyMedium(iso(label))).toMatchObject({ label, system: { name, id } });
});

test('a file says more than a label, with or without names as their authors wrote them', () => {
  const files = { '.disk/info': 'Debian GNU/Linux 13.1.0 "Trixie" - Official amd64 NETINST\n' };
  const found = { system: { name: 'Debian GNU/Linux 13', id: 'debian13', bus: 'virtio' } };
  expect(identifyMedium(iso('CUSTOM', files, '-R'))).toMatchObject(found);
  expect(identifyMedium(iso('CUSTOM', files, '-R', '-J'))).toMatchObject(found);
  const plain = iso('CUSTOM', { 'boot/grub/i386-pc/boot_image.img': 'x' }, '-iso-level', '3');
  expect(identifyMedium(plain)).toMatchObject({ system: { id: 'grub' } });
});

test('what has no driver for the usual tablet is given what serves it', () => {
  expect(identifyMedium(iso('CCCOMA_X64FRE_EN-US_DV9'))).toMatchObject({ system: { tablet: null } });
  expect(identifyMedium(iso('GRMCPRXFRER_EN_DVD'))).toMatchObject({ system: { tablet: 'none' } });
});

test('what is not known is said by its label, and what is no image by nothing', () => {
  expect(identifyMedium(iso('HOLIDAY_2009'))).toEqual({ label: 'HOLIDAY_2009', system: null });
  const file = path.join(folder, 'zeros.iso');
  writeFileSync(file, Buffer.alloc(65536));
  expect(identifyMedium(file)).toEqual({ label: null, system: null });
  writeFileSync(file, '');
  expect(identifyMedium(file)).toEqual({ label: null, system: null });
  expect(() => identifyMedium(path.join(folder, 'missing.iso'))).toThrow(
    /^cannot read .*missing\.iso: no such/,
  );
  expect(() => identifyMedium(folder)).toThrow('not a regular file');
});

test('whatever an image holds, looking at it ends', () => {
  const files = { '.disk/info': 'Debian GNU/Linux 13\n', 'boot/grub/i386-pc/boot_image.img': 'x' };
  const good = readFileSync(iso('FUZZED', files, '-R'));
  const random = new Random(1);
  const file = path.join(folder, 'fuzzed.iso');
  for (let i = 0; i < 300; i++) {
    const bytes = Buffer.from(good);
    // Descriptors and directories lie in the first sectors.
    for (let n = 0; n < 40; n++) bytes[16 * 2048 + random.below(24 * 2048)] = random.below(256);
    writeFileSync(file, i % 3 === 0 ? bytes.subarray(0, 16 * 2048 + random.below(20 * 2048)) : bytes);
    expect(identifyMedium(file)).toHaveProperty('label');
  }
});
