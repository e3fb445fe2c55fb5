import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { GuesthouseError } from '../../base/errors.ts';
import { API_VERSION, Capability, Request } from './abi.ts';
import { Errno, type Host } from './host.ts';
import { KvmSystem } from './system.ts';

/** A host whose KVM answers as told. */
const hostWith = (answer: (request: number, argument: number) => number): (() => Host) => {
  const refuse = () => -Errno.EINVAL;
  const host: Host = {
    ioctl: (_file, request, argument) => answer(request, argument),
    call: refuse,
    mapOver: refuse,
    unmap: refuse,
    addressOf: () => 0,
  };
  return () => host;
};

/** Everything that is asked for, but a capability. */
const all =
  (lacking?: number, version = API_VERSION) =>
  (request: number, argument: number): number => {
    if (request === Request.GetApiVersion) return version;
    if (request === Request.CheckExtension) return argument === lacking ? 0 : 1;
    return request === Request.GetVcpuMmapSize ? 12_288 : -Errno.EINVAL;
  };

function complaint(host: () => Host, path: string): string {
  try {
    new KvmSystem(host, path).close();
  } catch (error) {
    if (error instanceof GuesthouseError) return `${error.code}: ${error.line}`;
    throw error;
  }
  return '';
}

const hasDevNull = process.platform !== 'win32';

test('a KVM with all that is needed is taken', () => {
  if (hasDevNull) expect(complaint(hostWith(all()), '/dev/null')).toBe('');
});

test.runIf(hasDevNull).each([
  [all(), '/nonexistent/kvm', /^unsupported: there is no .* \(load the module kvm_intel or kvm_amd, .*\)$/],
  [() => -25, '/dev/null', /^unsupported: .* is not KVM/],
  [all(undefined, 11), '/dev/null', /^unsupported: .* version 11 instead of 12 \(update the Linux kernel\)$/],
  [all(Capability.ReadOnlyMemory), '/dev/null', /lacks read-only memory \(it takes Linux 3\.7 or later\)$/],
  [all(Capability.ImmediateExit), '/dev/null', /lacks immediate exits \(it takes Linux 4\.12 or later\)$/],
])('what is wrong is said in one line, with what to do: %#', (answer, path, expected) => {
  const line = complaint(hostWith(answer), path);
  expect(line).toMatch(expected);
  expect(line).not.toContain('\n');
});

test.runIf(process.platform === 'linux')('a KVM that is refused is closed', () => {
  const before = readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 10; i++)
    complaint(
      hostWith(() => -25),
      '/dev/null',
    );
  expect(readdirSync('/proc/self/fd').length).toBe(before);
});

/** Somebody without any rights, as most systems number them. */
const NOBODY = 65534;

/** Does something as a user who is not root, whom nothing is refused. */
function withoutRights<T>(body: () => T): T {
  const user = process.geteuid?.();
  if (user !== 0) return body();
  process.seteuid?.(NOBODY);
  try {
    return body();
  } finally {
    process.seteuid?.(user);
  }
}

test.runIf(process.platform === 'linux')('who may not open it is told how to be allowed to', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-'));
  try {
    chmodSync(folder, 0o755);
    const device = path.join(folder, 'kvm');
    writeFileSync(device, '', { mode: 0 });
    expect(withoutRights(() => complaint(hostWith(all()), device))).toBe(
      `resources: no permission to open ${device} (add yourself to the group that owns it, usually kvm, and log in again)`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
