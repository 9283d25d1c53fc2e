/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter that a program runs under: a BPF program made from the table of system calls. It sees
 * numbers, not what pointers point to; so every open is notified, but of the ioctls only those of
 * type 'S', and calls of another architecture (32-bit, x32) are never touched.
 */
#define _GNU_SOURCE
#include "door/internal.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#else
#define FILTER_ARCH 0
#endif

#define X32_BIT    0x40000000u /* set in the number of an x32 system call */
#define IOCTL_TYPE 0xff00u     /* _IOC_TYPE of a request */
#define FILTER_MAX 250

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

struct filter {
    struct sock_filter code[FILTER_MAX];
    u16 size;
};

static void emit(struct filter *f, u16 code, u32 value, u8 if_true, u8 if_false)
{
    if (f->size < FILTER_MAX)
        f->code[f->size++] = (struct sock_filter){code, if_true, if_false, value};
}

static void emit_load(struct filter *f, size_t offset)
{
    emit(f, BPF_LD | BPF_W | BPF_ABS, (u32)offset, 0, 0);
}

/* The low half of an argument. */
static void emit_load_argument(struct filter *f, u32 number)
{
    emit_load(f, offsetof(struct seccomp_data, args) + 8 * (size_t)number);
}

static void emit_return(struct filter *f, u32 action)
{
    emit(f, BPF_RET | BPF_K, action, 0, 0);
}

/* Tests for one row; falls through if the number is a different one. */
static void emit_kind(struct filter *f, const struct call_kind *k)
{
    u16 start = f->size;
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, (u32)k->number, 0, 0);
    if (k->number == SYS_ioctl) {
        emit_load_argument(f, 1);
        emit(f, BPF_ALU | BPF_AND | BPF_K, IOCTL_TYPE, 0, 0);
        emit(f, BPF_JMP | BPF_JEQ | BPF_K, (u32)'S' << 8, 1, 0);
        emit_return(f, SECCOMP_RET_ALLOW);
    } else if (k->pass) {
        emit_load_argument(f, (u32)k->flags);
        emit(f, BPF_JMP | BPF_JSET | BPF_K, k->pass, 0, 1);
        emit_return(f, SECCOMP_RET_ALLOW);
    }
    emit_return(f, SECCOMP_RET_USER_NOTIF);
    f->code[start].jf = (u8)(f->size - start - 1);
}

static void build(struct filter *f, bool folders)
{
    f->size = 0;
    emit_load(f, offsetof(struct seccomp_data, arch));
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, FILTER_ARCH, 1, 0);
    emit_return(f, SECCOMP_RET_ALLOW);
    emit_load(f, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
    emit(f, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
    emit_return(f, SECCOMP_RET_ALLOW);
#endif
    for (const struct call_kind *k = call_kinds; k->run; k++)
        if (folders || !k->folders)
            emit_kind(f, k);
    emit_return(f, SECCOMP_RET_ALLOW);
}

int filter_install(bool folders)
{
    struct filter f;
    build(&f, folders);
    struct sock_fprog program = {.len = f.size, .filter = f.code};
    if (!FILTER_ARCH || f.size == FILTER_MAX) {
        errno = ENOTSUP;
        return -1;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -1;
    /* Keeps a signal from restarting a call that is being answered (since Linux 5.19). */
    unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (fd < 0 && errno == EINVAL)
        fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                     &program);
    return (int)fd;
}
