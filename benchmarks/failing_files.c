/* A layer over libc that lets the n-th change of the file system below a folder fail; see faults.py.

   Loaded by LD_PRELOAD. A process calls `fault_arm` first: its forks are armed with it, and what it executes
   is not. `plan` lies in memory that forks share, so that they count together. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

struct plan {
    int nth;     /* which change fails, from 1; 0: none, they are counted alone */
    int error;   /* errno */
    int forever; /* every later change fails, too */
    int partial; /* of a write that fails, the first half is written */
    int count;
    int fired;
    char call[32];
    char path[1024];
    char at[128]; /* only changes of paths that hold this count; "": all below the folder */
};

static struct plan *plan;
static char root[PATH_MAX];

void fault_arm(struct plan *shared, const char *folder) {
    snprintf(root, sizeof root, "%s/", folder);
    plan = shared;
}

/* The path of an open file, or of a name below an open folder; "" where there is none. */
static void resolve(char *full, size_t size, int dir, const char *name) {
    char link[64], base[PATH_MAX];
    full[0] = 0;
    if (name && name[0] == '/') {
        snprintf(full, size, "%s", name);
        return;
    }
    if (dir == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length < 0) return;
        base[length] = 0;
    }
    if (name) snprintf(full, size, "%s/%s", base, name);
    else snprintf(full, size, "%s", base);
}

/* A full disk refuses none of these. */
static int frees_room(const char *call) {
    return !strncmp(call, "unlink", 6) || !strcmp(call, "rmdir") || !strncmp(call, "ftruncate", 9);
}

/* Count a change; whether it fails, errno set. partial: whether it is the write of which half is written. */
static int fails(const char *call, int dir, const char *name, int *partial) {
    char full[2 * PATH_MAX];
    int before = errno;
    if (!plan) return 0;
    resolve(full, sizeof full, dir, name);
    errno = before;
    if (strncmp(full, root, strlen(root)) || !strstr(full + strlen(root), plan->at)) return 0;
    int seen = __sync_add_and_fetch(&plan->count, 1);
    if (plan->error == ENOSPC && frees_room(call)) return 0;
    if (!plan->nth || seen < plan->nth || (seen > plan->nth && !plan->forever)) return 0;
    if (!plan->fired) {
        plan->fired = 1;
        snprintf(plan->call, sizeof plan->call, "%s", call);
        snprintf(plan->path, sizeof plan->path, "%s", full + strlen(root));
        if (partial && plan->partial) {
            *partial = 1;
            return 0;
        }
    }
    errno = plan->error;
    return 1;
}

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = dlsym(RTLD_NEXT, #name)

#define WRITES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))

#define MODE(flags, after) \
    mode_t mode = 0; \
    if (((flags) & O_CREAT) || ((flags) & O_TMPFILE) == O_TMPFILE) { \
        va_list more; \
        va_start(more, after); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }

#define OPEN(function) \
    int function(const char *path, int flags, ...) { \
        REAL(int, function, const char *, int, ...); \
        MODE(flags, flags) \
        if (WRITES(flags) && fails("open", AT_FDCWD, path, NULL)) return -1; \
        return real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(function) \
    int function(int dir, const char *path, int flags, ...) { \
        REAL(int, function, int, const char *, int, ...); \
        MODE(flags, flags) \
        if (WRITES(flags) && fails("openat", dir, path, NULL)) return -1; \
        return real(dir, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int file, const void *bytes, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t);
    int partial = 0;
    if (fails("write", file, NULL, &partial)) return -1;
    return real(file, bytes, partial ? size / 2 : size);
}

#define PWRITE(function) \
    ssize_t function(int file, const void *bytes, size_t size, off_t at) { \
        REAL(ssize_t, function, int, const void *, size_t, off_t); \
        int partial = 0; \
        if (fails("pwrite", file, NULL, &partial)) return -1; \
        return real(file, bytes, partial ? size / 2 : size, at); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define ON_FILE(result, function, declared, given, types) \
    result function declared { \
        REAL(result, function, types); \
        if (fails(#function, file, NULL, NULL)) return -1; \
        return real given; \
    }
#define TYPES(...) __VA_ARGS__
ON_FILE(ssize_t, writev, (int file, const struct iovec *parts, int count), (file, parts, count),
        TYPES(int, const struct iovec *, int))
ON_FILE(int, fsync, (int file), (file), TYPES(int))
ON_FILE(int, fdatasync, (int file), (file), TYPES(int))
ON_FILE(int, ftruncate, (int file, off_t size), (file, size), TYPES(int, off_t))
ON_FILE(int, ftruncate64, (int file, off_t size), (file, size), TYPES(int, off_t))
ON_FILE(int, fchmod, (int file, mode_t mode), (file, mode), TYPES(int, mode_t))
ON_FILE(ssize_t, sendfile, (int file, int from, off_t *at, size_t size), (file, from, at, size),
        TYPES(int, int, off_t *, size_t))
ON_FILE(ssize_t, sendfile64, (int file, int from, off_t *at, size_t size), (file, from, at, size),
        TYPES(int, int, off_t *, size_t))

#define ON_PATH(function, declared, given, types, dir, path) \
    int function declared { \
        REAL(int, function, types); \
        if (fails(#function, dir, path, NULL)) return -1; \
        return real given; \
    }
ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode), TYPES(const char *, mode_t), AT_FDCWD, path)
ON_PATH(mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode),
        TYPES(int, const char *, mode_t), dir, path)
ON_PATH(chmod, (const char *path, mode_t mode), (path, mode), TYPES(const char *, mode_t), AT_FDCWD, path)
ON_PATH(unlink, (const char *path), (path), TYPES(const char *), AT_FDCWD, path)
ON_PATH(unlinkat, (int dir, const char *path, int flags), (dir, path, flags), TYPES(int, const char *, int),
        dir, path)
ON_PATH(rmdir, (const char *path), (path), TYPES(const char *), AT_FDCWD, path)
ON_PATH(link, (const char *from, const char *to), (from, to), TYPES(const char *, const char *), AT_FDCWD, to)
ON_PATH(linkat, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags),
        TYPES(int, const char *, int, const char *, int), b, to)
ON_PATH(symlink, (const char *from, const char *to), (from, to), TYPES(const char *, const char *),
        AT_FDCWD, to)
ON_PATH(symlinkat, (const char *from, int dir, const char *to), (from, dir, to),
        TYPES(const char *, int, const char *), dir, to)
ON_PATH(rename, (const char *from, const char *to), (from, to), TYPES(const char *, const char *),
        AT_FDCWD, to)
ON_PATH(renameat, (int a, const char *from, int b, const char *to), (a, from, b, to),
        TYPES(int, const char *, int, const char *), b, to)
ON_PATH(renameat2, (int a, const char *from, int b, const char *to, unsigned flags), (a, from, b, to, flags),
        TYPES(int, const char *, int, const char *, unsigned), b, to)
