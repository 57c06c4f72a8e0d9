/* Makes the n-th call that changes a file fail, for all files whose path has a given text in it.

   Built and preloaded by tests/reliability/programs.py. A process arms it by faults_arm after its
   start; before, and in every other process, all calls go through. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char watched[1024];
static long *seen, first; /* the count is shared with the processes that are forked later */
static int with_error, for_good;

__attribute__((constructor)) static void share(void)
{
    seen = mmap(0, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* From the `nth` call on (0: none, only count), fail with `error`; or, if it is 0, be killed. */
void faults_arm(const char *path, long nth, int error, int good)
{
    snprintf(watched, sizeof watched, "%s", path);
    *seen = 0;
    first = nth;
    with_error = error;
    for_good = good;
}

long faults_seen(void) { return *seen; }

/* Whether this call is to fail; errno says how then. */
static int strikes(const char *path)
{
    if (!watched[0] || !path || !strstr(path, watched))
        return 0;
    long now = ++*seen;
    if (!first || now < first || (now > first && !for_good))
        return 0;
    if (!with_error)
        kill(getpid(), SIGKILL);
    errno = with_error;
    return 1;
}

static int strikes_open(int descriptor)
{
    char link[64], path[2048];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0)
        return 0;
    path[length] = 0;
    return strikes(path);
}

#define THE_REAL(type, name, parameters)                                                           \
    static type(*real) parameters;                                                                 \
    if (!real)                                                                                     \
    real = (type(*) parameters)dlsym(RTLD_NEXT, name)

#define OF_OPEN(type, name, parameters, arguments)                                                 \
    type name parameters                                                                           \
    {                                                                                              \
        THE_REAL(type, #name, parameters);                                                         \
        return strikes_open(fd) ? -1 : real arguments;                                             \
    }

OF_OPEN(ssize_t, write, (int fd, const void *data, size_t n), (fd, data, n))
OF_OPEN(ssize_t, writev, (int fd, const struct iovec *data, int n), (fd, data, n))
OF_OPEN(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at))
OF_OPEN(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t at), (fd, data, n, at))
OF_OPEN(int, fsync, (int fd), (fd))
OF_OPEN(int, fdatasync, (int fd), (fd))
OF_OPEN(int, ftruncate, (int fd, off_t n), (fd, n))
OF_OPEN(int, ftruncate64, (int fd, off64_t n), (fd, n))

ssize_t sendfile(int out, int in, off_t *at, size_t n)
{
    THE_REAL(ssize_t, "sendfile", (int, int, off_t *, size_t));
    return strikes_open(out) ? -1 : real(out, in, at, n);
}

ssize_t sendfile64(int out, int in, off64_t *at, size_t n)
{
    THE_REAL(ssize_t, "sendfile64", (int, int, off64_t *, size_t));
    return strikes_open(out) ? -1 : real(out, in, at, n);
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t n, unsigned flags)
{
    THE_REAL(ssize_t, "copy_file_range", (int, off64_t *, int, off64_t *, size_t, unsigned));
    return strikes_open(out) ? -1 : real(in, from, out, to, n, flags);
}

int posix_fallocate(int fd, off_t at, off_t n)
{
    THE_REAL(int, "posix_fallocate", (int, off_t, off_t));
    return strikes_open(fd) ? errno : real(fd, at, n);
}

int posix_fallocate64(int fd, off64_t at, off64_t n)
{
    THE_REAL(int, "posix_fallocate64", (int, off64_t, off64_t));
    return strikes_open(fd) ? errno : real(fd, at, n);
}

int rename(const char *from, const char *to)
{
    THE_REAL(int, "rename", (const char *, const char *));
    return strikes(to) ? -1 : real(from, to);
}

int renameat(int there, const char *from, int here, const char *to)
{
    THE_REAL(int, "renameat", (int, const char *, int, const char *));
    return strikes(to) ? -1 : real(there, from, here, to);
}
