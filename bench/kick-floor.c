/*
 * What the host's scheduler alone makes of a request to stand still: as many threads as asked for compute
 * without end, each looking at a flag all the time, and sleep when it is set. Prints how many milliseconds
 * each of a number of such requests took until the last thread had seen it.
 *
 *     kick-floor THREADS REQUESTS MILLISECONDS-BETWEEN
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static atomic_int wanted;
static int threads, standing, requests_over;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_stand = PTHREAD_COND_INITIALIZER, go_on = PTHREAD_COND_INITIALIZER;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static void *spin(void *unused) {
    for (;;) {
        while (!atomic_load(&wanted))
            ;
        pthread_mutex_lock(&mutex);
        if (++standing == threads) pthread_cond_signal(&all_stand);
        /* Not by the flag: the next request may have set it before this thread comes to look. */
        for (const int over = requests_over; requests_over == over;) pthread_cond_wait(&go_on, &mutex);
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

int main(int count, char **arguments) {
    if (count != 4) return 64;
    threads = atoi(arguments[1]);
    const int requests = atoi(arguments[2]), between = atoi(arguments[3]);
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, spin, NULL) != 0) return 71;
    }
    for (int i = 0; i < requests; i++) {
        usleep(between * 1000);
        const double start = now();
        pthread_mutex_lock(&mutex);
        standing = 0;
        atomic_store(&wanted, 1);
        while (standing < threads) pthread_cond_wait(&all_stand, &mutex);
        printf("%.3f\n", now() - start);
        atomic_store(&wanted, 0);
        requests_over++;
        pthread_cond_broadcast(&go_on);
        pthread_mutex_unlock(&mutex);
    }
    return 0;
}
