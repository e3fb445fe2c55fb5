/* Solves dense systems of linear equations by LU decomposition with partial pivoting, in double precision:
 * long vector loops over matrices.  linpack SIZE TIMES prints the residuals. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A fixed sequence of numbers between -0.5 and 0.5. */
static double number(void) {
  static unsigned seed = 1325;
  seed = seed * 1664525u + 1013904223u;
  return seed / 4294967296.0 - 0.5;
}

static void factor(double **a, int *pivot, int n) {
  for (int k = 0; k < n; k++) {
    int best = k;
    for (int i = k + 1; i < n; i++)
      if (fabs(a[i][k]) > fabs(a[best][k])) best = i;
    pivot[k] = best;
    double *row = a[best];
    a[best] = a[k];
    a[k] = row;
    for (int i = k + 1; i < n; i++) {
      double factor = a[i][k] /= row[k];
      for (int j = k + 1; j < n; j++) a[i][j] -= factor * row[j];
    }
  }
}

static void solve(double **a, const int *pivot, double *x, int n) {
  for (int k = 0; k < n; k++) {
    double value = x[pivot[k]];
    x[pivot[k]] = x[k];
    x[k] = value;
  }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < i; j++) x[i] -= a[i][j] * x[j];
  for (int i = n - 1; i >= 0; i--) {
    for (int j = i + 1; j < n; j++) x[i] -= a[i][j] * x[j];
    x[i] /= a[i][i];
  }
}

int main(int argc, char **argv) {
  int n = argc > 1 ? atoi(argv[1]) : 100;
  int times = argc > 2 ? atoi(argv[2]) : 1;
  double *cells = malloc(sizeof(double) * n * n), *copy = malloc(sizeof(double) * n * n);
  double **rows = malloc(sizeof(double *) * n), *x = malloc(sizeof(double) * n), *b = malloc(sizeof(double) * n);
  int *pivot = malloc(sizeof(int) * n);
  for (int t = 0; t < times; t++) {
    for (int i = 0; i < n * n; i++) copy[i] = cells[i] = number();
    for (int i = 0; i < n; i++) {
      rows[i] = cells + (long)i * n;
      x[i] = b[i] = number();
    }
    factor(rows, pivot, n);
    solve(rows, pivot, x, n);
    double worst = 0;
    for (int i = 0; i < n; i++) {
      double sum = -b[i];
      for (int j = 0; j < n; j++) sum += copy[(long)i * n + j] * x[j];
      if (fabs(sum) > worst) worst = fabs(sum);
    }
    printf("%.17g\n", worst);
  }
  return 0;
}
