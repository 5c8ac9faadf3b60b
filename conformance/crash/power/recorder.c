/*
 * Preloaded into every process of a server, the embedded PostgreSQL's too: appends to CRASH_RECORD_LOG each change to
 * the files below CRASH_RECORD_ROOT, with its bytes, and each sync. One record is one write(2) to a file opened with
 * O_APPEND, so the records of all processes stand in one order. A change is recorded after it was made and before its
 * caller goes on; of a sync both ends are, so that what was written meanwhile does not count as synced.
 *
 * A record, little endian: u32 length of all, u8 kind, u8 flags, u16 length of path, u64 inode, u64 offset, u64 size, then the
 * path, a second path up to the end for rename and link, bytes for a write. What makes a file or folder, or changes whose
 * it is, has its owner as size: user << 32 | group. See log.ts.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { CREATE = 1, WRITE, ZEROS, TRUNCATE, EXTEND, SYNC_BEGIN, SYNC_END, RENAME, LINK, UNLINK, MKDIR, RMDIR, OWN };

struct header {
  uint32_t length;
  uint8_t kind, flags;
  uint16_t path;
  uint64_t inode, offset, size;
} __attribute__((packed));

#define MAX_FD 65536
static uint64_t inodes[MAX_FD]; /* of what is open below the root; else 0 */
static char root[PATH_MAX];
static size_t root_length;
static int log_fd = -1;
static const char *const variables[] = {"LD_PRELOAD", "CRASH_RECORD_LOG", "CRASH_RECORD_ROOT"};
static char assignments[3][PATH_MAX + 32];

#define REAL(name) \
  static __typeof__(name) *real; \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
  const char *log = getenv("CRASH_RECORD_LOG"), *of = getenv("CRASH_RECORD_ROOT");
  if (!log || !of) return;
  /* A copy: PostgreSQL writes its process title over the environment. */
  root_length = snprintf(root, sizeof root, "%s", of);
  for (int i = 0; i < 3; i++)
    snprintf(assignments[i], sizeof assignments[i], "%s=%s", variables[i], getenv(variables[i]) ?: "");
  int fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
  if (fd < 0) return;
  /* Out of the way of programs that count on low numbers. */
  log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 700);
  syscall(SYS_close, fd);
}

static void record(struct header header, const char *path, const char *second, const struct iovec *bytes, int count) {
  if (log_fd < 0) return;
  int saved = errno;
  struct iovec parts[count + 3];
  header.path = path ? strlen(path) : 0;
  header.length = sizeof header;
  int used = 0;
  parts[used++] = (struct iovec){&header, sizeof header};
  if (path) parts[used++] = (struct iovec){(void *)path, header.path};
  if (second) parts[used++] = (struct iovec){(void *)second, strlen(second)};
  uint64_t left = header.kind == WRITE ? header.size : 0;
  for (int i = 0; i < count && left > 0; i++) {
    size_t length = bytes[i].iov_len < left ? bytes[i].iov_len : left;
    parts[used++] = (struct iovec){bytes[i].iov_base, length};
    left -= length;
  }
  for (int i = 1; i < used; i++) header.length += parts[i].iov_len;
  if (syscall(SYS_writev, log_fd, parts, used) != (long)header.length) abort();
  errno = saved;
}

/* The absolute path in `into`, or NULL when it is not below the root. */
static const char *below(const char *path, char *into) {
  if (log_fd < 0) return NULL;
  if (path[0] == '/') {
    snprintf(into, PATH_MAX, "%s", path);
  } else {
    if (!getcwd(into, PATH_MAX)) return NULL;
    size_t length = strlen(into);
    if (strncmp(path, "./", 2) == 0) path += 2;
    snprintf(into + length, PATH_MAX - length, "/%s", path);
  }
  size_t length = strlen(into);
  while (length > 1 && into[length - 1] == '/') into[--length] = 0;
  if (strncmp(into, root, root_length) != 0 || (into[root_length] != '/' && into[root_length] != 0)) return NULL;
  return into;
}

/* Looks whether it is still the same file: not every close passes here. */
static uint64_t inode_of(int fd) {
  struct stat found;
  if (fd < 0 || fd >= MAX_FD || inodes[fd] == 0) return 0;
  int saved = errno;
  int is_same = fstat(fd, &found) == 0 && (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode)) &&
                found.st_ino == inodes[fd];
  errno = saved;
  return is_same ? inodes[fd] : 0;
}

static void opened(int fd, const char *path, int flags) {
  if (fd < 0 || fd >= MAX_FD) return;
  int saved = errno;
  char buffer[PATH_MAX];
  struct stat found;
  inodes[fd] = 0;
  if (below(path, buffer) && fstat(fd, &found) == 0 && (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode))) {
    inodes[fd] = found.st_ino;
    struct header header = {.inode = found.st_ino};
    if (flags & O_CREAT) {
      header.kind = CREATE;
      header.size = (uint64_t)found.st_uid << 32 | found.st_gid;
      record(header, buffer, NULL, NULL, 0);
    }
    if (flags & O_TRUNC) {
      header.kind = TRUNCATE;
      header.size = 0;
      record(header, NULL, NULL, NULL, 0);
    }
  }
  errno = saved;
}

#define MODE(flags, last) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | O_TMPFILE)) { \
    va_list list; \
    va_start(list, last); \
    mode = va_arg(list, mode_t); \
    va_end(list); \
  }

int open(const char *path, int flags, ...) {
  MODE(flags, flags)
  int fd = syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  opened(fd, path, flags);
  return fd;
}

int open64(const char *path, int flags, ...) {
  MODE(flags, flags)
  int fd = syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);
  opened(fd, path, flags);
  return fd;
}

int openat(int folder, const char *path, int flags, ...) {
  MODE(flags, flags)
  int fd = syscall(SYS_openat, folder, path, flags, mode);
  if (folder == AT_FDCWD || path[0] == '/') opened(fd, path, flags);
  return fd;
}

int openat64(int folder, const char *path, int flags, ...) {
  MODE(flags, flags)
  int fd = syscall(SYS_openat, folder, path, flags | O_LARGEFILE, mode);
  if (folder == AT_FDCWD || path[0] == '/') opened(fd, path, flags);
  return fd;
}

int close(int fd) {
  if (fd >= 0 && fd < MAX_FD) inodes[fd] = 0;
  /* Whoever closes all that is open does not know of ours. */
  if (fd == log_fd && fd >= 0) return 0;
  return syscall(SYS_close, fd);
}

static int is_zeros(const struct iovec *bytes, int count) {
  for (int i = 0; i < count; i++) {
    const char *at = bytes[i].iov_base;
    size_t length = bytes[i].iov_len;
    if (length == 0) continue;
    if (at[0] != 0 || memcmp(at, at + 1, length - 1) != 0) return 0;
  }
  return 1;
}

/* `offset` -1: where the file's own position was. */
static ssize_t written(int fd, const struct iovec *bytes, int count, off_t offset, ssize_t done) {
  uint64_t inode = inode_of(fd);
  if (done <= 0 || inode == 0) return done;
  int saved = errno;
  if (offset < 0) offset = lseek(fd, 0, SEEK_CUR) - done;
  struct header header = {
      .kind = is_zeros(bytes, count) ? ZEROS : WRITE, .inode = inode, .offset = offset, .size = done};
  record(header, NULL, NULL, bytes, count);
  errno = saved;
  return done;
}

ssize_t write(int fd, const void *bytes, size_t length) {
  struct iovec one = {(void *)bytes, length};
  return written(fd, &one, 1, -1, syscall(SYS_write, fd, bytes, length));
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
  struct iovec one = {(void *)bytes, length};
  return written(fd, &one, 1, offset, syscall(SYS_pwrite64, fd, bytes, length, offset));
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
  return pwrite(fd, bytes, length, offset);
}

ssize_t writev(int fd, const struct iovec *bytes, int count) {
  return written(fd, bytes, count, -1, syscall(SYS_writev, fd, bytes, count));
}

ssize_t pwritev(int fd, const struct iovec *bytes, int count, off_t offset) {
  return written(fd, bytes, count, offset, syscall(SYS_pwritev, fd, bytes, count, (long)offset, 0L));
}

ssize_t pwritev64(int fd, const struct iovec *bytes, int count, off64_t offset) {
  return pwritev(fd, bytes, count, offset);
}

/* Streams write past us: what became of such a file is recorded as a whole when it is closed. */
static uint8_t is_stream[MAX_FD];

FILE *fopen(const char *path, const char *mode) {
  REAL(fopen);
  FILE *file = real(path, mode);
  int fd = file ? fileno(file) : -1;
  if (fd < 0 || fd >= MAX_FD || (mode[0] == 'r' && !strchr(mode, '+'))) return file;
  opened(fd, path, mode[0] == 'r' ? 0 : O_CREAT);
  is_stream[fd] = inodes[fd] != 0;
  return file;
}

FILE *fopen64(const char *path, const char *mode) {
  return fopen(path, mode);
}

int fclose(FILE *file) {
  REAL(fclose);
  int fd = file ? fileno(file) : -1;
  struct stat found;
  if (fd >= 0 && fd < MAX_FD && is_stream[fd] && fflush(file) == 0 && inode_of(fd) != 0 && fstat(fd, &found) == 0) {
    struct header header = {.kind = TRUNCATE, .inode = inodes[fd]};
    record(header, NULL, NULL, NULL, 0);
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int again = syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0);
    char *bytes = malloc(found.st_size + 1);
    ssize_t size = again < 0 || !bytes ? -1 : syscall(SYS_pread64, again, bytes, found.st_size, 0);
    if (size > 0) {
      struct iovec one = {bytes, size};
      header = (struct header){.kind = WRITE, .inode = inodes[fd], .size = size};
      record(header, NULL, NULL, &one, 1);
    }
    free(bytes);
    if (again >= 0) syscall(SYS_close, again);
  }
  if (fd >= 0 && fd < MAX_FD) inodes[fd] = is_stream[fd] = 0;
  return real(file);
}

static int resized(int fd, enum kind kind, off_t size, int result) {
  if (result == 0 && inode_of(fd) != 0) {
    struct header header = {.kind = kind, .inode = inode_of(fd), .size = size};
    record(header, NULL, NULL, NULL, 0);
  }
  return result;
}

int ftruncate(int fd, off_t size) {
  return resized(fd, TRUNCATE, size, syscall(SYS_ftruncate, fd, size));
}

int ftruncate64(int fd, off64_t size) {
  return ftruncate(fd, size);
}

int truncate(const char *path, off_t size) {
  int result = syscall(SYS_truncate, path, size);
  char buffer[PATH_MAX];
  struct stat found;
  if (result == 0 && below(path, buffer) && stat(path, &found) == 0) {
    struct header header = {.kind = TRUNCATE, .inode = found.st_ino, .size = size};
    record(header, NULL, NULL, NULL, 0);
  }
  return result;
}

int posix_fallocate(int fd, off_t offset, off_t length) {
  REAL(posix_fallocate);
  return resized(fd, EXTEND, offset + length, real(fd, offset, length));
}

int posix_fallocate64(int fd, off64_t offset, off64_t length) {
  return posix_fallocate(fd, offset, length);
}

static int synced(int fd, int call) {
  static __thread uint64_t count;
  uint64_t inode = inode_of(fd);
  /* The two ends find each other by thread and count. */
  uint64_t token = ((uint64_t)syscall(SYS_gettid) << 32) | (uint32_t)++count;
  struct header header = {.kind = SYNC_BEGIN, .inode = inode, .offset = token};
  if (inode != 0) record(header, NULL, NULL, NULL, 0);
  int result = syscall(call, fd);
  header.kind = SYNC_END;
  if (inode != 0 && result == 0) record(header, NULL, NULL, NULL, 0);
  return result;
}

int fsync(int fd) {
  return synced(fd, SYS_fsync);
}

int fdatasync(int fd) {
  return synced(fd, SYS_fdatasync);
}

static int named(enum kind kind, const char *path, const char *second, int result) {
  char first_buffer[PATH_MAX], second_buffer[PATH_MAX];
  if (result != 0) return result;
  int saved = errno;
  const char *from = below(path, first_buffer);
  const char *to = second ? below(second, second_buffer) : NULL;
  struct stat found = {0};
  if (from && (!second || to)) {
    if (kind == MKDIR || kind == OWN) lstat(from, &found);
    struct header header = {
        .kind = kind, .inode = found.st_ino, .size = (uint64_t)found.st_uid << 32 | found.st_gid};
    record(header, from, to, NULL, 0);
  }
  errno = saved;
  return result;
}

int rename(const char *from, const char *to) {
  return named(RENAME, from, to, syscall(SYS_rename, from, to));
}

int link(const char *from, const char *to) {
  return named(LINK, from, to, syscall(SYS_link, from, to));
}

int unlink(const char *path) {
  return named(UNLINK, path, NULL, syscall(SYS_unlink, path));
}

int mkdir(const char *path, mode_t mode) {
  return named(MKDIR, path, NULL, syscall(SYS_mkdir, path, mode));
}

char *mkdtemp(char *path) {
  REAL(mkdtemp);
  char *made = real(path);
  named(MKDIR, path, NULL, made ? 0 : -1);
  return made;
}

int chown(const char *path, uid_t user, gid_t group) {
  return named(OWN, path, NULL, syscall(SYS_chown, path, user, group));
}

int rmdir(const char *path) {
  return named(RMDIR, path, NULL, syscall(SYS_rmdir, path));
}

/* The product starts its PostgreSQL with an environment of its own making. */
int execvp(const char *file, char *const arguments[]) {
  static char *all[1024];
  REAL(execvp);
  int used = 0;
  for (char **at = environ; at && *at && used < 1000; at++) all[used++] = *at;
  for (int i = 0; log_fd >= 0 && i < 3; i++)
    if (!getenv(variables[i])) all[used++] = assignments[i];
  all[used] = NULL;
  environ = all;
  return real(file, arguments);
}
