/**
 * Writes x86-64 machine code: just what the oracle's driver needs. Memory at a fixed address is near the code, and
 * reached relative to RIP. Encodings: Intel SDM volume 2, chapter 2.
 */

/** Register numbers as encoded. */
export const R = {
  rax: 0, rcx: 1, rdx: 2, rbx: 3, rsp: 4, rbp: 5, rsi: 6, rdi: 7, r14: 14, r15: 15,
} as const; // prettier-ignore

export type Label = { at: number; readonly uses: number[] };

export class Emitter {
  readonly #bytes: number[] = [];
  readonly #origin: number;

  /** @param origin where the code will lie */
  constructor(origin: number) {
    this.#origin = origin;
  }

  /** Offset of the next byte. */
  get here(): number {
    return this.#bytes.length;
  }

  db(...bytes: number[]): void {
    this.#bytes.push(...bytes);
  }

  dd(value: number): void {
    this.db(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
  }

  label(): Label {
    return { at: -1, uses: [] };
  }

  place(label: Label): void {
    label.at = this.here;
    for (const use of label.uses) this.#relative(use, label.at);
  }

  /** JMP rel32. */
  jmp(to: Label): void {
    this.db(0xe9);
    this.#use(to);
  }

  /** Jcc rel32; `condition` as in the low four bits of the opcode. */
  jcc(condition: number, to: Label): void {
    this.db(0x0f, 0x80 | condition);
    this.#use(to);
  }

  /** MOV r64, value: 0 … 2^53 - 1. */
  immediate(register: number, value: number): void {
    const wide = value >= 2 ** 32;
    if (register >= 8 || wide) this.db(0x40 | (wide ? 8 : 0) | (register >> 3));
    this.db(0xb8 | (register & 7));
    this.dd(value % 2 ** 32);
    if (wide) this.dd(Math.floor(value / 2 ** 32));
  }

  /** ADD r64, r64. */
  add(to: number, from: number): void {
    this.db(0x48 | ((from >> 3) << 2) | (to >> 3), 0x01, 0xc0 | ((from & 7) << 3) | (to & 7));
  }

  /** A system call of Linux with its number and first arguments; result in RAX, RCX and R11 are lost. */
  systemCall(number: number, ...args: readonly number[]): void {
    for (const [i, value] of args.entries()) this.immediate([R.rdi, R.rsi, R.rdx][i], value);
    this.immediate(R.rax, number);
    this.db(0x0f, 0x05);
  }

  /** MOV r64, [address]. */
  loadAt(register: number, address: number): void {
    this.#absolute(0x8b, register, address);
  }

  /** MOV [address], r64. */
  storeAt(register: number, address: number): void {
    this.#absolute(0x89, register, address);
  }

  /** MOV r64, [base + displacement]; the base is neither RSP nor R12. */
  load(register: number, base: number, displacement: number): void {
    this.based(0x8b, register, base, displacement);
  }

  /** MOV [base + displacement], r64. */
  store(register: number, base: number, displacement: number): void {
    this.based(0x89, register, base, displacement);
  }

  /** LEA r64, [base + displacement]. */
  lea(register: number, base: number, displacement: number): void {
    this.based(0x8d, register, base, displacement);
  }

  /** MOVZX r32, word [base + displacement]. */
  loadWord(register: number, base: number, displacement: number): void {
    this.db(0x40 | ((register >> 3) << 2) | (base >> 3), 0x0f, 0xb7);
    this.db(0x80 | ((register & 7) << 3) | (base & 7));
    this.dd(displacement);
  }

  /** MOV [base + displacement], AX. */
  storeWord(base: number, displacement: number): void {
    this.db(0x66, 0x40 | (base >> 3), 0x89, 0x80 | (base & 7));
    this.dd(displacement);
  }

  /** An instruction with REX.W and a [base + disp32] operand. */
  based(opcode: number, register: number, base: number, displacement: number): void {
    this.db(0x48 | ((register >> 3) << 2) | (base >> 3), opcode);
    this.db(0x80 | ((register & 7) << 3) | (base & 7));
    this.dd(displacement);
  }

  /** REP MOVSQ of `bytes` bytes between fixed addresses. */
  copyFixed(to: number, from: number, bytes: number): void {
    this.immediate(R.rdi, to);
    this.immediate(R.rsi, from);
    this.repeatMove(bytes);
  }

  /** REP MOVSQ of `bytes` bytes from [RSI] to [RDI]. */
  repeatMove(bytes: number): void {
    this.immediate(R.rcx, bytes / 8);
    this.db(0xf3, 0x48, 0xa5);
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  #absolute(opcode: number, register: number, address: number): void {
    this.db(0x48 | ((register >> 3) << 2), opcode, 0x05 | ((register & 7) << 3));
    this.dd(address - (this.#origin + this.here + 4));
  }

  #use(label: Label): void {
    const use = this.here;
    this.dd(0);
    label.uses.push(use);
    if (label.at >= 0) this.#relative(use, label.at);
  }

  #relative(use: number, target: number): void {
    const distance = target - (use + 4);
    for (let i = 0; i < 4; i++) this.#bytes[use + i] = (distance >> (8 * i)) & 0xff;
  }
}
