/** What the wizard asks, and the machine that comes of the answers. Steps and boot sources are tables: a new
 * kind of boot is an entry here and its fields. */
import type { Draft } from '../store/draft.ts';

export const STEPS = ['boot', 'resources', 'summary'] as const;
export type Step = (typeof STEPS)[number];

/** Fields of a document that a boot source asks for. */
export type FileField = 'kernel' | 'initrd' | 'firmware';

export interface Source {
  readonly key: 'sample' | 'kernel' | 'firmware';
  readonly files: ReadonlyArray<{ readonly field: FileField; readonly optional: boolean }>;
  /** Whether it takes a command line. */
  readonly append: boolean;
}

export const SOURCES: readonly Source[] = [
  { key: 'sample', files: [], append: false },
  {
    key: 'kernel',
    files: [
      { field: 'kernel', optional: false },
      { field: 'initrd', optional: true },
    ],
    append: true,
  },
  { key: 'firmware', files: [{ field: 'firmware', optional: false }], append: false },
];

/** The answers so far. */
export interface Answers {
  source: Source['key'];
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
    if (value !== '' || !optional) document[field] = value;
  }
  if (append && answers.append.trim() !== '') document.append = answers.append.trim();
  return document;
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
