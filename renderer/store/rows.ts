/** The rows of the list: which machines are shown, in which order, under which group. Pure. */
import type { MachineSummary } from '../../main/contract/index.ts';

export type SortKey = 'name' | 'state' | 'cpu' | 'memory' | 'disk';
export const SORT_KEYS: readonly SortKey[] = ['name', 'state', 'cpu', 'memory', 'disk'];

export type Row =
  | {
      readonly kind: 'group';
      readonly key: string;
      readonly name: string;
      readonly count: number;
      readonly folded: boolean;
    }
  | { readonly kind: 'machine'; readonly key: string; readonly machine: MachineSummary };

export interface Arrangement {
  /** Words that must all be found in a machine's name, tags or group. */
  readonly query: string;
  readonly sortBy: SortKey;
  readonly descending: boolean;
  /** Names of the groups that are folded in; a search looks into them all the same. */
  readonly folded: ReadonlySet<string>;
  /** What the heading over machines without a group says. */
  readonly ungrouped: string;
  /** What is sorted by for the columns of graphs. */
  readonly measure: (machine: MachineSummary, key: 'cpu' | 'memory' | 'disk') => number;
}

const COLLATOR = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

/** The key of a group's row; no machine has it, since ids hold no space. */
export const groupKey = (name: string): string => `group ${name}`;

/** Whether every word of the query is found in the machine's name, tags or group, whatever its case. */
export function matches({ name, tags, group }: MachineSummary, query: string): boolean {
  const text = [name, group ?? '', ...tags].join('\n').toLocaleLowerCase();
  return query
    .toLocaleLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

function compare(a: MachineSummary, b: MachineSummary, { sortBy, measure }: Arrangement): number {
  switch (sortBy) {
    case 'name':
      return COLLATOR.compare(a.name, b.name);
    case 'state':
      return COLLATOR.compare(a.state, b.state);
    case 'cpu':
    case 'memory':
    case 'disk':
      return measure(a, sortBy) - measure(b, sortBy);
  }
}

/** Arranges machines into rows. Headings appear only where some machine has a group; machines without one come
 * last. */
export function arrange(machines: readonly MachineSummary[], arrangement: Arrangement): Row[] {
  const { query, descending, folded, ungrouped } = arrangement;
  const direction = descending ? -1 : 1;
  const shown = machines
    .filter((machine) => matches(machine, query))
    .sort(
      (a, b) =>
        direction * compare(a, b, arrangement) ||
        COLLATOR.compare(a.name, b.name) ||
        COLLATOR.compare(a.id, b.id),
    );
  const row = (machine: MachineSummary): Row => ({ kind: 'machine', key: machine.id, machine });
  if (!machines.some(({ group }) => group !== null)) return shown.map(row);

  const groups = Map.groupBy(shown, ({ group }) => group);
  const names = [...groups.keys()].filter((name) => name !== null).sort(COLLATOR.compare);
  const rows: Row[] = [];
  const add = (key: string, name: string, members: readonly MachineSummary[]): void => {
    const isFolded = folded.has(key) && query.trim() === '';
    rows.push({ kind: 'group', key, name, count: members.length, folded: isFolded });
    if (!isFolded) rows.push(...members.map(row));
  };
  for (const name of names) add(groupKey(name), name, groups.get(name) ?? []);
  const rest = groups.get(null);
  // No group can be called the empty text.
  if (rest !== undefined) add(groupKey(''), ungrouped, rest);
  return rows;
}
