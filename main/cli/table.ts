/** How virsh prints lists and facts. */

/** A table: a heading, a rule, and a row each, columns two spaces apart after one before. */
export function table(heading: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const widths = heading.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  const line = (cells: readonly string[]) =>
    ` ${cells.map((cell, i) => cell.padEnd(widths[i])).join('   ')}`.trimEnd();
  const rule = '-'.repeat(widths.reduce((sum, width) => sum + width, 0) + 3 * widths.length);
  return [line(heading), rule, ...rows.map(line), ''].join('\n');
}

/** Facts: a name with a colon, and the value at a common column. */
export function facts(rows: ReadonlyArray<readonly [name: string, value: string | number]>): string {
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, value]) => `${`${name}:`.padEnd(width)} ${value}`).join('\n');
}
