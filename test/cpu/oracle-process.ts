/**
 * The oracle's child process: maps the tests' address space at its real addresses, installs the machine code, starts
 * the bare process that runs it (oracle-code.ts), and hands on batches of cases that arrive on standard input. A case
 * may do anything a user program can: at worst the bare process dies, and this one with it, and the oracle starts anew.
 *
 * Linux on x86-64. Signals arrive on a stack of their own, since a case's RSP is arbitrary.
 */
import { closeSync, readFileSync, readSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import {
  background, changes, CODE, CpuState, LOST, PAGE, REGIONS, STATE_BYTES, StateOffset, WINDOWS,
  type Patch, type Result,
} from './case.ts'; // prettier-ignore
import {
  ALIAS, Control, driverCode, Harness, RESULT_BYTES, ResultRecord, SIGNAL_STACK_BYTES, TIMER_SIGNAL,
} from './oracle-code.ts'; // prettier-ignore
import { CASE_BYTES, decodePatches, encodeResult, MAX_BATCH, resultBytes } from './oracle-protocol.ts';

const PROT = { read: 1, write: 2, execute: 4 } as const;
const MAP = { shared: 0x1, private: 0x2, anonymous: 0x20, fixedNoReplace: 0x10_0000 } as const;
const SIGNALS = { ill: 4, trap: 5, bus: 7, fpe: 8, segv: 11, timer: TIMER_SIGNAL } as const;
const SA = { siginfo: 0x4, onStack: 0x0800_0000, noDefer: 0x4000_0000 } as const;
/** glibc's struct sigaction: handler, 128 bytes of mask, flags, restorer. */
const SIGACTION_BYTES = 152;
const SIG_SETMASK = 2;
/** Processor time in microseconds after which a case is taken not to end; a whole batch needs less. */
const CASE_TIME = 400_000;

const libc = koffi.load('libc.so.6');
const mmap = libc.func('void *mmap(intptr_t at, size_t bytes, int prot, int flags, int fd, int64_t offset)');
const memfdCreate = libc.func('int memfd_create(const char *name, unsigned int flags)');
const ftruncate = libc.func('int ftruncate(int fd, int64_t bytes)');
const sigaction = libc.func('int sigaction(int signal, const uint8_t *action, _Out_ uint8_t *old)');
const sigaltstack = libc.func('int sigaltstack(const uint8_t *stack, _Out_ uint8_t *old)');
const sigmask = libc.func('int pthread_sigmask(int how, const uint8_t *set, _Out_ uint8_t *old)');
const pipe = libc.func('int pipe(_Out_ int *ends)');
const start = koffi.proto('int start()');

function map(
  address: number,
  bytes: number,
  prot: number,
  flags: number,
  fd: number,
  offset: number,
): Uint8Array {
  const at = mmap(address, bytes, prot, flags | MAP.fixedNoReplace, fd, offset) as bigint;
  if (koffi.address(at) !== BigInt(address)) throw new Error(`cannot map ${address.toString(16)}`);
  return new Uint8Array(koffi.view(at, bytes));
}

/** Maps every region twice from one file in memory: as the tests see it, and writable for the harness. */
function mapRegions(): Map<number, Uint8Array> {
  const fd = memfdCreate('cpu-test', 0) as number;
  const span = (bytes: number): number => bytes + PAGE; // the wipe of a case's code may pass the last page
  ftruncate(
    fd,
    REGIONS.reduce((sum, region) => sum + span(region.bytes), 0),
  );
  const writable = new Map<number, Uint8Array>();
  let offset = 0;
  for (const region of REGIONS) {
    const prot = PROT.read | (region.write ? PROT.write : 0) | (region.execute ? PROT.execute : 0);
    map(region.address, region.bytes, prot, MAP.shared, fd, offset);
    const beyond = region.execute ? PAGE : 0;
    const alias = map(region.address + ALIAS, region.bytes + beyond, 3, MAP.shared, fd, offset);
    for (let i = 0; i < alias.length; i++) alias[i] = region.execute ? 0xf4 : background(region.address + i);
    writable.set(region.address, alias.subarray(0, region.bytes));
    offset += span(region.bytes);
  }
  return writable;
}

const avx = /^flags\s*:.*\bavx\b/m.test(readFileSync('/proc/cpuinfo', 'latin1'));
const regions = mapRegions();
const privately = MAP.private | MAP.anonymous;
const driverPage = map(Harness.code, PAGE, PROT.read | PROT.write | PROT.execute, privately, -1, 0);
/** Everything else of the harness, from the control block on. */
const shared = MAP.shared | MAP.anonymous;
const harness = map(Harness.control, Harness.end - Harness.control, PROT.read | PROT.write, shared, -1, 0);
const at = (address: number, bytes: number): Uint8Array =>
  harness.subarray(address - Harness.control, address - Harness.control + bytes);

function makePipe(): { readonly from: number; readonly to: number } {
  const ends = [0, 0];
  if (pipe(ends) !== 0) throw new Error('cannot make a pipe');
  return { from: ends[0], to: ends[1] };
}
const request = makePipe();
const reply = makePipe();
const code = driverCode(avx, { request: request.from, reply: reply.to });
driverPage.set(code.bytes);
const control = new DataView(harness.buffer, 0, PAGE);
control.setBigUint64(Control.lastCode, BigInt(CODE + ALIAS), true);

/** Background of all windows, as the driver copies it, and of all data regions. */
let imageAt: number = Harness.images;
for (const window of WINDOWS) {
  at(imageAt, window.bytes).forEach((_, i, image) => (image[i] = background(window.address + i)));
  imageAt += window.bytes;
}
const pristine = new Map(REGIONS.map((region) => [region.address, regions.get(region.address)!.slice()]));

function words(...values: readonly [offset: number, value: bigint][]): Uint8Array {
  const bytes = new Uint8Array(SIGACTION_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [offset, value] of values) view.setBigUint64(offset, value, true);
  return bytes;
}

const action = words([0, BigInt(code.handler)], [136, BigInt(SA.siginfo | SA.onStack | SA.noDefer)]);
const stack = words([0, BigInt(Harness.signalStack)], [16, BigInt(SIGNAL_STACK_BYTES)]);
const blockAll = new Uint8Array(128).fill(0xff);
for (const signal of Object.values(SIGNALS)) blockAll[(signal - 1) >> 3] &= ~(1 << ((signal - 1) & 7));

// A struct itimerval: interval and first expiry, both of so many microseconds.
control.setBigUint64(Control.timer + 8, BigInt(CASE_TIME), true);
control.setBigUint64(Control.timer + 24, BigInt(CASE_TIME), true);

/** Starts the bare process, which inherits signal handlers and mask from this one as they are meanwhile. */
function startBare(): void {
  const oldMask = new Uint8Array(128);
  const oldStack = new Uint8Array(24);
  const oldActions = new Map(
    Object.values(SIGNALS).map((signal) => [signal, new Uint8Array(SIGACTION_BYTES)]),
  );
  sigmask(SIG_SETMASK, blockAll, oldMask);
  sigaltstack(stack, oldStack);
  for (const [signal, old] of oldActions) sigaction(signal, action, old);
  const scratch = new Uint8Array(SIGACTION_BYTES);
  const pid = koffi.call(BigInt(code.start), start) as number;
  for (const [signal, old] of oldActions) sigaction(signal, old, scratch);
  sigaltstack(oldStack, scratch);
  sigmask(SIG_SETMASK, oldMask, scratch);
  if (pid < 0) throw new Error(`cannot start a process: error ${-pid}`);
  closeSync(request.from);
  closeSync(reply.to);
}

/** Has the cases already in place run. @throws Error where one of them has ended the bare process */
function execute(count: number): void {
  control.setBigUint64(Control.remaining, BigInt(count), true);
  control.setBigUint64(Control.nextCase, BigInt(Harness.cases), true);
  control.setBigUint64(Control.nextResult, BigInt(Harness.results), true);
  const token = new Uint8Array(1);
  writeSync(request.to, token);
  if (readSync(reply.from, token) !== 1) throw new Error('the bare process has ended');
}

/** Puts the patches of a case over an image that starts at `address`. */
function applyPatches(image: Uint8Array, address: number, patches: readonly Patch[]): void {
  for (const patch of patches) {
    for (let i = 0; i < patch.bytes.length; i++) {
      const offset = patch.address + i - address;
      if (offset >= 0 && offset < image.length) image[offset] = patch.bytes[i];
    }
  }
}

/** True where memory outside the windows differs from the background; puts it right again. */
function restoreStray(): boolean {
  for (const window of WINDOWS) {
    for (const [address, image] of regions) {
      const offset = window.address - address;
      for (let i = 0; i < window.bytes; i++) {
        if (offset + i >= 0 && offset + i < image.length) image[offset + i] = background(window.address + i);
      }
    }
  }
  let stray = false;
  for (const { address, execute } of REGIONS) {
    // A case's code is wiped before the next.
    if (execute) continue;
    const image = regions.get(address)!;
    const clean = pristine.get(address)!;
    if (Buffer.compare(image, clean) === 0) continue;
    stray = true;
    image.set(clean);
  }
  return stray;
}

function strayChanges(patches: readonly Patch[]): Patch[] {
  return REGIONS.flatMap(({ address, execute }) => {
    if (execute) return [];
    const image = regions.get(address)!;
    const before = pristine.get(address)!.slice();
    applyPatches(before, address, patches);
    return changes(address, before, image);
  });
}

const before = new Uint8Array(Math.max(...WINDOWS.map((window) => window.bytes)));

/** What a case changed in the windows, from the copy that the driver made. */
function windowChanges(record: Uint8Array, patches: readonly Patch[]): Patch[] {
  const found: Patch[] = [];
  let imageAt: number = Harness.images;
  let offset: number = ResultRecord.windows;
  for (const window of WINDOWS) {
    const initial = before.subarray(0, window.bytes);
    initial.set(at(imageAt, window.bytes));
    applyPatches(initial, window.address, patches);
    const after = record.subarray(offset, offset + window.bytes);
    if (Buffer.compare(initial, after) !== 0) found.push(...changes(window.address, initial, after));
    imageAt += window.bytes;
    offset += window.bytes;
  }
  return found;
}

/** Linear addresses from here on are the kernel's. */
const KERNEL_HALF = 1n << 63n;
/** Of a page fault's error code (SDM 3A, 4.7): the page is present. */
const PAGE_PRESENT = 1;

/** The result of case `index`; fields of the XSAVE area that are the kernel's own are cleared. */
function result(index: number, memory: Patch[] | undefined, patches: readonly Patch[]): Result {
  const record = at(Harness.results + index * RESULT_BYTES, RESULT_BYTES);
  const view = new DataView(record.buffer, record.byteOffset, RESULT_BYTES);
  const timedOut = view.getUint32(ResultRecord.signal, true) === TIMER_SIGNAL;
  const vector = timedOut ? LOST : view.getUint32(ResultRecord.trap, true);
  record.fill(0, StateOffset.xsave + 416, StateOffset.xsave + 576);
  const cr2 = vector === 14 ? view.getBigUint64(ResultRecord.cr2, true) : 0n;
  // Linux tells programs that whatever they touch of the kernel's half is present, so that they learn nothing of it;
  // cases have nothing there.
  const absent = cr2 >= KERNEL_HALF ? PAGE_PRESENT : 0;
  return {
    state: new CpuState(record.subarray(0, STATE_BYTES)),
    vector,
    errorCode: view.getUint32(ResultRecord.error, true) & ~absent,
    cr2,
    memory: memory ?? windowChanges(record, patches),
  };
}

/** Fills `into` from standard input; false at its end. */
function read(into: Uint8Array): boolean {
  for (let filled = 0; filled < into.length;) {
    const got = readSync(0, into, filled, into.length - filled, null);
    if (got === 0) return false;
    filled += got;
  }
  return true;
}

function write(bytes: Uint8Array): void {
  for (let sent = 0; sent < bytes.length;) sent += writeSync(1, bytes, sent);
}

startBare();
execute(0);
write(new Uint8Array(8)); // ready
const header = new DataView(new ArrayBuffer(8));
while (read(new Uint8Array(header.buffer))) {
  const count = header.getUint32(0, true);
  if (count > MAX_BATCH || !read(at(Harness.cases, count * CASE_BYTES))) break;
  try {
    execute(count);
  } catch {
    break;
  }
  const patchesOf = Array.from({ length: count }, (_, i) => {
    return decodePatches(
      new DataView(harness.buffer, Harness.cases - Harness.control + i * CASE_BYTES, CASE_BYTES),
    );
  });
  const whole = count === 1 ? strayChanges(patchesOf[0]) : undefined;
  const stray = restoreStray();
  const results = patchesOf.map((patches, i) => result(i, whole, patches));
  const bytes = results.reduce((sum, each) => sum + resultBytes(each.memory), 0);
  const answer = new Uint8Array(8 + bytes);
  let end = 8;
  for (const each of results) end = encodeResult(each, answer, end);
  const replyHeader = new DataView(answer.buffer);
  replyHeader.setUint32(0, bytes, true);
  replyHeader.setUint32(4, stray ? 1 : 0, true);
  write(answer);
}
