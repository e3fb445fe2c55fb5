/**
 * Starts the same guest in Guesthouse and in QEMU. QEMU is what Guesthouse's speed is compared with, and it
 * shows that a guest written for a test does what its author thinks.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';

/** A machine to start, in terms that both engines have. */
export interface MachineSpec {
  readonly kernel?: string;
  /** An image for the reset vector, in place of a kernel. */
  readonly firmware?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly modules?: readonly string[];
  /** qcow2 images of IDE disks. */
  readonly disks?: readonly string[];
  /** Raw images of virtio disks. */
  readonly virtioDisks?: readonly string[];
  /** MiB */
  readonly memory?: number;
  /** How many, also with `,sockets=`, `,cores=` and `,threads=`. */
  readonly vcpus?: number | string;
  /** What is connected to standard input and output. */
  readonly stdio: 'serial' | 'debugcon';
  /** The guest may end the machine through port 0xF4; the status is twice the value plus one. */
  readonly debugExit?: boolean;
}

/** How an engine is started: a program and its arguments. */
export type Command = readonly [program: string, ...args: string[]];

/** Environment variables to start it with, besides those of the caller. */
export type Environment = Readonly<Record<string, string>>;

export interface Engine {
  readonly name: string;
  readonly environment?: Environment;
  /** Undefined where it can run here, else what is missing. */
  missing(): string | undefined;
  command(spec: MachineSpec): Command;
}

const MAIN = path.join(path.dirname(path.dirname(import.meta.dirname)), 'main', 'cli', 'guesthouse.ts');

/** The command that `npx guesthouse` stands for, without the time npx takes. */
export function guesthouseCommand(...args: string[]): Command {
  return [process.execPath, '--expose-gc', '--v8-pool-size=1', '--max-semi-space-size=2', MAIN, ...args];
}

export const guesthouse: Engine = {
  name: 'Guesthouse',
  missing: () => undefined,
  command(spec) {
    // The processor of our own, also where the host has a faster way.
    const args = ['run', '--accel', 'wasm'];
    if (spec.kernel !== undefined) args.push('--kernel', spec.kernel);
    if (spec.firmware !== undefined) args.push('--firmware', spec.firmware);
    if (spec.initrd !== undefined) args.push('--initrd', spec.initrd);
    if (spec.append !== undefined) args.push('--append', spec.append);
    for (const module of spec.modules ?? []) args.push('--module', module);
    for (const disk of spec.disks ?? []) args.push('--disk', `${disk},format=qcow2,bus=ide`);
    for (const disk of spec.virtioDisks ?? []) args.push('--disk', `${disk},format=raw,bus=virtio`);
    if (spec.memory !== undefined) args.push('--memory', String(spec.memory));
    if (spec.vcpus !== undefined) args.push('--vcpus', String(spec.vcpus));
    if (spec.debugExit === true) args.push('--debug-exit');
    if (spec.stdio === 'debugcon') args.push('--serial', 'null', '--debugcon', 'stdio');
    return guesthouseCommand(...args);
  },
};

export const qemu: Engine = {
  name: 'QEMU TCG',
  missing() {
    const { error } = spawnSync('qemu-system-x86_64', ['--version']);
    return error === undefined ? undefined : 'qemu-system-x86_64 is not installed';
  },
  command(spec) {
    // Q35 for its ACPI, which has a reset register.
    const args = ['-machine', 'q35', '-accel', 'tcg,thread=single', '-cpu', 'max', '-display', 'none'];
    args.push('-monitor', 'none', '-no-user-config', '-nic', 'none');
    if (spec.kernel !== undefined) args.push('-kernel', spec.kernel);
    if (spec.firmware !== undefined) args.push('-bios', spec.firmware);
    // Multiboot modules are what -initrd lists.
    const loaded = spec.initrd === undefined ? (spec.modules ?? []) : [spec.initrd];
    if (loaded.length > 0) args.push('-initrd', loaded.join(','));
    if (spec.append !== undefined) args.push('-append', spec.append);
    for (const disk of spec.disks ?? []) args.push('-drive', `file=${disk},format=qcow2,if=ide`);
    for (const disk of spec.virtioDisks ?? []) args.push('-drive', `file=${disk},format=raw,if=virtio`);
    if (spec.memory !== undefined) args.push('-m', String(spec.memory));
    if (spec.vcpus !== undefined) args.push('-smp', String(spec.vcpus));
    if (spec.debugExit === true) args.push('-device', 'isa-debug-exit,iobase=0xf4,iosize=4');
    if (spec.stdio === 'debugcon') args.push('-serial', 'none', '-debugcon', 'stdio');
    else args.push('-serial', 'stdio');
    return ['qemu-system-x86_64', ...args];
  },
};
