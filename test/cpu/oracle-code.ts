/**
 * The machine code that runs the cases: a process in which nothing else is mapped, a loop over case records, and the
 * signal handler that ends each.
 *
 * Where a case reads, writes or jumps depends on what is mapped, and in an ordinary program much is: its image, heap,
 * libraries. So the cases run in a child that has unmapped all of it. What is left is the memory of the tests and
 * the harness, which lies where no 32-bit address reaches it, and of 64-bit ones one in 2^40.
 *
 * The loop restores the memory windows, writes the case's patches and code, loads the whole user state and
 * enters the case with IRETQ: it loads RSP, RFLAGS, CS and RIP at once, reaches compatibility mode as well as
 * 64-bit mode, and serialises (SDM 3A, 9.3), so code just written through another mapping is fetched anew.
 * A case ends in an exception, whose signal handler stores the context that the kernel saved and goes on
 * with the loop, without returning to the kernel. No JavaScript runs between the first case and the last.
 */
import { PAGE, REGIONS, StateOffset, WINDOWS } from './case.ts';
import { Emitter, R } from './oracle-emitter.ts';
import { CASE_BYTES, CaseRecord, PATCH_BYTES } from './oracle-protocol.ts';

/** The harness's own memory. */
const HARNESS = 0x2345_0000_0000;

/** Every region of the tests is mapped a second time, writable, this far above. */
export const ALIAS = HARNESS + 0x1000_0000;

export const Harness = {
  code: HARNESS,
  control: HARNESS + 0x1000,
  /** Background of the windows, one after the other. */
  images: HARNESS + 0x2000,
  /** The stack of the loop ends here. */
  stackTop: HARNESS + 0x1_0000,
  signalStack: HARNESS + 0x1_0000,
  cases: HARNESS + 0x10_0000,
  results: HARNESS + 0x100_0000,
  end: HARNESS + 0x200_0000,
} as const;
export const SIGNAL_STACK_BYTES = 0x1_0000;

/** Offsets from {@link Harness.control}. */
export const Control = {
  remaining: 0, nextCase: 8, nextResult: 16, lastCode: 24,
  /** struct itimerval twice: for a batch, and none. */
  timer: 32, noTimer: 64,
  /** One byte that is passed to and fro. */
  token: 96,
  frame: 128,
} as const; // prettier-ignore

const WINDOW_BYTES = WINDOWS.reduce((sum, window) => sum + window.bytes, 0);

/** Offsets in a result record; the state comes first. */
export const ResultRecord = { trap: 1024, error: 1032, cr2: 1040, signal: 1048, windows: 1088 } as const;
export const RESULT_BYTES = ResultRecord.windows + WINDOW_BYTES;

/** SIGPROF, by which a case that does not end is ended. */
export const TIMER_SIGNAL = 27;

/** Linux system call numbers and operations (x86-64). */
const Call = {
  read: 0, write: 1, close: 3, munmap: 11, rtSigreturn: 15, dup2: 33, setitimer: 38, fork: 57, archPrctl: 158, exitGroup: 231,
} as const; // prettier-ignore
const ITIMER_PROF = 2;
/** File descriptors of a process that are closed: all it may have inherited. */
const DESCRIPTORS = 1024;
/** The end of a process's address space. */
const ADDRESS_END = 0x7fff_ffff_f000;
const ARCH = { SET_GS: 0x1001, SET_FS: 0x1002, GET_FS: 0x1003, GET_GS: 0x1004 } as const;

/** Offsets in the kernel's `struct ucontext` for x86-64: general registers by encoding, then the rest. */
const SAVED_GPR = [144, 152, 136, 128, 160, 120, 112, 104, 40, 48, 56, 64, 72, 80, 88, 96];
const SAVED = { rip: 168, rflags: 176, cs: 184, ss: 190, error: 192, trap: 200, cr2: 216, fpstate: 224 };

/** Where the two pieces of code begin. */
export interface DriverCode {
  readonly bytes: Uint8Array;
  /** `int start(void)` in the C convention: makes the child, and returns its process number, or minus an error. */
  readonly start: number;
  /** The handler, for sigaction with SA_SIGINFO. */
  readonly handler: number;
}

/** The file descriptors of the child's ends of two pipes: it reads a byte for each batch, and writes one after it. */
export interface ChildEnds {
  readonly request: number;
  readonly reply: number;
}

/**
 * @param avx whether the host has AVX enabled, and XSAVE areas hold the upper halves of YMM
 */
export function driverCode(avx: boolean, ends: ChildEnds): DriverCode {
  const e = new Emitter(Harness.code);
  const control = (offset: number): number => Harness.control + offset;
  const xsaveBytes = avx ? 832 : 576;
  const next = e.label();
  const done = e.label();
  const failed = e.label();

  const archPrctl = (operation: number): void => {
    e.immediate(R.rdi, operation);
    e.immediate(R.rax, Call.archPrctl);
    e.db(0x0f, 0x05); // syscall; clobbers rcx, r11
  };

  // The child goes on where the parent returns.
  const child = e.label();
  e.systemCall(Call.fork);
  e.db(0x85, 0xc0); // test eax, eax
  e.jcc(4, child); // jz
  e.db(0xc3);
  e.place(child);
  e.immediate(R.rsp, Harness.stackTop);
  for (const [end, to] of [
    [ends.request, 0],
    [ends.reply, 1],
  ] as const) {
    e.systemCall(Call.dup2, end, to);
  }
  // The other descriptors, so that pipes end when the parent does.
  const closing = e.label();
  e.immediate(R.rbx, DESCRIPTORS);
  e.place(closing);
  e.db(0x89, 0xdf); // mov edi, ebx
  e.systemCall(Call.close);
  e.db(0x83, 0xeb, 0x01); // sub ebx, 1
  e.db(0x83, 0xfb, 0x02); // cmp ebx, 2
  e.jcc(7, closing); // ja
  for (const [from, to] of holes()) {
    e.systemCall(Call.munmap, from, to - from);
    e.db(0x85, 0xc0); // test eax, eax
    e.jcc(5, failed); // jnz
  }
  // Every page present, and dirty where it can be, before any case: error codes then depend on rights alone.
  for (const region of REGIONS) {
    for (let page = region.address; page < region.address + region.bytes; page += PAGE) {
      e.immediate(R.rbx, page);
      e.db(0x8a, 0x03); // mov al, [rbx]
      if (region.write) e.db(0x88, 0x03); // mov [rbx], al
    }
  }

  // A batch for every byte that comes.
  const batch = e.label();
  e.place(batch);
  e.systemCall(Call.read, 0, control(Control.token), 1);
  e.db(0x83, 0xf8, 0x01); // cmp eax, 1
  e.jcc(5, failed); // jne
  e.systemCall(Call.setitimer, ITIMER_PROF, control(Control.timer), 0);
  e.place(next);
  e.db(0xfc); // cld
  e.loadAt(R.rax, control(Control.remaining));
  e.db(0x48, 0x83, 0xe8, 0x01); // sub rax, 1
  e.jcc(2, done); // jb
  e.storeAt(R.rax, control(Control.remaining));
  e.loadAt(R.r15, control(Control.nextCase));

  // Memory: the background, then the case's patches, through the writable mapping.
  let image: number = Harness.images;
  for (const window of WINDOWS) {
    e.copyFixed(window.address + ALIAS, image, window.bytes);
    image += window.bytes;
  }
  const patch = e.label();
  const patched = e.label();
  e.load(R.r14, R.r15, CaseRecord.patchCount);
  e.lea(R.rbx, R.r15, CaseRecord.patches);
  e.place(patch);
  e.db(0x49, 0x83, 0xee, 0x01); // sub r14, 1
  e.jcc(2, patched); // jb
  e.load(R.rdi, R.rbx, 0);
  e.immediate(R.rcx, ALIAS);
  e.add(R.rdi, R.rcx);
  e.load(R.rcx, R.rbx, 8);
  e.lea(R.rsi, R.rbx, 16);
  e.db(0xf3, 0xa4); // rep movsb
  e.lea(R.rbx, R.rbx, PATCH_BYTES);
  e.jmp(patch);
  e.place(patched);

  // Code: HLT over the previous case, then the new one.
  e.loadAt(R.rdi, control(Control.lastCode));
  e.immediate(R.rax, 0xf4);
  e.immediate(R.rcx, CaseRecord.codeLength - CaseRecord.code);
  e.db(0xf3, 0xaa); // rep stosb
  e.load(R.rdi, R.r15, StateOffset.rip);
  e.immediate(R.rcx, ALIAS);
  e.add(R.rdi, R.rcx);
  e.storeAt(R.rdi, control(Control.lastCode));
  e.lea(R.rsi, R.r15, CaseRecord.code);
  e.load(R.rcx, R.r15, CaseRecord.codeLength);
  e.db(0xf3, 0xa4); // rep movsb

  // Segments. The bases go first: setting one clears the selector.
  e.load(R.rsi, R.r15, StateOffset.fsBase);
  archPrctl(ARCH.SET_FS);
  e.load(R.rsi, R.r15, StateOffset.gsBase);
  archPrctl(ARCH.SET_GS);
  for (const [segment, modrm] of [
    [0, 0xc0],
    [3, 0xd8],
    [4, 0xe0],
    [5, 0xe8],
  ] as const) {
    // prettier-ignore
    const skip = e.label();
    e.loadWord(R.rax, R.r15, StateOffset.selector + 2 * segment);
    if (segment >= 4) {
      e.db(0x85, 0xc0); // test eax, eax: a null selector would clear the base again on some processors
      e.jcc(4, skip);
    }
    e.db(0x8e, modrm); // mov sreg, eax
    e.place(skip);
  }

  // The frame for IRETQ: RIP, CS, RFLAGS, RSP, SS.
  e.load(R.rax, R.r15, StateOffset.rip);
  e.storeAt(R.rax, control(Control.frame));
  e.loadWord(R.rax, R.r15, StateOffset.selector + 2);
  e.storeAt(R.rax, control(Control.frame + 8));
  e.load(R.rax, R.r15, StateOffset.rflags);
  e.storeAt(R.rax, control(Control.frame + 16));
  e.load(R.rax, R.r15, 8 * R.rsp);
  e.storeAt(R.rax, control(Control.frame + 24));
  e.loadWord(R.rax, R.r15, StateOffset.selector + 4);
  e.storeAt(R.rax, control(Control.frame + 32));

  e.immediate(R.rax, avx ? 7 : 3);
  e.db(0x31, 0xd2); // xor edx, edx
  e.db(0x49, 0x0f, 0xae, 0xaf); // xrstor64 [r15 + disp32]
  e.dd(StateOffset.xsave);
  for (let register = 0; register < 15; register++) {
    if (register !== R.rsp) e.load(register, R.r15, 8 * register);
  }
  e.immediate(R.rsp, control(Control.frame));
  e.load(R.r15, R.r15, 8 * R.r15);
  e.db(0x48, 0xcf); // iretq

  e.place(done);
  e.systemCall(Call.setitimer, ITIMER_PROF, control(Control.noTimer), 0);
  e.systemCall(Call.write, 1, control(Control.token), 1);
  e.jmp(batch);
  e.place(failed);
  e.systemCall(Call.exitGroup, 1);

  // Signal handler (edi signal, rsi siginfo, rdx ucontext). AC may still be set: clear it first.
  const handler = e.here;
  const ended = e.label();
  e.db(0x6a, 0x02, 0x9d); // push 2; popfq
  e.db(0x83, 0xff, TIMER_SIGNAL); // cmp edi, imm8
  e.jcc(5, ended); // jne
  e.load(R.rax, R.rdx, SAVED.rip);
  e.immediate(R.rcx, Harness.code);
  e.db(0x48, 0x29, 0xc8); // sub rax, rcx
  e.db(0x48, 0x3d); // cmp rax, imm32
  e.dd(PAGE);
  e.jcc(3, ended); // jae: not in the loop, so a case has run out of time
  e.db(0x58); // pop rax: the restorer that the C library gave
  e.systemCall(Call.rtSigreturn);
  e.place(ended);
  e.loadAt(R.r15, control(Control.nextResult));
  e.store(R.rdi, R.r15, ResultRecord.signal);
  for (const [register, saved] of SAVED_GPR.entries()) {
    e.load(R.rax, R.rdx, saved);
    e.store(R.rax, R.r15, 8 * register);
  }
  for (const [saved, to] of [
    [SAVED.rip, StateOffset.rip],
    [SAVED.rflags, StateOffset.rflags],
    [SAVED.trap, ResultRecord.trap],
    [SAVED.error, ResultRecord.error],
    [SAVED.cr2, ResultRecord.cr2],
  ] as const) {
    e.load(R.rax, R.rdx, saved);
    e.store(R.rax, R.r15, to);
  }
  for (const [saved, segment] of [
    [SAVED.cs, 1],
    [SAVED.ss, 2],
  ] as const) {
    // prettier-ignore
    e.loadWord(R.rax, R.rdx, saved);
    e.storeWord(R.r15, StateOffset.selector + 2 * segment);
  }
  for (const [segment, modrm] of [
    [0, 0xc0],
    [3, 0xd8],
    [4, 0xe0],
    [5, 0xe8],
  ] as const) {
    // prettier-ignore
    e.db(0x8c, modrm); // mov eax, sreg: the kernel leaves these as they were
    e.storeWord(R.r15, StateOffset.selector + 2 * segment);
  }
  e.lea(R.rsi, R.r15, StateOffset.fsBase);
  archPrctl(ARCH.GET_FS);
  e.lea(R.rsi, R.r15, StateOffset.gsBase);
  archPrctl(ARCH.GET_GS);
  e.load(R.rsi, R.rdx, SAVED.fpstate);
  e.lea(R.rdi, R.r15, StateOffset.xsave);
  e.repeatMove(xsaveBytes);
  e.lea(R.rdi, R.r15, ResultRecord.windows);
  for (const window of WINDOWS) {
    e.immediate(R.rsi, window.address + ALIAS);
    e.repeatMove(window.bytes);
  }
  e.lea(R.r15, R.r15, RESULT_BYTES);
  e.storeAt(R.r15, control(Control.nextResult));
  e.loadAt(R.r15, control(Control.nextCase));
  e.lea(R.r15, R.r15, CASE_BYTES);
  e.storeAt(R.r15, control(Control.nextCase));
  e.immediate(R.rsp, Harness.stackTop);
  e.jmp(next);

  return { bytes: e.bytes(), start: Harness.code, handler: Harness.code + handler };
}

/** What lies between the tests' memory and the harness's. */
function holes(): ReadonlyArray<readonly [from: number, to: number]> {
  const kept: Array<readonly [number, number]> = [[Harness.code, Harness.end]];
  for (const { address, bytes, execute } of REGIONS) {
    kept.push([address, address + bytes]);
    kept.push([address + ALIAS, address + ALIAS + bytes + (execute ? PAGE : 0)]);
  }
  kept.sort(([a], [b]) => a - b);
  const starts = [0, ...kept.map(([, end]) => end)];
  const ends = [...kept.map(([start]) => start), ADDRESS_END];
  return starts.map((from, i) => [from, ends[i]] as const).filter(([from, to]) => from < to);
}
