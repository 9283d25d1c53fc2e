/* SPDX-License-Identifier: Apache-2.0 */
/* The client of an NBD server that takes its time, while signals come. */
#include "cli/run/nbd.h"
#include "../../needs.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ANSWERS_LATE 150000000 /* nanoseconds */
#define SIGNALS      10000     /* microseconds */
#define EXPORT_SIZE  0x5000

/* The greeting; one information about the export and the acknowledgement, to NBD_OPT_GO. */
static const u8 greeting[] = "NBDMAGICIHAVEOPT\0\3";
static const u8 answers[] = "\0\3\xe8\x89\x04\x55\x65\xa9\0\0\0\7\0\0\0\3\0\0\0\14"
                            "\0\0\0\0\0\0\0\0\x50\0\0\1"
                            "\0\3\xe8\x89\x04\x55\x65\xa9\0\0\0\7\0\0\0\1\0\0\0\0";

static void on_alarm(int number)
{
    (void)number;
}

static void serve(int fd)
{
    const struct timespec late = {.tv_nsec = ANSWERS_LATE};
    nanosleep(&late, NULL);
    if (write(fd, greeting, sizeof greeting - 1) < 0)
        _exit(1);
    nanosleep(&late, NULL);
    if (write(fd, answers, sizeof answers - 1) < 0)
        _exit(1);
    _exit(0);
}

static void signals_interrupt_a_wait_and_do_not_end_it(void **state)
{
    const struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval often = {{0, SIGNALS}, {0, SIGNALS}};
    struct error e = {.code = ERROR_NONE};
    struct nbd n;
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    const pid_t server = fork();
    if (!server)
        serve(ends[0]);
    assert_true(server > 0);
    close(ends[0]);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    const int result = nbd_open(&n, "test", ends[1], &e);
    often = (struct itimerval){{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    if (result)
        fail_msg("%s", e.text);
    assert_int_equal(n.size, EXPORT_SIZE);
    assert_false(n.read_only);
    nbd_close(&n);
    assert_int_equal(waitpid(server, NULL, 0), server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_interrupt_a_wait_and_do_not_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
