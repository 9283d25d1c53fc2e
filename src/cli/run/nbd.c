/* SPDX-License-Identifier: Apache-2.0 */
/* NBD: fixed newstyle handshake, NBD_OPT_GO, simple replies [github.com/NetworkBlockDevice/nbd,
 * doc/proto.md]. All numbers are big-endian. */
#include "cli/run/nbd.h"
#include "cli/run/session.h"
#include "cli/unix_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_SECONDS 30 /* for a server that says nothing */
#define PART_MAX     MIB(1)
#define REPLIES_MAX  64u /* to one option: informations, then the acknowledgement */
#define INFO_MAX     KIB(4)

#define MAGIC_SERVER  0x4e42444d41474943ull /* "NBDMAGIC" */
#define MAGIC_OPTION  0x49484156454f5054ull /* "IHAVEOPT" */
#define MAGIC_ANSWER  0x0003e889045565a9ull
#define MAGIC_REQUEST 0x25609513u
#define MAGIC_REPLY   0x67446698u

#define FIXED_NEWSTYLE   BIT(0)
#define NO_ZEROES        BIT(1)
#define OPTION_GO        7u
#define ANSWER_ACK       1u
#define ANSWER_INFO      3u
#define INFO_EXPORT      0u
#define EXPORT_READ_ONLY BIT(1)
#define EXPORT_FLUSH     BIT(2)

enum request { REQUEST_READ, REQUEST_WRITE, REQUEST_DISCONNECT, REQUEST_FLUSH };

enum answer { DONE, REFUSED, BROKEN };

/* --- Bytes ------------------------------------------------------------------------------------ */

static u64 load_be(const u8 *bytes, u32 size)
{
    u64 value = 0;
    for (u32 i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

static void store_be(u8 *out, u64 value, u32 size)
{
    for (u32 i = 0; i < size; i++)
        out[i] = (u8)(value >> 8 * (size - 1 - i));
}

/* A signal that does not end the run, such as one that lets it go on after a stop, only interrupts
 * a wait. */
static bool goes_on(ssize_t result)
{
    return result < 0 && errno == EINTR && !run_signals_ending();
}

static bool send_all(const struct nbd *n, const void *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        const ssize_t sent = send(n->fd, (const u8 *)data + at, size - at, MSG_NOSIGNAL);
        if (goes_on(sent))
            continue;
        if (sent <= 0)
            return false;
        at += (size_t)sent;
    }
    return true;
}

static bool receive_all(const struct nbd *n, void *out, size_t size)
{
    for (size_t at = 0; at < size;) {
        const ssize_t got = recv(n->fd, (u8 *)out + at, size - at, 0);
        if (goes_on(got))
            continue;
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

/* --- The handshake ---------------------------------------------------------------------------- */

static bool greet(const struct nbd *n)
{
    u8 hello[18], flags[4];
    if (!receive_all(n, hello, sizeof hello) || load_be(hello, 8) != MAGIC_SERVER ||
        load_be(hello + 8, 8) != MAGIC_OPTION)
        return false;
    const u16 offered = (u16)load_be(hello + 16, 2);
    store_be(flags, offered & (FIXED_NEWSTYLE | NO_ZEROES), 4);
    return (offered & FIXED_NEWSTYLE) && send_all(n, flags, sizeof flags);
}

/* The default export, without further wishes. */
static bool ask_to_go(const struct nbd *n)
{
    u8 option[16 + 6] = {0};
    store_be(option, MAGIC_OPTION, 8);
    store_be(option + 8, OPTION_GO, 4);
    store_be(option + 12, 6, 4);
    return send_all(n, option, sizeof option);
}

static void take_info(struct nbd *n, const u8 *info, u32 size)
{
    if (size < 12 || load_be(info, 2) != INFO_EXPORT)
        return;
    const u16 flags = (u16)load_be(info + 10, 2);
    n->size = load_be(info + 2, 8);
    n->read_only = flags & EXPORT_READ_ONLY;
    n->can_flush = flags & EXPORT_FLUSH;
}

static bool hear_answers(struct nbd *n)
{
    u8 head[20], info[INFO_MAX];
    for (u32 i = 0; i < REPLIES_MAX; i++) {
        if (!receive_all(n, head, sizeof head) || load_be(head, 8) != MAGIC_ANSWER ||
            load_be(head + 8, 4) != OPTION_GO)
            return false;
        const u32 type = (u32)load_be(head + 12, 4), size = (u32)load_be(head + 16, 4);
        if (size > sizeof info || !receive_all(n, info, size))
            return false;
        if (type == ANSWER_ACK)
            return true;
        if (type != ANSWER_INFO)
            return false; /* a refusal */
        take_info(n, info, size);
    }
    return false;
}

int nbd_open(struct nbd *n, const char *path, int fd, struct error *e)
{
    *n = (struct nbd){.fd = fd};
    const int why =
        fd < 0 ? unix_socket_connect("the NBD server", path, WAIT_SECONDS, &n->fd, e) : 0;
    if (why)
        return why < 0 ? -1
                       : error_set(e, ERROR_FILE, "the NBD server at %s: %s", path, strerror(why));
    if (greet(n) && ask_to_go(n) && hear_answers(n))
        return 0;
    n->can_flush = false; /* what it says has no meaning */
    return error_set(e, ERROR_FILE,
                     "the server at %s does not give its default export: it should speak NBD, as "
                     "`qemu-nbd -k PATH IMAGE` does, and have nobody else connected",
                     path);
}

/* --- Requests --------------------------------------------------------------------------------- */

static bool ask(struct nbd *n, enum request type, u64 offset, size_t size)
{
    u8 request[28] = {0};
    store_be(request, MAGIC_REQUEST, 4);
    store_be(request + 6, (u16)type, 2);
    store_be(request + 8, ++n->cookie, 8);
    store_be(request + 16, offset, 8);
    store_be(request + 24, (u32)size, 4);
    return send_all(n, request, sizeof request);
}

static enum answer hear(const struct nbd *n)
{
    u8 reply[16];
    if (!receive_all(n, reply, sizeof reply) || load_be(reply, 4) != MAGIC_REPLY ||
        load_be(reply + 8, 8) != n->cookie)
        return BROKEN;
    return load_be(reply + 4, 4) ? REFUSED : DONE;
}

/* What comes after a wrong reply has no meaning. */
static bool settle(struct nbd *n, enum answer answer)
{
    if (answer == BROKEN && n->fd >= 0) {
        close(n->fd);
        n->fd = -1;
    }
    return answer == DONE;
}

static enum answer read_part(struct nbd *n, u64 offset, u8 *out, size_t size)
{
    const enum answer answer = ask(n, REQUEST_READ, offset, size) ? hear(n) : BROKEN;
    return answer != DONE || receive_all(n, out, size) ? answer : BROKEN;
}

static enum answer write_part(struct nbd *n, u64 offset, const u8 *data, size_t size)
{
    return ask(n, REQUEST_WRITE, offset, size) && send_all(n, data, size) ? hear(n) : BROKEN;
}

bool nbd_read(struct nbd *n, u64 offset, void *out, size_t size)
{
    enum answer answer = n->fd >= 0 ? DONE : BROKEN;
    for (size_t at = 0; answer == DONE && at < size; at += PART_MAX)
        answer = read_part(n, offset + at, (u8 *)out + at, (size_t)min_u64(size - at, PART_MAX));
    return settle(n, answer);
}

bool nbd_write(struct nbd *n, u64 offset, const void *data, size_t size)
{
    enum answer answer = n->fd >= 0 ? DONE : BROKEN;
    for (size_t at = 0; answer == DONE && at < size; at += PART_MAX)
        answer =
            write_part(n, offset + at, (const u8 *)data + at, (size_t)min_u64(size - at, PART_MAX));
    return settle(n, answer);
}

void nbd_close(struct nbd *n)
{
    if (n->fd < 0)
        return;
    if (n->can_flush && ask(n, REQUEST_FLUSH, 0, 0))
        hear(n);
    ask(n, REQUEST_DISCONNECT, 0, 0);
    close(n->fd);
    n->fd = -1;
}
