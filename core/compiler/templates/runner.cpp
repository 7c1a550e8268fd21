// The child process that runs generated code: loads shared objects, calls their entries on given bytes between guard pages, or times them on one core.
// Job (standard input, one word list per line):
//   limits CPU_SECONDS ADDRESS_BYTES      0: none
//   lib PATH                              "-": the program itself
//   data PATH                             the inputs of all entries, one after the other
//   results PATH                          what is written: per entry a record
//   entry NAME WORKSPACE N bytes... M bytes...
//   call start|end strict|free            guard page before or behind each buffer; strict: no system call but the end of the process is allowed in infer
//   measure CORE BLOCK_NS BLOCKS SINGLES  interleaved best of blocks, then single calls
// Records: call -> int32 status (0, or the signal), int64 allocations and locks counted in infer, the outputs' bytes; measure -> calls per block, BLOCKS + SINGLES doubles (ns).
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/seccomp.h>
#include <sys/prctl.h>
#endif

typedef void (*Infer)(void*, const void* const*, void* const*);
static const int MOST = 64;
static const size_t PAGE = 4096;
static const unsigned char CANARY = 0xa5;
static volatile int64_t allocations = 0;

#ifdef COUNT_CALLS
// Stand before the C library's own: whatever infer allocates or locks is counted.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void* malloc(size_t n) { ++allocations; return __libc_malloc(n); }
void* calloc(size_t n, size_t m) { ++allocations; return __libc_calloc(n, m); }
void* realloc(void* p, size_t n) { ++allocations; return __libc_realloc(p, n); }
void* memalign(size_t a, size_t n) { ++allocations; return __libc_memalign(a, n); }
void* aligned_alloc(size_t a, size_t n) { ++allocations; return __libc_memalign(a, n); }
int posix_memalign(void** p, size_t a, size_t n) { ++allocations; *p = __libc_memalign(a, n); return *p ? 0 : ENOMEM; }
int pthread_mutex_lock(pthread_mutex_t* m) {
    ++allocations;
    static int (*real)(pthread_mutex_t*) = (int (*)(pthread_mutex_t*))dlsym(RTLD_NEXT, "pthread_mutex_lock");
    return real(m);
}
}
#endif

struct Buffer { unsigned char *map, *data; size_t whole, bytes; };
struct Entry { char name[128]; size_t workspace; int inputs, outputs; size_t sizes[2 * MOST]; Infer infer; };

static void fail(const char* what, const char* which) {
    fprintf(stderr, "%s %s\n", what, which);
    exit(3);
}

static double now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

// Memory with a page that may not be touched right behind it (or before it), canaries in the rest of its pages.
static Buffer guarded(size_t bytes, bool at_end, size_t align) {
    Buffer b;
    b.bytes = bytes;
    size_t inner = (bytes + PAGE - 1) / PAGE * PAGE + (bytes == 0 ? PAGE : 0);
    b.whole = inner + 2 * PAGE;
    b.map = (unsigned char*)mmap(0, b.whole, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (b.map == MAP_FAILED) fail("no memory for", "a buffer");
    memset(b.map, CANARY, b.whole);
    mprotect(b.map, PAGE, PROT_NONE);
    mprotect(b.map + PAGE + inner, PAGE, PROT_NONE);
    b.data = b.map + PAGE + (at_end ? (inner - bytes) / align * align : 0);
    return b;
}

static bool untouched(const Buffer& b) {
    for (unsigned char* p = b.map + PAGE; p < b.data; ++p) if (*p != CANARY) return false;
    for (unsigned char* p = b.data + b.bytes; p < b.map + b.whole - PAGE; ++p) if (*p != CANARY) return false;
    return true;
}

static void put(FILE* file, const void* p, size_t n) { if (n && fwrite(p, 1, n, file) != n) fail("cannot write", "results"); }

// One call in a process of its own: a crash is a status.
static void call(const Entry& e, const unsigned char* data, bool at_end, bool strict, FILE* results) {
    Buffer buffers[2 * MOST], space = guarded(e.workspace, at_end, 64), counted = guarded(16, false, 8);
    const void* in[MOST];
    void* out[MOST];
    for (int i = 0; i < e.inputs + e.outputs; ++i) {
        buffers[i] = guarded(e.sizes[i], at_end, 8);
        if (e.sizes[i] % 8) {                                       // flush with the guard page whatever the size
            size_t inner = buffers[i].whole - 2 * PAGE;
            if (at_end) buffers[i].data = buffers[i].map + PAGE + inner - e.sizes[i];
        }
        if (i < e.inputs) {
            memcpy(buffers[i].data, data, e.sizes[i]);
            data += e.sizes[i];
            in[i] = buffers[i].data;
        } else {
            out[i - e.inputs] = buffers[i].data;
        }
    }
    fflush(0);
    pid_t child = fork();
    if (child == 0) {
#ifdef __linux__
        if (strict && prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)) _exit(77);
#endif
        int64_t before = allocations;
        e.infer(space.data, in, out);
        *(int64_t*)counted.data = allocations - before;
#ifdef __linux__
        if (strict) syscall(SYS_exit, 0);                           // exit_group is a system call strict mode does not know
#endif
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0) fail("cannot start", e.name);
    int32_t code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) ? 1000 + WEXITSTATUS(status) : 0;
    if (code == 0 && !untouched(space)) code = 2001;
    for (int i = 0; i < e.inputs + e.outputs; ++i) if (code == 0 && !untouched(buffers[i])) code = 2002 + i;
    put(results, &code, 4);
    put(results, counted.data, 8);
    for (int i = e.inputs; i < e.inputs + e.outputs; ++i) put(results, buffers[i].data, e.sizes[i]);
    for (int i = 0; i < e.inputs + e.outputs; ++i) munmap(buffers[i].map, buffers[i].whole);
    munmap(space.map, space.whole);
    munmap(counted.map, counted.whole);
}

static void* lines(size_t bytes) {
    void* p = 0;
    if (posix_memalign(&p, 64, bytes / 64 * 64 + 128)) fail("no memory for", "a buffer");
    memset(p, 0, bytes / 64 * 64 + 128);
    return p;
}

// All entries in turn, block by block, so that what disturbs the machine disturbs all of them; then single calls.
static void measure(const Entry* entries, int count, const unsigned char* data, int core, double block_ns, int blocks, int singles, FILE* results) {
    if (core >= 0) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        sched_setaffinity(0, sizeof one, &one);
    }
    struct Timed { const void* in[MOST]; void* out[MOST]; void* space; int64_t calls; double *blocks, *singles; };
    Timed* timed = (Timed*)calloc(count, sizeof(Timed));
    for (int e = 0; e < count; ++e) {
        Timed& t = timed[e];
        for (int i = 0; i < entries[e].inputs; ++i) {
            void* p = lines(entries[e].sizes[i]);
            memcpy(p, data, entries[e].sizes[i]);
            data += entries[e].sizes[i];
            t.in[i] = p;
        }
        for (int i = 0; i < entries[e].outputs; ++i) t.out[i] = lines(entries[e].sizes[entries[e].inputs + i]);
        t.space = lines(entries[e].workspace);
        t.blocks = (double*)calloc(blocks + 1, 8);
        t.singles = (double*)calloc(singles + 1, 8);
        entries[e].infer(t.space, t.in, t.out);
        for (int trial = 0; trial < 3; ++trial) {                   // calls that fill a block, by the least disturbed of three trials
            for (int64_t calls = 1;; calls *= 2) {
                double start = now_ns();
                for (int64_t c = 0; c < calls; ++c) entries[e].infer(t.space, t.in, t.out);
                double spent = now_ns() - start;
                if (spent < block_ns / 8 && calls < (1 << 24)) continue;
                double fitting = calls * block_ns / (spent > 1 ? spent : 1);
                if (fitting > t.calls) t.calls = (int64_t)fitting;
                break;
            }
        }
        if (t.calls < 1) t.calls = 1;
    }
    for (int b = 0; b < blocks; ++b)
        for (int e = 0; e < count; ++e) {
            Timed& t = timed[e];
            entries[e].infer(t.space, t.in, t.out);                 // its own code and weights back into the caches
            double start = now_ns();
            for (int64_t c = 0; c < t.calls; ++c) entries[e].infer(t.space, t.in, t.out);
            t.blocks[b] = (now_ns() - start) / t.calls;
        }
    for (int e = 0; e < count; ++e) {
        Timed& t = timed[e];
        for (int s = 0; s < singles; ++s) {
            double start = now_ns();
            entries[e].infer(t.space, t.in, t.out);
            t.singles[s] = now_ns() - start;
        }
        put(results, &t.calls, 8);
        put(results, t.blocks, 8 * (size_t)blocks);
        put(results, t.singles, 8 * (size_t)singles);
    }
}

static unsigned char* whole_file(const char* path) {
    FILE* file = fopen(path, "rb");
    if (!file) fail("cannot read", path);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    unsigned char* data = (unsigned char*)malloc(size + 1);
    if (!data || fread(data, 1, size, file) != (size_t)size) fail("cannot read", path);
    fclose(file);
    return data;
}

static void limit(int what, unsigned long long most) {
    rlimit r = {most, most};
    if (most) setrlimit(what, &r);
}

int main() {
    static char line[1 << 16];
    static Entry entries[4096];
    int count = 0;
    void* library = 0;
    unsigned char* data = 0;
    FILE* results = 0;
    limit(RLIMIT_FSIZE, 4ull << 30);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        char* rest = strchr(line, ' ');
        if (!rest) continue;
        *rest++ = 0;
        if (!strcmp(line, "limits")) {
            unsigned long long seconds = strtoull(rest, &rest, 10), bytes = strtoull(rest, &rest, 10);
            limit(RLIMIT_CPU, seconds);
            limit(RLIMIT_AS, bytes);
            rlimit none = {0, 0};
            setrlimit(RLIMIT_CORE, &none);
        } else if (!strcmp(line, "lib")) {
            library = dlopen(strcmp(rest, "-") ? rest : 0, RTLD_NOW | RTLD_LOCAL);
            if (!library) fail("cannot load:", dlerror());
        } else if (!strcmp(line, "data")) {
            data = whole_file(rest);
        } else if (!strcmp(line, "results")) {
            results = fopen(rest, "wb");
            if (!results) fail("cannot write", rest);
        } else if (!strcmp(line, "entry")) {
            Entry& e = entries[count++];
            char* name = strtok(rest, " ");
            snprintf(e.name, sizeof e.name, "%s", name);
            char symbol[160];
            snprintf(symbol, sizeof symbol, "%s_infer_in", name);
            e.infer = (Infer)dlsym(library, symbol);
            if (!e.infer) fail("there is no", symbol);
            e.workspace = strtoull(strtok(0, " "), 0, 10);
            int* sides[2] = {&e.inputs, &e.outputs};
            size_t* to = e.sizes;
            for (int* side : sides) {
                *side = atoi(strtok(0, " "));
                if (*side > MOST || count >= 4096) fail("too many buffers or entries:", name);
                for (int i = 0; i < *side; ++i) *to++ = strtoull(strtok(0, " "), 0, 10);
            }
        } else if (!strcmp(line, "call")) {
            bool at_end = !strncmp(rest, "end", 3), strict = strstr(rest, "strict") != 0;
            const unsigned char* p = data;
            for (int e = 0; e < count; ++e) {
                call(entries[e], p, at_end, strict, results);
                for (int i = 0; i < entries[e].inputs; ++i) p += entries[e].sizes[i];
            }
        } else if (!strcmp(line, "measure")) {
            long core = strtol(rest, &rest, 10);
            double block = strtod(rest, &rest);
            long blocks = strtol(rest, &rest, 10), singles = strtol(rest, &rest, 10);
            measure(entries, count, data, (int)core, block, (int)blocks, (int)singles, results);
        }
    }
    return results && fclose(results) ? 3 : 0;
}
