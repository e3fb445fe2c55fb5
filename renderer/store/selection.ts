/**
 * Which rows of a list are selected, as desktops have it: a click selects one, with Ctrl one more or less, with
 * Shift all from the anchor to it. Immutable: each action gives a new selection.
 */

export interface Selection {
  readonly ids: ReadonlySet<string>;
  /** Where a range begins: what was selected or pointed at last without Shift. */
  readonly anchor: string | undefined;
  /** The row that the keyboard is on. */
  readonly active: string | undefined;
}

export const EMPTY: Selection = { ids: new Set(), anchor: undefined, active: undefined };

/** One row alone. */
export function selectOnly(id: string): Selection {
  return { ids: new Set([id]), anchor: id, active: id };
}

/** One row more, or less where it was selected. */
export function toggle({ ids }: Selection, id: string): Selection {
  const next = new Set(ids);
  if (!next.delete(id)) next.add(id);
  return { ids: next, anchor: id, active: id };
}

/** All rows from the anchor to this one.
 * @param order the rows as they are shown */
export function extend({ anchor, active }: Selection, id: string, order: readonly string[]): Selection {
  const from = order.indexOf(anchor ?? active ?? id);
  const to = order.indexOf(id);
  if (from < 0 || to < 0) return selectOnly(id);
  const range = order.slice(Math.min(from, to), Math.max(from, to) + 1);
  return { ids: new Set(range), anchor: order[from], active: id };
}

/** The keyboard goes to a row without selecting it. */
export function moveTo(selection: Selection, id: string): Selection {
  return { ...selection, active: id };
}

export function selectAll(selection: Selection, order: readonly string[]): Selection {
  return { ids: new Set(order), anchor: order[0], active: selection.active ?? order[0] };
}

/** What is left when rows have gone. A row that was active gives its place to the one that came after it. */
export function restrict(selection: Selection, before: readonly string[], now: readonly string[]): Selection {
  const present = new Set(now);
  const ids = new Set([...selection.ids].filter((id) => present.has(id)));
  const survivor = (id: string | undefined): string | undefined => {
    if (id === undefined || present.has(id)) return id;
    const at = before.indexOf(id);
    return before.slice(at + 1).find((each) => present.has(each)) ?? now.at(-1);
  };
  return { ids, anchor: survivor(selection.anchor), active: survivor(selection.active) };
}
