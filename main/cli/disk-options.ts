/** `--disk` and `--cdrom`: from words to disks of a machine's configuration. */
import path from 'node:path';
import { DISK_BUSES, type MachineConfigInput } from '../../engine/api/config.ts';
import { usage } from './words.ts';

type DiskInput = NonNullable<MachineConfigInput['disks']>[number];

const CHOICES = {
  format: ['raw', 'qcow2'],
  bus: DISK_BUSES,
  cache: ['writeback', 'writethrough'],
  werror: ['report', 'stop', 'enospc'],
  rerror: ['report', 'stop'],
} as const;

/**
 * Reads `FILE[,KEY=VALUE]…`. A comma in the file's name is written twice.
 *
 * @param option `disk` or `cdrom`; `none` is an empty drive
 * @throws GuesthouseError `usage`, one line about the first thing that is wrong
 */
export function parseDisk(option: 'disk' | 'cdrom', text: string): DiskInput {
  // As QEMU has it: split at single commas.
  const [name = '', ...rest] = text.split(/(?<!,)(?:,,)*,(?!,)/).map((part) => part.replaceAll(',,', ','));
  if (name === '') throw usage(`--${option} needs a file`);
  const values = new Map<string, string>();
  for (const word of rest) {
    const [key = '', value = 'on'] = splitOnce(word);
    if (values.has(key)) throw usage(`--${option} gives ${key} twice`);
    values.set(key, value);
  }
  const choice = <K extends keyof typeof CHOICES>(key: K): (typeof CHOICES)[K][number] | undefined => {
    const value = values.get(key);
    values.delete(key);
    if (value === undefined) return undefined;
    const found = CHOICES[key].find((each) => each === value);
    if (found === undefined)
      throw usage(`--${option}: ${key} must be ${CHOICES[key].join(' or ')}, not '${value}'`);
    return found;
  };
  const given = {
    device: option,
    file: option === 'cdrom' && name === 'none' ? undefined : name,
    format: choice('format'),
    bus: choice('bus'),
    cache: choice('cache'),
    writeError: choice('werror'),
    readError: choice('rerror'),
    readOnly: onOff(option, values, 'readonly'),
    serial: take(values, 'serial'),
  };
  const [unknown] = values.keys();
  if (unknown !== undefined) throw usage(`--${option} knows no '${unknown}'`);
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** A disk with its file's path made absolute, for a machine that is kept. */
export function withAbsolutePath(disk: DiskInput): DiskInput {
  return disk.file === undefined ? disk : { ...disk, file: path.resolve(disk.file) };
}

function splitOnce(word: string): string[] {
  const at = word.indexOf('=');
  return at < 0 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}

function take(values: Map<string, string>, key: string): string | undefined {
  const value = values.get(key);
  values.delete(key);
  return value;
}

function onOff(option: string, values: Map<string, string>, key: string): boolean | undefined {
  const value = take(values, key);
  if (value === undefined) return undefined;
  if (value !== 'on' && value !== 'off') throw usage(`--${option}: ${key} must be on or off, not '${value}'`);
  return value === 'on';
}
