/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a program. An access may wait for as long as the program likes: the program may
 * supply the page itself (userfaultfd), or run the file system that it comes from. Such a wait ends
 * only with the thread that waits. So each access is done by a thread that can be left behind, and
 * the door goes on without that thread.
 */
#define _GNU_SOURCE
#include "door/internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define ACCESS_SECONDS 2

/* --- Threads that were left behind ------------------------------------------------------------ */

struct stuck *stuck_create(void)
{
    struct stuck *t = malloc(sizeof *t);
    if (t)
        atomic_init(&t->users, 1);
    return t;
}

bool stuck_add(struct stuck *t)
{
    if (atomic_fetch_add(&t->users, 1) <= STUCK_MAX)
        return true;
    stuck_drop(t);
    return false;
}

void stuck_drop(struct stuck *t)
{
    if (t && atomic_fetch_sub(&t->users, 1) == 1)
        free(t);
}

/* --- An access -------------------------------------------------------------------------------- */

enum access_stage { ACCESS_RUNS, ACCESS_DONE, ACCESS_LEFT };

struct access {
    struct stuck *stuck;
    pid_t thread;
    u64 address;
    size_t size;
    bool write, good;
    _Atomic enum access_stage stage;
    u8 data[];
};

static void access_free(struct access *a)
{
    stuck_drop(a->stuck);
    free(a);
}

static void *access_run(void *argument)
{
    struct access *a = argument;
    struct iovec ours = {a->data, a->size}, theirs = {(void *)(uintptr_t)a->address, a->size};
    ssize_t n = a->write ? process_vm_writev(a->thread, &ours, 1, &theirs, 1, 0)
                         : process_vm_readv(a->thread, &ours, 1, &theirs, 1, 0);
    a->good = n == (ssize_t)a->size;
    if (atomic_exchange(&a->stage, ACCESS_DONE) == ACCESS_LEFT)
        access_free(a);
    return NULL;
}

/* Returns true if the access is done. Otherwise its thread was left behind, and frees it. */
static bool access_wait(struct access *a, pthread_t thread)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ACCESS_SECONDS;
    if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == 0)
        return true;
    if (atomic_exchange(&a->stage, ACCESS_LEFT) != ACCESS_DONE) {
        pthread_detach(thread);
        return false;
    }
    pthread_join(thread, NULL);
    return true;
}

bool memory_copy(struct stuck *stuck, pid_t thread, u64 address, void *data, size_t size,
                 bool write)
{
    struct access *a = malloc(sizeof *a + size);
    pthread_t runner;
    if (!a || !stuck_add(stuck)) {
        free(a);
        return false;
    }
    *a = (struct access){
        .stuck = stuck, .thread = thread, .address = address, .size = size, .write = write};
    if (write)
        memcpy(a->data, data, size);
    if (pthread_create(&runner, NULL, access_run, a)) {
        access_free(a);
        return false;
    }
    if (!access_wait(a, runner))
        return false;
    bool good = a->good;
    if (good && !write)
        memcpy(data, a->data, size);
    access_free(a);
    return good;
}

bool memory_string(pid_t thread, u64 address, char out[PATH_MAX])
{
    for (size_t have = 0; have < PATH_MAX;) {
        size_t page = PAGE_SIZE - (size_t)((address + have) & PAGE_MASK);
        size_t want = page < PATH_MAX - have ? page : PATH_MAX - have;
        struct iovec to = {out + have, want}, from = {(void *)(uintptr_t)(address + have), want};
        ssize_t got = process_vm_readv(thread, &to, 1, &from, 1, 0);
        if (got <= 0)
            return false;
        if (memchr(out + have, 0, (size_t)got))
            return true;
        have += (size_t)got;
    }
    return false;
}
