/**
 * The round trip of a port write under KVM: out of the guest, through the run loop to a device, and back. It
 * is set beside a minimal C program that serves the same guest, in turns, so that a busy host slows both.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Board, boardAreaBytes } from '../engine/machine/board.ts';
import { acceleratorOf } from '../engine/machine/accelerator.ts';
import { runVcpu } from '../engine/machine/run-vcpu.ts';
import { MachineMemory } from '../engine/memory/machine-memory.ts';
import { CACHE } from '../test/guest/assemble.ts';
import { cpuTopology } from '../engine/api/topology.ts';

/** Writes that the guest makes. */
const WRITES = 20_000;

/** The index port of the real-time clock: a device that does little, but one of the board's. */
const PORT = 0x70;

const IMAGE_BYTES = 0x1_0000;
const MIB = 0x10_0000;

/** Nanoseconds for each exit: the best of some runs, since whatever slows one down is not the program's. */
export interface KvmExit {
  readonly ours: number;
  readonly minimal: number;
}

/** Why this cannot be measured here; undefined where it can. */
export function kvmExitMissing(): string | undefined {
  const found = acceleratorOf('kvm').probe();
  if (!found.ok) return found.reason;
  try {
    execFileSync('gcc', ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'gcc is not installed';
  }
}

/**
 * Measures both by turns.
 *
 * @throws Error where one of them does not run
 */
export function measureKvmExit(runs: number): KvmExit {
  const directory = path.join(CACHE, 'kvm-exit');
  mkdirSync(directory, { recursive: true });
  const guest = image();
  const file = path.join(directory, 'guest.bin');
  writeFileSync(file, guest);
  const program = path.join(directory, 'kvm-exit');
  execFileSync('gcc', ['-O2', '-o', program, path.join(import.meta.dirname, 'kvm-exit.c')]);
  const ours: number[] = [];
  const minimal: number[] = [];
  for (let run = 0; run < runs; run++) {
    minimal.push(Number(execFileSync(program, [file], { encoding: 'utf8' })));
    ours.push(runBoard(guest));
  }
  return { ours: Math.min(...ours), minimal: Math.min(...minimal) };
}

/** A firmware image: writes {@link WRITES} times, then to port 0xF4. */
function image(): Uint8Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(IMAGE_BYTES)).fill(0xf4);
  // mov ecx, WRITES; again: out PORT, al; dec ecx; jnz again; out 0xf4, al
  const code = [0x66, 0xb9, ...dword(WRITES), 0xe6, PORT, 0x66, 0x49, 0x75, 0xfa, 0xe6, 0xf4];
  bytes.set(code, 0xff00);
  bytes.set([0xe9, 0x0d, 0xff], 0xfff0); // jmp 0xff00
  return bytes;
}

const dword = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

/** Runs the guest on a whole board in this thread. @returns nanoseconds for each exit */
function runBoard(firmware: Uint8Array): number {
  const accelerator = acceleratorOf('kvm');
  const plan = {
    accelerator: 'kvm',
    cpuModel: accelerator.cpuModels()[0],
    topology: cpuTopology(1),
    images: { kernel: null, initrd: null, modules: [], firmware, commandLine: '' },
    serial: [],
    debugcon: false,
    disks: [],
    debugExit: true,
    boot: { order: [], menu: undefined },
  } as const;
  const memory = MachineMemory.create(MIB, boardAreaBytes(plan, MIB, accelerator.areaBytes(1)));
  const board = new Board({
    ...plan,
    description: memory.description,
    acceleratorArea: accelerator.areaBytes(1),
    log: () => {},
  });
  board.install();
  board.powerOn(accelerator);
  board.accelerated?.open();
  board.clock.start();
  // The first write starts the clock, as it does in the C program.
  let started = 0;
  const write = board.ports.write.bind(board.ports);
  board.ports.write = (...words) => {
    if (started === 0) started = performance.now();
    write(...words);
  };
  const { end } = runVcpu(board, accelerator, 0);
  const nanoseconds = (performance.now() - started) * 1e6;
  board.accelerated?.close();
  if (end.kind !== 'exit') throw new Error(`the guest ended with ${JSON.stringify(end)}`);
  return nanoseconds / (WRITES - 1);
}
