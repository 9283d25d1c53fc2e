/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev-agent [PORT [FILE]]: runs inside an SNP guest and gets its owner's secret. It makes a
 * key, asks the kernel's driver for a report that binds it, sends both through a port that the host
 * carries (/dev/hvc0), and writes what the owner has sealed to that key into a file
 * (/secret/secret). Static: an initramfs needs nothing else for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "abi/linux_sev_guest.h"
#include "guest/guest.h"
#include "guest/secret_exchange.h"

#define DRIVER "/dev/sev-guest"
#define TIMEOUT_MS                                                                                 \
    900000 /* for each answer of the owner's, who may be a person with files to carry */

#define EXIT_REFUSED 2

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "softsev-agent: %s: %s\n", what, why);
    return -1;
}

/* --- The port --------------------------------------------------------------------------------- */

/* A terminal passes every byte as it is. */
static int open_port(const char *path)
{
    struct termios raw;
    int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return fail(path, strerror(errno));
    if (isatty(fd) && !tcgetattr(fd, &raw)) {
        raw.c_iflag = raw.c_oflag = raw.c_lflag = 0;
        raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        tcsetattr(fd, TCSANOW, &raw);
    }
    return fd;
}

static int read_all(int fd, u8 *out, size_t size)
{
    while (size) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, TIMEOUT_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return fail("the owner", ready ? strerror(errno) : "does not answer");
        ssize_t got = read(fd, out, size);
        if (got <= 0)
            return fail("the port", got ? strerror(errno) : "was closed");
        out += got;
        size -= (size_t)got;
    }
    return 0;
}

static int write_all(int fd, const u8 *data, size_t size)
{
    while (size) {
        ssize_t put = write(fd, data, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return fail("the port", strerror(errno));
        data += put;
        size -= (size_t)put;
    }
    return 0;
}

static int send_frame(int fd, enum secret_frame type, const void *payload, size_t size)
{
    u8 frame[64];
    return write_all(fd, frame, secret_frame_write(type, payload, size, frame, sizeof frame));
}

/* Returns the whole frame's size, or -1. */
static ssize_t read_frame(int fd, u8 frame[SECRET_FRAME_MAX])
{
    if (read_all(fd, frame, SECRET_FRAME_HEADER))
        return -1;
    size_t size = secret_frame_size(frame);
    if (!size)
        return fail("the owner", "what comes is no frame");
    return read_all(fd, frame + SECRET_FRAME_HEADER, size - SECRET_FRAME_HEADER) ? -1
                                                                                 : (ssize_t)size;
}

/* --- The report ------------------------------------------------------------------------------- */

static int get_report(const u8 report_data[64], struct snp_report *report,
                      u8 certificates[SNP_CERTS_MAX])
{
    struct snp_report_rsp rsp;
    static u8 answer[SNP_REPORT_RESP_SIZE];
    struct snp_ext_report_req request = {.certs_address = (u64)(uintptr_t)certificates,
                                         .certs_len = SNP_CERTS_MAX};
    struct snp_guest_request_ioctl io = {.msg_version = 1,
                                         .req_data = (u64)(uintptr_t)&request,
                                         .resp_data = (u64)(uintptr_t)answer};
    memcpy(request.data.report_data, report_data, sizeof request.data.report_data);
    int fd = open(DRIVER, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return fail(DRIVER, strerror(errno));
    int result = ioctl(fd, SNP_GET_EXT_REPORT, &io);
    int error = errno;
    close(fd);
    if (result)
        return fail(DRIVER, strerror(error));
    memcpy(&rsp, answer, sizeof rsp);
    if (rsp.status || rsp.report_size != sizeof rsp.report)
        return fail(DRIVER, "the firmware gives no report");
    *report = rsp.report;
    return 0;
}

/* Up to the end of the last object. */
static size_t table_size(const u8 *table)
{
    struct guest_certificate list[GUEST_CERTIFICATES_MAX];
    s32 count = guest_certificates_read(table, SNP_CERTS_MAX, list);
    size_t size = 0;
    for (s32 i = 0; i < count; i++)
        size = max_u64(size, (size_t)((const u8 *)list[i].data - table) + list[i].size);
    return size;
}

/* --- The secret ------------------------------------------------------------------------------- */

/* Complete or not there, and its folder's owner's alone. */
static int keep(const char *path, const u8 *secret, size_t size)
{
    char text[512];
    const char *slash = strrchr(path, '/');
    if (snprintf(text, sizeof text, "%s", path) >= (int)sizeof text - 8)
        return fail(path, "the name is too long");
    if (slash && slash != path) {
        text[slash - path] = 0;
        if (mkdir(text, 0700) && errno != EEXIST)
            return fail(text, strerror(errno));
    }
    snprintf(text, sizeof text, "%s.new", path);
    int fd = open(text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write_all(fd, secret, size) || close(fd) || rename(text, path))
        return fail(path, strerror(errno));
    return 0;
}

static int exchange(int port, const char *path)
{
    static u8 frame[SECRET_FRAME_MAX], certificates[SNP_CERTS_MAX], secret[SECRET_SIZE_MAX];
    struct secret_agent agent;
    struct snp_report report;
    u8 report_data[64];
    struct crypto *crypto = crypto_create(NULL, 0);
    if (!crypto)
        return fail("OpenSSL", "cannot be set up");
    ssize_t size = send_frame(port, SECRET_READY, NULL, 0) ? -1 : read_frame(port, frame);
    if (size < 0)
        return -1;
    if (!secret_agent_start(&agent, crypto, frame, (size_t)size, report_data))
        return fail("the owner", "does not say HELLO");
    if (get_report(report_data, &report, certificates))
        return -1;
    size = (ssize_t)secret_agent_evidence(&agent, &report, certificates, table_size(certificates),
                                          frame, sizeof frame);
    if (write_all(port, frame, (size_t)size))
        return -1;
    size = read_frame(port, frame);
    if (size < 0)
        return -1;
    size_t why_size;
    const u8 *why = secret_frame_payload(frame, (size_t)size, SECRET_REFUSED, &why_size);
    if (why) {
        fprintf(stderr, "softsev-agent: the owner refuses: %.*s\n", (int)min_u64(why_size, 80),
                (const char *)why);
        return EXIT_REFUSED;
    }
    s64 got = secret_agent_open(&agent, frame, (size_t)size, secret, sizeof secret);
    if (got < 0)
        return fail("the owner", "what comes is not sealed to this exchange");
    if (keep(path, secret, (size_t)got))
        return -1;
    printf("softsev-agent: %lld bytes from the owner in %s\n", (long long)got, path);
    guest_wipe(secret, sizeof secret);
    crypto_destroy(crypto);
    return send_frame(port, SECRET_DONE, NULL, 0);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "/dev/hvc0",
               *file = argc > 2 ? argv[2] : "/secret/secret";
    if (path[0] == '-' || argc > 3) {
        fputs("usage: softsev-agent [PORT [FILE]]    (/dev/hvc0 /secret/secret)\n", stderr);
        return 1;
    }
    int port = open_port(path);
    if (port < 0)
        return 1;
    int result = exchange(port, file);
    close(port);
    return result < 0 ? 1 : result;
}
