/* Five bodies under their gravity, integrated with fixed steps in double precision: the floating-point mix of
 * additions, products, divisions and square roots.  nbody STEPS prints the energy before and after. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODIES = 5 };

struct body {
  double position[3], velocity[3], mass;
};

/* Astronomical units, days, solar masses: rough figures of the sun and the four large planets. */
static struct body bodies[BODIES] = {
    {{0, 0, 0}, {0, 0, 0}, 1},
    {{4.84, -1.16, -0.104}, {0.00166, 0.0077, -0.000069}, 0.000955},
    {{8.34, 4.12, -0.403}, {-0.00277, 0.005, 0.000023}, 0.000286},
    {{12.89, -15.11, -0.223}, {0.00296, 0.00238, -0.00003}, 0.0000437},
    {{15.38, -25.92, 0.179}, {0.00268, 0.00163, -0.0000951}, 0.0000515},
};

static const double GRAVITY = 0.0002959122082855911;

static double energy(void) {
  double sum = 0;
  for (int i = 0; i < BODIES; i++) {
    const struct body *a = &bodies[i];
    for (int k = 0; k < 3; k++) sum += 0.5 * a->mass * a->velocity[k] * a->velocity[k];
    for (int j = i + 1; j < BODIES; j++) {
      double square = 0;
      for (int k = 0; k < 3; k++) {
        double d = a->position[k] - bodies[j].position[k];
        square += d * d;
      }
      sum -= GRAVITY * a->mass * bodies[j].mass / sqrt(square);
    }
  }
  return sum;
}

static void step(double days) {
  for (int i = 0; i < BODIES; i++) {
    for (int j = i + 1; j < BODIES; j++) {
      struct body *a = &bodies[i], *b = &bodies[j];
      double d[3], square = 0;
      for (int k = 0; k < 3; k++) {
        d[k] = a->position[k] - b->position[k];
        square += d[k] * d[k];
      }
      double pull = GRAVITY * days / (square * sqrt(square));
      for (int k = 0; k < 3; k++) {
        a->velocity[k] -= d[k] * b->mass * pull;
        b->velocity[k] += d[k] * a->mass * pull;
      }
    }
  }
  for (int i = 0; i < BODIES; i++)
    for (int k = 0; k < 3; k++) bodies[i].position[k] += days * bodies[i].velocity[k];
}

int main(int argc, char **argv) {
  long steps = argc > 1 ? atol(argv[1]) : 1000;
  printf("%.17g\n", energy());
  for (long n = 0; n < steps; n++) step(0.5);
  printf("%.17g\n", energy());
  return 0;
}
