/**
 * Tests only: runs x86-64 machine code over an array of cases, so that the floating-point library can be held
 * against the processor of the machine it is tested on.
 */
import koffi from 'koffi';

/** Whether this machine can run the comparison. */
export const nativeAvailable = process.arch === 'x64' && process.platform === 'linux';

/** A case: control word or MXCSR at 0, operand a at 16, b at 32. A result has what the body stores. */
export const CASE_BYTES = 64;
export const RESULT_BYTES = 128;

const PAGE = 4096;
const PROT_READ_WRITE_EXEC = 7;
const MAP_PRIVATE_ANONYMOUS = 0x22;

const int32 = (value: number): number[] => [value, value >> 8, value >> 16, value >> 24].map((b) => b & 0xff);

/** Function bodies get the case in RDI and the result in RSI, and may use RAX, RCX and all vector and x87
 * registers. Machine code around it loops over RDX cases, and saves and restores MXCSR and the control word. */
function wrap(body: readonly number[]): number[] {
  const enter = [0x48, 0x83, 0xec, 0x10, 0x0f, 0xae, 0x1c, 0x24, 0xd9, 0x7c, 0x24, 0x04];
  const next = [
    0x48,
    0x81,
    0xc7,
    ...int32(CASE_BYTES),
    0x48,
    0x81,
    0xc6,
    ...int32(RESULT_BYTES),
    0x48,
    0xff,
    0xca,
  ];
  const jump = -(body.length + next.length + 6);
  const leave = [0x0f, 0xae, 0x14, 0x24, 0xdb, 0xe3, 0xd9, 0x6c, 0x24, 0x04, 0x48, 0x83, 0xc4, 0x10, 0xc3];
  return [...enter, ...body, ...next, 0x0f, 0x85, ...int32(jump), ...leave];
}

const LOAD_XMM = [
  0x0f, 0xae, 0x17, // ldmxcsr [rdi]
  0xf3, 0x0f, 0x7e, 0x47, 0x10, // movq xmm0, [rdi+16]
  0xf3, 0x0f, 0x7e, 0x4f, 0x20, // movq xmm1, [rdi+32]
]; // prettier-ignore
const STORE_XMM0 = [0x66, 0x0f, 0xd6, 0x06]; // movq [rsi], xmm0
const STORE_RAX = [0x48, 0x89, 0x06]; // mov [rsi], rax
const STORE_MXCSR = [0x0f, 0xae, 0x5e, 0x10]; // stmxcsr [rsi+16]
const LOAD_ST = [
  0xdb, 0xe3, 0xd9, 0x2f, // fninit; fldcw [rdi]
  0xdb, 0x6f, 0x20, 0xdb, 0x6f, 0x10, // fld tbyte [rdi+32]; fld tbyte [rdi+16]
]; // prettier-ignore
const SAVE_ST = [0xdd, 0x36]; // fnsave [rsi]

/** SSE: XMM0 and XMM1 from the case; XMM0 and, at 16, MXCSR to the result. */
export const sseBody = (...op: number[]): number[] => [...LOAD_XMM, ...op, ...STORE_XMM0, ...STORE_MXCSR];

/** SSE with an integer result: RAX at 0, MXCSR at 16. */
export const sseToIntegerBody = (...op: number[]): number[] => [
  ...LOAD_XMM,
  ...op,
  ...STORE_RAX,
  ...STORE_MXCSR,
];

/** x87: ST1 = b and ST0 = a; the result is FNSAVE's image. */
export const x87Body = (...op: number[]): number[] => [...LOAD_ST, ...op, ...SAVE_ST];

interface Libc {
  mmap(at: null, bytes: number, protection: number, flags: number, file: number, offset: number): unknown;
  memcpy(to: unknown, from: Uint8Array, bytes: number): unknown;
}

let libc: Libc | undefined;

function load(): Libc {
  const lib = koffi.load('libc.so.6');
  return {
    mmap: lib.func('void *mmap(void *at, size_t bytes, int protection, int flags, int file, long offset)'),
    memcpy: lib.func('void *memcpy(void *to, const void *from, size_t bytes)'),
  };
}

const signature = koffi.proto('void native(const void *cases, void *results, size_t count)');

/** Makes a body callable: takes cases of {@link CASE_BYTES} each, gives results of {@link RESULT_BYTES} each. */
export function native(body: readonly number[]): (cases: Uint8Array) => Uint8Array {
  libc ??= load();
  const code = Uint8Array.from(wrap(body));
  const page = libc.mmap(null, PAGE, PROT_READ_WRITE_EXEC, MAP_PRIVATE_ANONYMOUS, -1, 0);
  libc.memcpy(page, code, code.length);
  return (cases) => {
    const count = cases.length / CASE_BYTES;
    const results = new Uint8Array(count * RESULT_BYTES);
    koffi.call(page, signature, cases, results, count);
    return results;
  };
}
