/** What the wizard asks, and the machine that comes of the answers. Steps and boot sources are tables: a new
 * kind of boot is an entry here and its fields. */
import type { DiskBus, MediumInfo, NewDisk, TabletKind } from '../../main/contract/index.ts';
import type { Draft } from '../store/draft.ts';

/** GiB of a new disk where nothing is known of what comes onto it. */
const USUAL_GIBIBYTES = 20;

export const STEPS = ['boot', 'resources', 'summary'] as const;
export type Step = (typeof STEPS)[number];

/** Fields of a document that a boot source asks for. */
export type FileField = 'cdrom' | 'disk' | 'kernel' | 'initrd' | 'firmware';

export interface Source {
  readonly key: 'sample' | 'cdrom' | 'disk' | 'kernel' | 'firmware';
  readonly files: ReadonlyArray<{ readonly field: FileField; readonly optional: boolean }>;
  /** Whether it takes a command line. */
  readonly append: boolean;
  /** Whether a new disk is made for it. */
  readonly newDisk: boolean;
}

export const SOURCES: readonly Source[] = [
  { key: 'sample', files: [], append: false, newDisk: false },
  { key: 'cdrom', files: [{ field: 'cdrom', optional: false }], append: false, newDisk: true },
  { key: 'disk', files: [{ field: 'disk', optional: false }], append: false, newDisk: false },
  {
    key: 'kernel',
    files: [
      { field: 'kernel', optional: false },
      { field: 'initrd', optional: true },
    ],
    append: true,
    newDisk: false,
  },
  { key: 'firmware', files: [{ field: 'firmware', optional: false }], append: false, newDisk: false },
];

/** The answers so far. */
export interface Answers {
  source: Source['key'];
  cdrom: string;
  disk: string;
  /** GiB of a new disk, 0 for none; NaN while what is typed is no number. */
  newDisk: number;
  /** The bus of the new disk. */
  bus: DiskBus;
  format: NewDisk['format'];
  /** What the pointer is moved by where what is installed wants something else than machines have by default. */
  tablet: TabletKind | null;
  /** The pool that it is kept in; empty for the machine's own folder. */
  pool: string;
  kernel: string;
  initrd: string;
  firmware: string;
  append: string;
  /** MiB; NaN while what is typed is no number. */
  memory: number;
  vcpus: number;
  /** How they are spread; undefined where that is left open. */
  topology: { readonly sockets: number; readonly cores: number; readonly threads: number } | undefined;
  name: string;
  customise: boolean;
}

/** What is answered before anything was typed. */
export function initialAnswers(size: { readonly memory: number; readonly vcpus: number }): Answers {
  return {
    source: 'sample',
    cdrom: '',
    disk: '',
    newDisk: USUAL_GIBIBYTES,
    bus: 'ide',
    format: 'qcow2',
    tablet: null,
    pool: '',
    kernel: '',
    initrd: '',
    firmware: '',
    append: 'console=ttyS0',
    memory: size.memory,
    vcpus: size.vcpus,
    topology: undefined,
    name: '',
    customise: false,
  };
}

export function sourceOf({ source }: Answers): Source {
  return SOURCES.find(({ key }) => key === source) ?? SOURCES[0]!;
}

/** The document to define. What a source does not ask for is left out, even where it was typed. */
export function documentOf(answers: Answers): Draft {
  const { files, append, key } = sourceOf(answers);
  const document: Draft = { name: answers.name, memory: answers.memory, vcpus: answers.vcpus };
  if (answers.topology !== undefined) document.topology = { ...answers.topology };
  if (key === 'sample') document.sample = true;
  for (const { field, optional } of files) {
    const value = answers[field].trim();
    if (field === 'cdrom' || field === 'disk') document.disks = [{ device: field, file: value, bus: 'ide' }];
    else if (value !== '' || !optional) document[field] = value;
  }
  if (key === 'cdrom' && answers.tablet !== null) document.tablet = answers.tablet;
  if (append && answers.append.trim() !== '') document.append = answers.append.trim();
  return document;
}

/** The disk to make with the machine; undefined for none. */
export function newDiskOf(answers: Answers): NewDisk | undefined {
  const { newDisk: gibibytes, bus, format, pool } = answers;
  if (!sourceOf(answers).newDisk || !(gibibytes > 0)) return undefined;
  return { gibibytes, bus, format, ...(pool === '' ? {} : { pool }) };
}

/** What a machine should have for what is on its medium. */
export interface Advice {
  readonly memory: number;
  readonly newDisk: number;
  readonly bus: Answers['bus'];
  readonly tablet: Answers['tablet'];
}

/**
 * What makes sense for a medium.
 *
 * @param usual memory of a machine where nothing is known, and the most that it can have here, in MiB
 */
export function adviceFor(
  system: MediumInfo['system'] | undefined,
  usual: { readonly memory: number; readonly most: number },
): Advice {
  if (system === null || system === undefined) {
    return { memory: usual.memory, newDisk: USUAL_GIBIBYTES, bus: 'ide', tablet: null };
  }
  const { memory, disk, bus, tablet } = system;
  // No less than any other machine gets, unless it is small.
  const wanted = memory < usual.memory && memory >= 1024 ? usual.memory : memory;
  return { memory: Math.min(usual.most, wanted), newDisk: disk, bus, tablet };
}

/** Answers with other advice: what was changed by hand stays. */
export function advised(answers: Answers, before: Advice, after: Advice): Answers {
  return {
    ...answers,
    memory: answers.memory === before.memory ? after.memory : answers.memory,
    newDisk: answers.newDisk === before.newDisk ? after.newDisk : answers.newDisk,
    bus: answers.bus === before.bus ? after.bus : answers.bus,
    tablet: after.tablet,
  };
}

/** The field of the document that a field of the wizard goes into. */
export function documentField(field: string): string {
  return field === 'cdrom' || field === 'disk' ? 'disks' : field;
}

/** The step where a field of a document is asked for. */
export function stepOf(field: string | number | undefined): Step {
  if (field === 'name') return 'summary';
  return field === 'memory' || field === 'vcpus' || field === 'topology' ? 'resources' : 'boot';
}

/** Endings of images' names that say nothing of what is in them. */
const ENDINGS = /(?:\.(?:qcow2?|img|raw|iso|vmdk|vdi|vhdx?))+$/i;

/** A machine's name made of a file's: what a name may not have becomes a dash, and it is cut to what a name may be.
 * Undefined where nothing is left. */
export function nameOfFile(path: string): string | undefined {
  const file = path.trim().split(/[/\\]/).at(-1) ?? '';
  const plain = file.replace(ENDINGS, '').replaceAll(/[^\p{L}\p{N} ._-]+/gu, '-');
  const [name = ''] = /[\p{L}\p{N}].{0,63}/u.exec(plain) ?? [];
  return name.trim() || undefined;
}

/** `base`, or `base-2`, `base-3` … where that is taken. */
export function freeName(base: string, taken: ReadonlySet<string>): string {
  if (!taken.has(base)) return base;
  for (let number = 2; ; number++) if (!taken.has(`${base}-${number}`)) return `${base}-${number}`;
}
