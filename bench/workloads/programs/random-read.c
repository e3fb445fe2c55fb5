/* Reads 4 KiB blocks at random places of a disk, past the page cache, with 16 requests under way at a time.
 * random-read DEVICE BLOCKS READS prints the sum of the blocks' first words, which does not depend on their order. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BLOCK = 4096, DEPTH = 16 };

static int disk;
static uint32_t blocks, reads;
static uint64_t sums[DEPTH];

static void *worker(void *argument) {
  long number = (long)argument;
  uint64_t seed = 88172645463325252ul + number;
  uint32_t *block;
  if (posix_memalign((void **)&block, BLOCK, BLOCK) != 0) exit(2);
  for (uint32_t n = number; n < reads; n += DEPTH) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    if (pread(disk, block, BLOCK, (off_t)(seed % blocks) * BLOCK) != BLOCK) exit(3);
    sums[number] += block[0];
  }
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 4) return 1;
  disk = open(argv[1], O_RDONLY | O_DIRECT);
  blocks = atoi(argv[2]);
  reads = atoi(argv[3]);
  pthread_t threads[DEPTH];
  uint64_t sum = 0;
  for (long n = 0; n < DEPTH; n++) pthread_create(&threads[n], NULL, worker, (void *)n);
  for (int n = 0; n < DEPTH; n++) pthread_join(threads[n], NULL);
  for (int n = 0; n < DEPTH; n++) sum += sums[n];
  printf("sum %llu\n", (unsigned long long)sum);
  return 0;
}
