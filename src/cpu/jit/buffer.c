/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for emitted code: written by one mapping, run by another, so that no page is both. */
#define _GNU_SOURCE /* memfd_create() */
#include "cpu/jit/buffer.h"

#include <sys/mman.h>
#include <unistd.h>

bool code_buffer_create(struct code_buffer *b, size_t size)
{
    *b = (struct code_buffer){.size = size};
    int fd = memfd_create("softsev-code", MFD_CLOEXEC);
    if (fd < 0)
        return false;
    void *write = MAP_FAILED, *run = MAP_FAILED;
    if (ftruncate(fd, (off_t)size) == 0) {
        write = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
        run = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_NORESERVE, fd, 0);
    }
    close(fd);
    b->write = write == MAP_FAILED ? NULL : write;
    b->run = run == MAP_FAILED ? NULL : run;
    if (b->write && b->run)
        return true;
    code_buffer_destroy(b);
    return false;
}

void code_buffer_destroy(struct code_buffer *b)
{
    if (b->write)
        munmap(b->write, b->size);
    if (b->run)
        munmap(b->run, b->size);
    *b = (struct code_buffer){0};
}

/* A processor that changes code by one address and runs it by another must execute a serializing
 * instruction in between [APM2 7.6.1]. IRET is one, and needs no privilege. */
void code_buffer_changed(void)
{
    u64 stack, scratch;
    __asm__ volatile("mov %%rsp, %0\n\t"
                     "lea -128(%%rsp), %%rsp\n\t" /* leaves the red zone alone */
                     "mov %%ss, %k1\n\t"
                     "push %1\n\t"
                     "push %0\n\t"
                     "pushfq\n\t"
                     "mov %%cs, %k1\n\t"
                     "push %1\n\t"
                     "lea 1f(%%rip), %1\n\t"
                     "push %1\n\t"
                     "iretq\n"
                     "1:"
                     : "=&r"(stack), "=&r"(scratch)
                     :
                     : "memory", "cc");
}
