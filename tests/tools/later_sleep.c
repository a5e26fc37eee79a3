/* Sleeps by the monotonic clock as they are meant, before Debian's libfaketime gets to see them: up to
 * 0.9.10 it moves the end of a clock_nanosleep() that is an absolute time although the clock itself is
 * left alone, and Python's time.sleep() fails with EINVAL. See tests/tools/later. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left) {
    int kept = errno;
    int failed = syscall(SYS_clock_nanosleep, clock, flags, until, left) == 0 ? 0 : errno;
    errno = kept;
    return failed;
}
