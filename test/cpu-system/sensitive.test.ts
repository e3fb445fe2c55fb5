/**
 * The instructions of IA-32 that are sensitive and yet not privileged: they show or change the state of the machine
 * without trapping at CPL 3, so that the processor cannot be virtualized by trapping alone (G. Popek and R. Goldberg,
 * "Formal requirements for virtualizable third generation architectures", 1974; J. Robin and C. Irvine, "Analysis of
 * the Intel Pentium's ability to support a secure virtual machine monitor", 2000, who list them).
 *
 * The three conditions, and why they hold of this processor:
 * - Equivalence: what runs finds what it would find on a machine of its own. No instruction of a guest is ever run by
 *   the host's processor; each does what the manual says to the state in the shared memory. So these show the guest's
 *   tables, selectors and flags: each test sets values that no host has, and finds them.
 * - Resource control: emitted code reaches the vCPU's own state and the guest's memory, and everything else through the
 *   run loop. There is no instruction for anything beyond: WebAssembly has none, and addresses of guest memory are
 *   made of nothing but the address map's entries.
 * - Efficiency: guest code is translated once and runs without anybody's being asked; only accesses to devices leave.
 *   This one is measured, by `npm run bench`.
 */
import { describe, expect, test } from 'vitest';
import { canAssemble, fault, FINE, runGuest } from './guest.ts';

const UD = 6, GP = 13; // prettier-ignore

/** Where a test's code at CPL 3 leaves what it has found, double word by double word. */
const FOUND = 0x5_8000;

/**
 * Runs code at CPL 3 in 64-bit mode; R15 points at {@link FOUND}. The machine's state is one that no host has:
 * - GDT and IDT where the prelude has them, with limits 0x87 and 0xfff; TR 0x28, LDTR 0x58 with base 0x59000;
 * - 0x68: data of CPL 3 with the limit 0x12345 and AVL; 0x70: the same, read-only; 0x78: code that cannot be read;
 * - CR0.TS and CR0.EM set, IOPL as told.
 * @returns what faulted, or {@link FINE}; and `words` double words found
 */
function atUser(code: string, words: number, iopl = 0): number[] {
  const run = runGuest(`
        LONG
        mov rax, 0x00008205_90000017
        mov [free], rax
        mov qword [free + 8], 0
        mov rax, 0x0051f300_00002345
        mov [free + 16], rax
        mov rax, 0x0051f100_00002345
        mov [free + 24], rax
        mov rax, 0x00aff900_0000ffff
        mov [free + 32], rax
        mov ax, 0x58
        lldt ax
        mov rax, cr0
        or eax, 0xc
        mov cr0, rax
        mov dword [user_flags], ${2 | (iopl << 12)}
        mov r15d, ${FOUND}
        jmp run
user:   ${code}
        ret
run:    USER call user
        ${Array.from({ length: words }, (_, i) => `REPORT [${FOUND + 4 * i}]`).join('\n')}
        hlt`);
  expect(run.end).toBe('halt');
  return [...run.reports];
}

/** Flags by which LAR and its like say what they found, collected as bits. */
const collectZero = (...instructions: string[]): string =>
  instructions
    .map((instruction, i) => `${instruction}\n setz al\n movzx eax, al\n mov [r15 + ${4 * i}], eax`)
    .join('\n');

describe.skipIf(!canAssemble)('sensitive instructions at CPL 3', () => {
  test('SGDT stores the guest’s table (SDM 2, SGDT)', () => {
    const code = 'sgdt [r15 + 2]\n mov dword [r15 + 12], gdt\n movzx eax, word [r15 + 2]\n mov [r15], eax';
    const [end, limit, base, baseHigh, table] = atUser(code, 4);
    expect([end, limit, base, baseHigh]).toEqual([FINE, 0x87, table, 0]);
  });

  test('SIDT stores the guest’s table (SDM 2, SIDT)', () => {
    const code = 'sidt [r15 + 2]\n movzx eax, word [r15 + 2]\n mov [r15], eax';
    expect(atUser(code, 3)).toEqual([FINE, 0xfff, 0x4000, 0]);
  });

  test('SLDT stores the guest’s selector (SDM 2, SLDT)', () => {
    expect(atUser('mov eax, -1\n sldt ax\n mov [r15], eax\n sldt [r15 + 4]', 2)).toEqual([
      FINE,
      0xffff_0058,
      0x58,
    ]);
  });

  test('STR stores the guest’s selector (SDM 2, STR)', () => {
    expect(atUser('str eax\n mov [r15], eax', 1)).toEqual([FINE, 0x28]);
  });

  test('SMSW stores the guest’s CR0: PE, MP clear, EM and TS set (SDM 2, SMSW)', () => {
    const [end, word] = atUser('smsw eax\n mov [r15], eax', 1);
    expect([end, word & 0xf]).toEqual([FINE, 0xd]);
    // The whole register, paging included.
    expect(word >>> 31).toBe(1);
  });

  test.each([0, 3])('PUSHF shows the guest’s IF and IOPL: %i (SDM 2, PUSHF)', (iopl) => {
    const [end, flags] = atUser('pushfq\n pop rax\n mov [r15], eax', 1, iopl);
    expect([end, flags & 0x3200]).toEqual([FINE, iopl << 12]);
  });

  test('POPF at CPL 3 changes IOPL never, and IF only with IOPL 3 (SDM 2, POPF, table 4-16)', () => {
    const code = 'push 0x3203\n popfq\n pushfq\n pop rax\n mov [r15], eax';
    expect(atUser(code, 1, 0)).toEqual([FINE, 3]);
    expect(atUser(code, 1, 3)).toEqual([FINE, 0x3203]);
  });

  test('IRET at CPL 3 changes IOPL never, and IF only with IOPL 3; it cannot go inwards (SDM 2, IRET)', () => {
    const to = (cs: number) =>
      `mov rdx, rsp\n push 0x23\n push rdx\n push 0x3203\n push ${cs}\n push .back\n iretq
.back:  pushfq\n pop rax\n mov [r15], eax`;
    expect(atUser(to(0x4b), 1, 0)).toEqual([FINE, 3]);
    expect(atUser(to(0x4b), 1, 3)).toEqual([FINE, 0x3203]);
    expect(atUser(to(0x40), 0)).toEqual([fault(GP, 0x40)]);
  });

  test('LAR reads rights from the guest’s table, where CPL and RPL may see them (SDM 2, LAR)', () => {
    const lar = (selector: number) => `mov ecx, ${selector}\n mov ebx, 0x77\n lar ebx, cx`;
    expect(atUser(`${collectZero(lar(0x6b), lar(0x10), lar(0x88))}\n mov [r15 + 12], ebx`, 4)).toEqual([
      FINE, 1, 0, 0, 0x77,
    ]); // prettier-ignore
    expect(atUser(`${lar(0x6b)}\n mov [r15], ebx`, 1)).toEqual([FINE, 0x0050_f300]);
  });

  test('LSL reads limits from the guest’s table (SDM 2, LSL)', () => {
    const lsl = (selector: number) => `mov ecx, ${selector}\n mov ebx, 0x77\n lsl ebx, cx`;
    expect(atUser(`${collectZero(lsl(0x10), lsl(0x6b))}\n mov [r15 + 8], ebx`, 3)).toEqual([
      FINE, 0, 1, 0x1_2345,
    ]); // prettier-ignore
  });

  test('VERR says what of the guest’s segments can be read (SDM 2, VERR)', () => {
    const verr = [0x6b, 0x73, 0x7b, 0x10].map((selector) => `mov ecx, ${selector}\n verr cx`);
    expect(atUser(collectZero(...verr), 4)).toEqual([FINE, 1, 1, 0, 0]);
  });

  test('VERW says what of the guest’s segments can be written (SDM 2, VERW)', () => {
    const verw = [0x6b, 0x73, 0x7b, 0x10].map((selector) => `mov ecx, ${selector}\n verw cx`);
    expect(atUser(collectZero(...verw), 4)).toEqual([FINE, 1, 0, 0, 0]);
  });

  test('MOV from a segment register gives the guest’s selector, RPL and all; MOV to one obeys its table', () => {
    expect(atUser('mov eax, cs\n mov [r15], eax\n mov eax, ss\n mov [r15 + 4], eax', 2)).toEqual([
      FINE, 0x4b, 0x23,
    ]); // prettier-ignore
    expect(atUser('mov eax, 0x6b\n mov ds, eax\n mov eax, ds\n mov [r15], eax', 1)).toEqual([FINE, 0x6b]);
    expect(atUser('mov eax, 0x10\n mov ds, eax', 0)).toEqual([fault(GP, 0x10)]);
  });

  test('PUSH of a segment register pushes the guest’s selector (SDM 2, PUSH)', () => {
    const code = 'mov eax, 0x6b\n mov fs, eax\n push fs\n pop rax\n mov [r15], eax';
    expect(atUser(code, 1)).toEqual([FINE, 0x6b]);
  });

  test('POP of a segment register obeys the guest’s table (SDM 2, POP)', () => {
    expect(atUser('push 0x73\n pop gs\n mov eax, gs\n mov [r15], eax', 1)).toEqual([FINE, 0x73]);
    expect(atUser('push 0x10\n pop gs', 0)).toEqual([fault(GP, 0x10)]);
    // A selector beyond the guest's table, though any host's may be larger.
    expect(atUser('push 0x1003\n pop gs', 0)).toEqual([fault(GP, 0x1000)]);
  });

  test('a far CALL pushes the guest’s CS and goes where its table lets it (SDM 2, CALL)', () => {
    const call = (cs: number) => `jmp .over\n.to: dd .callee, ${cs}
.callee: mov eax, [rsp + 4]\n mov [r15], eax\n retf\n.over: call far dword [.to]`;
    expect(atUser(call(0x4b), 1)).toEqual([FINE, 0x4b]);
    expect(atUser(call(0x40), 0)).toEqual([fault(GP, 0x40)]);
  });

  test('a far JMP goes where the guest’s table lets it (SDM 2, JMP)', () => {
    const jump = (cs: number) => `jmp .over\n.to: dd .there, ${cs}\n.over: jmp far dword [.to]
.there: mov eax, cs\n mov [r15], eax`;
    expect(atUser(jump(0x4b), 1)).toEqual([FINE, 0x4b]);
    expect(atUser(jump(0x40), 0)).toEqual([fault(GP, 0x40)]);
    expect(atUser(jump(0x6b), 0)).toEqual([fault(GP, 0x68)]);
  });

  test('a far RET goes outwards only, by the guest’s table (SDM 2, RET)', () => {
    const ret = (cs: number) =>
      `push ${cs}\n push .there\n db 0x48\n retf\n.there: mov eax, cs\n mov [r15], eax`;
    expect(atUser(ret(0x4b), 1)).toEqual([FINE, 0x4b]);
    expect(atUser(ret(0x40), 0)).toEqual([fault(GP, 0x40)]);
  });

  test('INT n goes through the guest’s table, with the rights of its gates (SDM 2, INT n)', () => {
    // 0x41 is the one gate that CPL 3 may use; its handler reports it, as for what ends a test.
    expect(atUser('int 0x41', 0)).toEqual([FINE]);
    expect(atUser('int 0x30', 0)).toEqual([fault(GP, 0x30 * 8 + 2)]);
    // The gate beyond the IDT's limit, though any host's has 256.
    expect(runGuest('LONG\n mov word [idtr], 0x7ff\n lidt [idtr]\n USER int 0x80\n hlt').reports).toEqual([
      fault(GP, 0x80 * 8 + 2),
    ]);
  });

  test('CR4.UMIP takes SGDT, SIDT, SLDT, STR and SMSW away from CPL 3 (SDM 3A, 2.5)', () => {
    for (const code of ['sgdt [r15]', 'sidt [r15]', 'sldt eax', 'str eax', 'smsw eax']) {
      const run = runGuest(`LONG\n mov rax, cr4\n or eax, 1 << 11\n mov cr4, rax\n mov r15d, ${FOUND}
        USER ${code}\n hlt`);
      expect(run.reports).toEqual([fault(GP)]);
    }
  });

  test('where selectors mean nothing, what looks at them is #UD (SDM 2, LAR, LSL, VERR, VERW, SLDT, STR)', () => {
    const codes = ['lar eax, cx', 'lsl eax, cx', 'verr cx', 'verw cx', 'sldt cx', 'str cx'];
    const run = runGuest(`
        mov ax, cs
        mov [6 * 4 + 2], ax
        mov word [6 * 4], undefined
        ${codes.map((code, i) => `mov bp, .next${i}\n ${code}\n mov eax, 0\n out 0xf0, eax\n.next${i}:`).join('\n')}
        hlt
undefined:
        pop ax
        push bp
        mov eax, ${fault(UD)}
        out 0xf0, eax
        iret`);
    expect(run.reports).toEqual(codes.map(() => fault(UD)));
  });
});
