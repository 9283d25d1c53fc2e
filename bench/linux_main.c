/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels as a Linux program, the same file for every engine: started by a shell, or as the
 * only program of a guest.
 *
 *   kernels SCALE REPEATS [NAME...]
 *
 * It prints "begin NAME" and "end NAME CHECKSUM" about each run and takes no time itself: a guest's
 * clock need not be the clock on the wall. Who reads the lines stamps them. As process 1 it writes
 * them straight to the serial port's registers, since a driver would write them at its leisure.
 */
#include "kernels.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERIAL       0x3f8
#define SERIAL_LSR   (SERIAL + 5)
#define SERIAL_EMPTY 0x20

static bool to_port;

static void say(const char *text)
{
    if (!to_port) {
        fputs(text, stdout);
        fflush(stdout);
        return;
    }
    for (; *text; text++) {
        while (!(inb(SERIAL_LSR) & SERIAL_EMPTY))
            ;
        outb((unsigned char)*text, SERIAL);
    }
}

static uint64_t system_calls(uint32_t scale)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 200000 * scale; i++)
        sum += (uint64_t)getppid() == 0;
    return sum & 0;
}

static uint64_t fork_and_wait(uint32_t scale)
{
    uint64_t ended = 0;
    for (uint32_t i = 0; i < 50 * scale; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        ended += child > 0 && waitpid(child, NULL, 0) == child;
    }
    return ended;
}

static const struct kernel linux_kernels[] = {
    {"getppid", system_calls}, {"fork", fork_and_wait}, {NULL, NULL}};

static bool wanted(const struct kernel *k, int argc, char **argv)
{
    for (int i = 3; i < argc; i++)
        if (strcmp(argv[i], k->name) == 0)
            return true;
    return argc <= 3;
}

static void run(const struct kernel *k, uint32_t scale, int argc, char **argv)
{
    char line[80];
    for (; k->name; k++) {
        if (!wanted(k, argc, argv))
            continue;
        snprintf(line, sizeof line, "begin %s\n", k->name);
        say(line);
        uint64_t sum = k->run(scale);
        snprintf(line, sizeof line, "end %s %016llx\n", k->name, (unsigned long long)sum);
        say(line);
    }
}

int main(int argc, char **argv)
{
    uint32_t scale = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1;
    uint32_t repeats = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1;
    to_port = getpid() == 1 &&
              ioperm(SERIAL, 8, 1) == 0; /* not iopl(): with SEV-ES Linux looks into the bitmap */
    say("\nup\n");                       /* firmware may have left the cursor in a line */
    for (uint32_t i = 0; i < repeats; i++) {
        run(kernels, scale, argc, argv);
        run(linux_kernels, scale, argc, argv);
    }
    say("done\n");
    if (getpid() == 1)
        reboot(RB_POWER_OFF);
    return 0;
}
