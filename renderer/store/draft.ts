/** A machine's document while it is edited: any JSON, since a half-typed one is seldom valid. */
import type { Issue, MachineDocument, PlacedDisk } from '../../main/contract/index.ts';
import { checkDocument, DISK_BUSES, diskTargets } from '../../main/contract/index.ts';

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type Draft = Record<string, Json>;

/** A document as a draft of its own. */
export function draftOf(document: MachineDocument): Draft {
  const draft: Draft = {};
  for (const [field, value] of Object.entries(document))
    if (value !== undefined) draft[field] = jsonOf(value);
  return draft;
}

/** A value as JSON has it, of its own: fields that are undefined are absent. */
function jsonOf(value: unknown): Json {
  if (Array.isArray(value)) return value.map(jsonOf);
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value !== 'object' || value === null) return null;
  const fields = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(fields.map(([name, each]) => [name, jsonOf(each)]));
}

/** Whether two JSON values say the same, whatever the order of their fields. */
export function same(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b || (typeof a === 'number' && typeof b === 'number' && Number.isNaN(a) && Number.isNaN(b)))
    return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((each, i) => same(each, b[i]))
    );
  }
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => same(a[key], b[key]));
}

/** The fields in which two drafts differ. */
export function differences(a: Draft, b: Draft): string[] {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].filter((key) => !same(a[key], b[key]));
}

/** `mine`, made from `base`, with what was changed in `theirs` meanwhile.
 * @returns undefined where both have changed the same field */
export function merged(base: Draft, mine: Draft, theirs: Draft): Draft | undefined {
  const [here, there] = [differences(mine, base), differences(theirs, base)];
  if (here.some((field) => there.includes(field))) return undefined;
  const result: Draft = {};
  for (const field of new Set([...Object.keys(theirs), ...here])) {
    const value = here.includes(field) ? mine[field] : theirs[field];
    if (value !== undefined) result[field] = value;
  }
  return result;
}

/** What each disk of a draft is called; none where that can't be told of what is half typed. */
export function targetsOf(disks: readonly Json[]): readonly string[] {
  try {
    return diskTargets(disks.map(placeOf));
  } catch {
    return [];
  }
}

/** @throws RangeError for what is on no bus that is known */
function placeOf(disk: Json): PlacedDisk {
  const { bus, device }: { readonly [key: string]: Json | undefined } =
    typeof disk === 'object' && disk !== null && !Array.isArray(disk) ? disk : {};
  const known = DISK_BUSES.find((each) => each === bus);
  if (bus !== undefined && known === undefined) throw new RangeError('an unknown bus');
  return { device: device === 'cdrom' ? 'cdrom' : 'disk', ...(known === undefined ? {} : { bus: known }) };
}

/** What is wrong with a draft, as far as that is known without looking at files. */
export function issuesOf(draft: Draft): Issue[] {
  const checked = checkDocument(draft);
  return checked.ok ? [] : checked.issues.map(({ path, message }) => ({ path: [...path], message }));
}

/** Issues of both lists, each once. */
export function mergeIssues(a: readonly Issue[], b: readonly Issue[]): Issue[] {
  const key = ({ path, message }: Issue): string => JSON.stringify([path, message]);
  return [...new Map([...a, ...b].map((issue) => [key(issue), issue])).values()];
}
