/* Follows pointers through 16 MiB in an order that no prefetcher knows: one load after the other, most of them
 * on another page than the last.  chase STEPS prints where it ends. */
#include <stdio.h>
#include <stdlib.h>

enum { CELLS = 1 << 18 };

struct cell {
  struct cell *next;
  long padding[7];
};

int main(int argc, char **argv) {
  long steps = argc > 1 ? atol(argv[1]) : 1000;
  struct cell *cells = malloc(sizeof(struct cell) * CELLS);
  int *order = malloc(sizeof(int) * CELLS);
  unsigned long seed = 88172645463325252ul;
  for (int i = 0; i < CELLS; i++) order[i] = i;
  for (int i = CELLS - 1; i > 0; i--) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    int j = seed % (i + 1), t = order[i];
    order[i] = order[j];
    order[j] = t;
  }
  for (int i = 0; i < CELLS; i++) cells[order[i]].next = &cells[order[(i + 1) % CELLS]];
  struct cell *at = cells;
  for (long n = 0; n < steps; n++) at = at->next;
  printf("%ld\n", (long)(at - cells));
  return 0;
}
