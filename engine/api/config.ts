/**
 * What a machine is made of: one schema for the command line, stored machines and programs that embed the
 * engine. Everything that can be known to be wrong without looking at the host is found here.
 */
import { z } from 'zod';
import { GuesthouseError } from '../base/errors.ts';
import { busOf, MOST_IDE_DRIVES } from './disk-targets.ts';
import { type CpuTopology, cpuTopology, topologyProblem } from './topology.ts';

/** Guest memory, in MiB. The upper end is what a 32-bit WebAssembly memory holds beside the machine. */
export const MEMORY_MIB = { least: 1, most: 3584, usual: 512 } as const;

export const MOST_VCPUS = 64;

/** Serial ports of a PC: COM1 … COM4. */
export const MOST_SERIAL_PORTS = 4;

const path = z
  .string()
  .min(1, 'is empty')
  .refine((text) => !text.includes('\0'), 'holds a NUL character');

/** Kinds of devices that firmware can boot from. */
export const BOOT_KINDS = ['disk', 'cdrom', 'network'] as const;

/** Where the bytes of a serial port or the debug console go. */
const stream = z.discriminatedUnion('kind', [
  /** The terminal, or whatever standard input and output are. */
  z.strictObject({ kind: z.literal('stdio') }),
  z.strictObject({ kind: z.literal('null') }),
  /** Output only. The file is made, or emptied, when the machine starts. */
  z.strictObject({ kind: z.literal('file'), path }),
]);

/** Disks of a machine, and drives of its AHCI controller. */
export const MOST_DISKS = 16;
export const MOST_SATA_DRIVES = 6;

/** What can point at places on the screen. */
export const TABLETS = ['usb', 'virtio', 'none'] as const;

/** How a disk can be connected. */
export const DISK_BUSES = ['virtio', 'sata', 'ide'] as const;

/** A hard disk, or a CD-ROM drive. */
const disk = z.strictObject({
  device: z.enum(['disk', 'cdrom'], 'must be disk or cdrom').default('disk'),
  /** The image; a CD-ROM drive without one is empty. */
  file: path.optional(),
  /** Guessed where absent. */
  format: z.enum(['raw', 'qcow2'], 'must be raw or qcow2').optional(),
  /** `virtio` for a hard disk and `ide` for a CD-ROM drive where absent. */
  bus: z.enum(DISK_BUSES, 'must be virtio, sata or ide').optional(),
  /** When a write is on the host's disk: when the guest asks for it, or before it ends. */
  cache: z.enum(['writeback', 'writethrough'], 'must be writeback or writethrough').default('writeback'),
  readOnly: z.boolean().default(false),
  /** What the guest takes for the drive's serial number. */
  serial: z
    .string()
    .regex(/^[\x20-\x7e]{0,20}$/, 'must be at most 20 characters of ASCII')
    .optional(),
  /** What becomes of a write that the host can't do: an error for the guest, or the machine is paused until
   * somebody has seen to it; `enospc` pauses where the host's disk is full. */
  writeError: z.enum(['report', 'stop', 'enospc'], 'must be report, stop or enospc').default('enospc'),
  readError: z.enum(['report', 'stop'], 'must be report or stop').default('report'),
});

const between = (least: number, most: number, unit = '') => {
  const message = `must be a whole number from ${least} to ${most}${unit}`;
  return z.int(message).min(least, message).max(most, message);
};

/** What a machine may be called. */
export const machineName = z
  .string()
  .regex(
    /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,63}$/u,
    'must be 1 to 64 letters, digits, spaces, dots, dashes or underscores',
  );

/** Each field by itself; {@link machineContradictions} says which do not go together. */
export const machineFields = z.strictObject({
  name: machineName.default('guest'),
  accel: z.enum(['auto', 'kvm', 'wasm'], 'must be auto, kvm or wasm').default('auto'),
  /** CPU model; the accelerator's best where absent. */
  cpu: z.string().min(1, 'is empty').optional(),
  /** MiB. */
  memory: between(MEMORY_MIB.least, MEMORY_MIB.most, ' (MiB)').default(MEMORY_MIB.usual),
  vcpus: between(1, MOST_VCPUS).default(1),
  /** How the vCPUs are spread, cores and threads counted in each socket and core; {@link topologyOf} fills in what
   * is left open. */
  topology: z
    .strictObject({
      sockets: between(1, MOST_VCPUS).optional(),
      cores: between(1, MOST_VCPUS).optional(),
      threads: between(1, MOST_VCPUS).optional(),
    })
    .optional(),
  /** Direct boot: a Linux image or an ELF file with a PVH entry. */
  kernel: path.optional(),
  initrd: path.optional(),
  /** Kernel command line. */
  append: z
    .string()
    .refine((text) => !text.includes('\0'), 'holds a NUL character')
    .optional(),
  /** Further boot modules, for kernels that take several. */
  modules: z.array(path).default([]),
  /** Firmware image, mapped below 4 GiB; where absent, a machine without a kernel has SeaBIOS. */
  firmware: path.optional(),
  /** How firmware looks for something to boot. */
  boot: z
    .strictObject({
      /** Kinds of devices, the first tried first. */
      order: z
        .array(z.enum(BOOT_KINDS, 'must be disk, cdrom or network'))
        .refine((order) => new Set(order).size === order.length, 'names a device twice')
        .default(['disk', 'cdrom']),
      /** Whether the firmware offers its boot menu. */
      menu: z.boolean().default(false),
    })
    .prefault({}),
  /** One entry for each port, COM1 first. */
  serial: z
    .array(stream)
    .max(MOST_SERIAL_PORTS, `has more than ${MOST_SERIAL_PORTS} ports`)
    .default([{ kind: 'null' }]),
  /** Who sees the screen. A machine without a kernel has a display adapter even if nobody does. */
  display: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('none') }),
      /** An RFB server at a Unix socket (a path) or at `HOST:PORT`. */
      z.strictObject({
        kind: z.literal('vnc'),
        address: z.string().min(1, 'is empty'),
        /** A file whose first line is the password, of which 8 characters count. */
        passwordFile: path.optional(),
      }),
    ])
    .default({ kind: 'none' }),
  /** What the guest's pointer follows the viewer's by; {@link tabletOf} says where absent. */
  tablet: z.enum(TABLETS, 'must be usb, virtio or none').optional(),
  debugcon: stream.optional(),
  /** Hard disks and CD-ROM drives, in the order in which the guest finds them. */
  disks: z.array(disk).max(MOST_DISKS, `has more than ${MOST_DISKS} disks`).default([]),
  /** Whether a guest may end the machine through port 0xF4. */
  debugExit: z.boolean().default(false),
});

/** Something wrong with a configuration: in which field, or in the whole where the path is empty. */
export interface ConfigIssue {
  readonly path: ReadonlyArray<string | number>;
  /** Reads on from the field's name. */
  readonly message: string;
}

/** What fields that are good by themselves have against each other. */
export function machineContradictions(config: z.output<typeof machineFields>): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const wrong = (message: string, ...path: string[]) => issues.push({ path, message });
  if (config.kernel !== undefined && config.firmware !== undefined) {
    wrong('a machine boots from a kernel or from firmware, not both');
  }
  if (config.kernel === undefined) {
    if (config.initrd !== undefined) wrong('an initrd needs a kernel');
    if (config.append !== undefined) wrong('a kernel command line needs a kernel');
    if (config.modules.length > 0) wrong('modules need a kernel');
  }
  if (config.topology !== undefined) {
    const problem = topologyProblem(config.vcpus, topologyOf(config));
    if (problem !== null) wrong(`cannot be: ${problem}`, 'topology');
  }
  const outputs = [...config.serial, ...(config.debugcon === undefined ? [] : [config.debugcon])];
  if (config.serial.filter(({ kind }) => kind === 'stdio').length > 1) {
    wrong('only one serial port can use the terminal');
  }
  const files = outputs.flatMap((each) => (each.kind === 'file' ? [each.path] : []));
  const twice = files.find((file, i) => files.indexOf(file) !== i);
  if (twice !== undefined) wrong(`two outputs write to ${twice}`);
  issues.push(...diskContradictions(config.disks));
  return issues;
}

function diskContradictions(disks: z.output<typeof machineFields>['disks']): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const files = new Set<string>();
  for (const [i, { device, file, bus }] of disks.entries()) {
    const wrong = (message: string) => issues.push({ path: ['disks', i], message });
    if (device === 'disk' && file === undefined) wrong('has no file');
    if (device === 'cdrom' && bus === 'virtio') wrong('is a CD-ROM drive, which virtio has none of');
    if (device === 'disk' && file !== undefined) {
      if (files.has(file)) wrong(`uses ${file}, as another disk does`);
      files.add(file);
    }
  }
  const on = (wanted: DiskBus) => disks.filter((each) => busOf(each) === wanted).length;
  const tooMany = (what: string) => issues.push({ path: ['disks'], message: `has more than ${what} drives` });
  if (on('ide') > MOST_IDE_DRIVES) tooMany(`${MOST_IDE_DRIVES} IDE`);
  if (on('sata') > MOST_SATA_DRIVES) tooMany(`${MOST_SATA_DRIVES} SATA`);
  return issues;
}

const schema = machineFields.superRefine((config, context) => {
  for (const { path, message } of machineContradictions(config)) {
    context.addIssue({ code: 'custom', path: [...path], message });
  }
});

/** A machine's configuration, complete and valid. Paths are as given: relative to the current directory. */
export type MachineConfig = Readonly<z.output<typeof schema>>;

/** What may be left out is. */
export type MachineConfigInput = z.input<typeof schema>;

export type DiskConfig = MachineConfig['disks'][number];

export type TabletKind = (typeof TABLETS)[number];

export type DiskBus = (typeof DISK_BUSES)[number];

/** How the vCPUs of a machine are spread, also where that is left open. */
export function topologyOf({ vcpus, topology }: Pick<MachineConfig, 'vcpus' | 'topology'>): CpuTopology {
  return cpuTopology(vcpus, topology);
}

/** The tablet of a machine, also where it is left open: on USB, which any guest has drivers for, unless the kernel is
 * the machine's own, which boots sooner with less. */
export function tabletOf(tablet: TabletKind | undefined, hasKernel: boolean): TabletKind {
  return tablet ?? (hasKernel ? 'virtio' : 'usb');
}

export type StreamConfig = MachineConfig['serial'][number];

/**
 * Checks a configuration and fills in what was left out.
 *
 * @throws GuesthouseError `config`, one line about the first thing that is wrong
 */
export function parseMachineConfig(input: unknown): MachineConfig {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue.path.map((part) => String(part)).join('.');
  throw new GuesthouseError('config', where === '' ? issue.message : `${where} ${issue.message}`);
}
