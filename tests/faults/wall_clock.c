/* A wall clock that is moved: preloaded into a process, it adds to CLOCK_REALTIME what stands in the
 * file that LOOPBENCH_CLOCK names, in nanoseconds as eight bytes, and does so with the stamps of
 * arriving bytes. Other clocks stay as they are. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset_ns;

__attribute__((constructor)) static void open_clock(void) {
    int file = open(getenv("LOOPBENCH_CLOCK"), O_RDONLY | O_CLOEXEC);
    if (file < 0) abort();
    void *page = mmap(0, sizeof *offset_ns, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) abort();
    offset_ns = page;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    long failed = syscall(SYS_clock_gettime, clock, now);
    if (failed || clock != CLOCK_REALTIME || !offset_ns) return (int)failed;
    int64_t moved = now->tv_sec * INT64_C(1000000000) + now->tv_nsec + *offset_ns;
    now->tv_sec = moved / 1000000000;
    now->tv_nsec = moved % 1000000000;
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec moved;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &moved);
    now->tv_sec = moved.tv_sec;
    now->tv_usec = moved.tv_nsec / 1000;
    return 0;
}

/* The kernel stamps what arrives with the machine's clock. */
ssize_t recvmsg(int socket, struct msghdr *message, int flags) {
    ssize_t received = syscall(SYS_recvmsg, socket, message, flags);
    if (received < 0 || !offset_ns) return received;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS) continue;
        struct timespec *stamp = (struct timespec *)CMSG_DATA(part);
        int64_t moved = stamp->tv_sec * INT64_C(1000000000) + stamp->tv_nsec + *offset_ns;
        stamp->tv_sec = moved / 1000000000;
        stamp->tv_nsec = moved % 1000000000;
    }
    return received;
}

time_t time(time_t *into) {
    struct timespec moved;
    clock_gettime(CLOCK_REALTIME, &moved);
    if (into) *into = moved.tv_sec;
    return moved.tv_sec;
}
