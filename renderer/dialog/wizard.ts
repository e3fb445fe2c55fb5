/** What the wizard asks, and the machine that comes of the answers. Steps and boot sources are tables: a new
 * kind of boot is an entry here and its fields. */
import type { Draft } from '../store/draft.ts';

/** GiB of a new disk at most. */
export const MOST_GIBIBYTES = 65536;

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
  kernel: string;
  initrd: string;
  firmware: string;
  append: string;
  /** MiB; NaN while what is typed is no number. */
  memory: number;
  vcpus: number;
  name: string;
  customise: boolean;
}

/** What is answered before anything was typed. */
export function initialAnswers(size: { readonly memory: number; readonly vcpus: number }): Answers {
  return {
    source: 'sample',
    cdrom: '',
    disk: '',
    newDisk: 20,
    kernel: '',
    initrd: '',
    firmware: '',
    append: 'console=ttyS0',
    memory: size.memory,
    vcpus: size.vcpus,
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
  if (key === 'sample') document.sample = true;
  for (const { field, optional } of files) {
    const value = answers[field].trim();
    if (field === 'cdrom' || field === 'disk') document.disks = [{ device: field, file: value, bus: 'ide' }];
    else if (value !== '' || !optional) document[field] = value;
  }
  if (append && answers.append.trim() !== '') document.append = answers.append.trim();
  return document;
}

/** The disk to make with the machine; undefined for none. */
export function newDiskOf(answers: Answers): { gibibytes: number } | undefined {
  const { newDisk } = answers;
  return sourceOf(answers).newDisk && newDisk > 0 ? { gibibytes: newDisk } : undefined;
}

/** The field of the document that a field of the wizard goes into. */
export function documentField(field: string): string {
  return field === 'cdrom' || field === 'disk' ? 'disks' : field;
}

/** The step where a field of a document is asked for. */
export function stepOf(field: string | number | undefined): Step {
  if (field === 'name') return 'summary';
  return field === 'memory' || field === 'vcpus' ? 'resources' : 'boot';
}

/** `base`, or `base-2`, `base-3` … where that is taken. */
export function freeName(base: string, taken: ReadonlySet<string>): string {
  if (!taken.has(base)) return base;
  for (let number = 2; ; number++) if (!taken.has(`${base}-${number}`)) return `${base}-${number}`;
}
