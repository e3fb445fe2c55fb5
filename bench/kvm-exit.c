/*
 * The least a program can do to serve port writes of a KVM guest: what Guesthouse's run loop is measured
 * against. Runs a guest image from the reset vector until it writes to port 0xF4, and prints how many
 * nanoseconds each write to another port took.
 *
 * The interface is in Documentation/virt/kvm/api.rst of the Linux kernel.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { IMAGE_BYTES = 0x10000, END_PORT = 0xf4 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static int fail(const char *what) {
    perror(what);
    return 1;
}

int main(int count, char **words) {
    if (count != 2) return fputs("usage: kvm-exit IMAGE\n", stderr), 64;
    const int file = open(words[1], O_RDONLY);
    uint8_t *image = mmap(NULL, IMAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (file < 0 || image == MAP_FAILED || read(file, image, IMAGE_BYTES) != IMAGE_BYTES) return fail(words[1]);

    const int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0) return fail("/dev/kvm");
    const int machine = ioctl(kvm, KVM_CREATE_VM, 0);
    if (machine < 0) return fail("KVM_CREATE_VM");
    ioctl(machine, KVM_SET_TSS_ADDR, 0xfeffd000);
    const struct kvm_userspace_memory_region region = {
        .guest_phys_addr = 0xffff0000, .memory_size = IMAGE_BYTES, .userspace_addr = (uintptr_t)image};
    if (ioctl(machine, KVM_SET_USER_MEMORY_REGION, &region) < 0) return fail("KVM_SET_USER_MEMORY_REGION");

    const int vcpu = ioctl(machine, KVM_CREATE_VCPU, 0);
    if (vcpu < 0) return fail("KVM_CREATE_VCPU");
    const int bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    struct kvm_run *run = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (run == MAP_FAILED) return fail("mmap");

    static volatile uint8_t registers[0x10000];
    unsigned exits = 0;
    double started = 0;
    for (;;) {
        if (ioctl(vcpu, KVM_RUN, 0) < 0) return fail("KVM_RUN");
        if (run->exit_reason != KVM_EXIT_IO) return fprintf(stderr, "exit %u\n", run->exit_reason), 1;
        if (run->io.port == END_PORT) break;
        // The first exit starts the clock: what comes before it is set-up.
        if (exits++ == 0) started = now();
        memcpy((void *)&registers[run->io.port], (uint8_t *)run + run->io.data_offset, run->io.size);
    }
    printf("%.1f\n", (now() - started) / (exits - 1));
    return 0;
}
