/**
 * Which operating system an installation medium holds, and what a machine for it should have: by the label and the
 * files of an ISO image, and a catalogue of ours (resources/os-catalogue.json). The first entry that fits counts.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { DISK_BUSES, TABLETS } from '../../engine/api/config.ts';
import { GuesthouseError, reasonOf } from '../../engine/base/errors.ts';
import type { MediumInfo } from '../contract/host.ts';
import { type IsoVolume, withIso } from './iso9660.ts';

const CATALOGUE = new URL('../../resources/os-catalogue.json', import.meta.url);

const catalogueSchema = z.strictObject({
  version: z.literal(1),
  systems: z.array(
    z.strictObject({
      /** What it is called; $1, $2 stand for what the pattern's groups have found. */
      name: z.string(),
      /** What a machine for it is called, where nobody says. */
      id: z.string().regex(/^[a-z0-9]+$/),
      /** Patterns, whatever the case: of the volume's label, or of the beginning of a file that must be there. */
      label: z.string().optional(),
      file: z.string().optional(),
      text: z.string().optional(),
      /** MiB and GiB that make sense; 0 GiB for what needs no disk. */
      memory: z.int().positive(),
      disk: z.int().nonnegative(),
      /** The quickest bus of disks that it has drivers for. */
      bus: z.enum(DISK_BUSES),
      /** Where it has no driver for a tablet on USB (xHCI): what its pointer is moved by instead. */
      tablet: z.enum(TABLETS).optional(),
    }),
  ),
});
type System = z.output<typeof catalogueSchema>['systems'][number];

/** Bytes of a file that a pattern is looked for in. */
const MOST_TEXT = 1024;

let systems: readonly System[] | undefined;

function catalogue(): readonly System[] {
  systems ??= catalogueSchema.parse(JSON.parse(readFileSync(CATALOGUE, 'utf8'))).systems;
  return systems;
}

/**
 * What is on an installation medium.
 *
 * @param file of an image
 * @returns nothing known of what is no ISO image
 * @throws GuesthouseError `file` where it can't be read
 */
export function identifyMedium(file: string): MediumInfo {
  try {
    const found = withIso(file, (volume) => ({ label: volume.label, system: systemOf(volume) }));
    return found ?? { label: null, system: null };
  } catch (error) {
    throw new GuesthouseError('file', `cannot read ${file}: ${reasonOf(error)}`, undefined, { cause: error });
  }
}

function systemOf(volume: IsoVolume): MediumInfo['system'] {
  for (const { name, id, label, file, text, memory, disk, bus, tablet } of catalogue()) {
    const subject = file === undefined ? volume.label : volume.read(file, MOST_TEXT)?.toString('utf8');
    const match = subject === undefined ? null : new RegExp(text ?? label ?? '$^', 'i').exec(subject);
    if (match === null) continue;
    const full = name.replaceAll(/\$(\d)/g, (_, group: string) => match[Number(group)] ?? '');
    return { name: full, id: nameOf(id, match[1]), memory, disk, bus, tablet: tablet ?? null };
  }
  return null;
}

/** A machine's name: `debian12`, as libosinfo has it. */
function nameOf(id: string, version: string | undefined): string {
  return version === undefined ? id : `${id}${version.toLowerCase().replaceAll(/[^a-z0-9.-]/g, '')}`;
}
