/**
 * A machine's document: everything that a person decides about a machine. It is what the library stores, what
 * forms and the text editor edit, and what `guesthouse dumpconfig` prints.
 *
 * It holds the engine's fields (engine/api/config.ts) beside the manager's own, in one flat object, so that a
 * field reads the same in the file, in the form and in an error.
 */
import { z } from 'zod';
import {
  type ConfigIssue,
  machineContradictions,
  machineFields,
  machineName,
  type MachineConfigInput,
} from '../../engine/api/config.ts';

/** The version of the document that this program writes; it reads this and older ones. */
export const DOCUMENT_VERSION = 1;

const label = z
  .string()
  .regex(
    /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,31}$/u,
    'must be 1 to 32 letters, digits, spaces, dots, dashes or underscores',
  );

const fields = machineFields.extend({
  name: machineName,
  /** Free text. */
  description: z.string().max(4096, 'is longer than 4096 characters').default(''),
  /** The group it is listed in; null for none. */
  group: label.nullable().default(null),
  tags: z.array(label).max(32, 'holds more than 32 tags').default([]),
  /** Boots the sample guest: kernel and initrd are made and filled in when the machine starts. */
  sample: z.boolean().default(false),
  /** COM1 is the console, where nothing else is said. */
  serial: machineFields.shape.serial.unwrap().default([{ kind: 'stdio' }]),
});

/** The sample guest's kernel command line, where the document gives none. */
export const SAMPLE_APPEND = 'console=ttyS0';

/** Stands for the sample guest's files while a document is checked. */
const SAMPLE_FILES = { kernel: 'vmlinuz', initrd: 'initrd.img' };

export const documentSchema = fields.superRefine((document, context) => {
  for (const { path, message } of contradictions(document)) {
    context.addIssue({ code: 'custom', path: [...path], message });
  }
});

/** Complete and valid. */
export type MachineDocument = z.output<typeof fields>;
/** What may be left out is. */
export type MachineDocumentInput = z.input<typeof fields>;

/** An absolute path of any of the systems that Guesthouse runs on. */
const ABSOLUTE = /^(\/|[A-Za-z]:[\\/]|\\\\)/;

/** Every path in a document, with where it stands. */
function paths(document: MachineDocument): Array<[path: string, ...where: Array<string | number>]> {
  const { kernel, initrd, firmware, modules, serial, debugcon, disks, display } = document;
  const found: Array<[string | undefined, ...Array<string | number>]> = [
    [kernel, 'kernel'],
    [initrd, 'initrd'],
    [firmware, 'firmware'],
    ...modules.map((file, i): [string, string, number] => [file, 'modules', i]),
    ...disks.map(({ file }, i): [string | undefined, ...Array<string | number>] => [
      file,
      'disks',
      i,
      'file',
    ]),
    [display.kind === 'vnc' ? display.passwordFile : undefined, 'display', 'passwordFile'],
    ...serial.map((port, i): [string | undefined, ...Array<string | number>] => [
      port.kind === 'file' ? port.path : undefined,
      'serial',
      i,
      'path',
    ]),
    [debugcon?.kind === 'file' ? debugcon.path : undefined, 'debugcon', 'path'],
  ];
  return found.flatMap(([file, ...where]) => (file === undefined ? [] : [[file, ...where]]));
}

/** The files that must be there for the machine to start, with the field that names each. */
export function filesOf(document: MachineDocument): Array<{ file: string; path: Array<string | number> }> {
  return paths(document)
    .filter(([, field]) => field !== 'serial' && field !== 'debugcon')
    .map(([file, ...path]) => ({ file, path }));
}

function contradictions(document: MachineDocument): ConfigIssue[] {
  // Whoever starts the machine may stand in another folder than whoever described it.
  const relative = paths(document)
    .filter(([file]) => !ABSOLUTE.test(file))
    .map(([, ...path]) => ({ path, message: 'must be an absolute path' }));
  return [...relative, ...bootContradictions(document)];
}

function bootContradictions(document: MachineDocument): ConfigIssue[] {
  if (!document.sample) return machineContradictions(document);
  if (document.kernel !== undefined || document.initrd !== undefined || document.firmware !== undefined) {
    return [
      { path: ['sample'], message: 'brings its own kernel and initrd, so the machine can have no other' },
    ];
  }
  return machineContradictions({ ...document, ...SAMPLE_FILES });
}

/** The outcome of {@link checkDocument}. */
export type CheckedDocument =
  | { readonly ok: true; readonly document: MachineDocument }
  /** At least one, in the order of the fields. */
  | { readonly ok: false; readonly issues: readonly [ConfigIssue, ...ConfigIssue[]] };

/** Checks a document and fills in what was left out. Looks at no files. */
export function checkDocument(input: unknown): CheckedDocument {
  const result = documentSchema.safeParse(input, { reportInput: true });
  if (result.success) return { ok: true, document: result.data };
  const [first, ...others] = result.error.issues.flatMap(issuesOf);
  return { ok: false, issues: [first ?? { path: [], message: 'is no machine' }, ...others] };
}

/** An issue in our words: zod's own speak of types. */
function issuesOf(issue: z.core.$ZodIssue): ConfigIssue[] {
  const path = issue.path.filter((part) => typeof part !== 'symbol');
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path: [...path, key], message: 'is not a known field' }));
    case 'invalid_type':
      if (issue.input === undefined) return [{ path, message: 'is missing' }];
      // A field that has words of its own says more than its type.
      if (!issue.message.startsWith('Invalid input')) return [{ path, message: issue.message }];
      return [{ path, message: `must be of type ${issue.expected}` }];
    default:
      return [{ path, message: issue.message }];
  }
}

/** An issue as one line: `memory must be …`. */
export function issueLine({ path, message }: ConfigIssue): string {
  return path.length === 0 ? message : `${path.join('.')} ${message}`;
}

/**
 * What the engine is to start.
 *
 * @param sample the sample guest's files, for a document that boots it
 */
export function engineConfig(
  document: MachineDocument,
  sample?: { readonly kernel: string; readonly initrd: string },
): MachineConfigInput {
  const { description: _, group: _group, tags: _tags, sample: wanted, ...config } = document;
  if (!wanted || sample === undefined) return config;
  return { ...config, ...sample, append: config.append ?? SAMPLE_APPEND };
}
