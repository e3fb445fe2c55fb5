/** Copies a few words to others that they do not overlap, one by one: `copyWithin` costs more than so short a stretch is worth. */
export function copyWords(words: Int32Array, to: number, from: number, count: number): void {
  for (let i = 0; i < count; i++) words[to + i] = words[from + i]!;
}
