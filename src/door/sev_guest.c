/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev/sev-guest. The order of checks, the error numbers and what is written where follow the
 * kernel's driver. So does the rule with the greatest cost: after a refused or unreadable message,
 * the VMPCK is lost [snp 6.1, 10.1].
 */
#include "door/sev_guest.h"

#include <errno.h>
#include <stdlib.h>

#define USER_ADDRESS_END 0x7ffffffff000ull /* the first address that no program has */

struct sev_guest {
    struct sev_guest_config config;
    u8 table[SNP_CERTS_MAX]; /* the certificate table at the last extended request */
    size_t table_size;
};

/* --- Making it -------------------------------------------------------------------------------- */

static bool read_secrets(struct sev_guest *g, struct snp_secrets_page *out)
{
    return guest_read(&g->config.memory, g->config.secrets_gpa, GUEST_PRIVATE, out, sizeof *out);
}

static int check_config(struct sev_guest *g, struct error *error)
{
    struct snp_secrets_page secrets;
    struct guest_channel channel;
    if (!read_secrets(g, &secrets))
        return error_set(error, ERROR_GUEST,
                         "the guest cannot read its secrets page at %#llx: it is not its own",
                         (unsigned long long)g->config.secrets_gpa);
    bool found = guest_channel_open(&secrets, g->config.vmpck, &channel);
    guest_wipe(&secrets, sizeof secrets);
    guest_wipe(&channel, sizeof channel);
    return found ? 0
                 : error_set(error, ERROR_GUEST, "the guest's secrets page has no VMPCK%u",
                             g->config.vmpck);
}

struct sev_guest *sev_guest_create(const struct sev_guest_config *config, struct error *error)
{
    struct sev_guest *g = calloc(1, sizeof *g);
    if (!g) {
        error_set(error, ERROR_MEMORY, "no memory for a guest's driver");
        return NULL;
    }
    g->config = *config;
    if (!check_config(g, error))
        return g;
    free(g);
    return NULL;
}

void sev_guest_destroy(struct sev_guest *g)
{
    free(g);
}

u32 sev_guest_vmpck(const struct sev_guest *g)
{
    return g->config.vmpck;
}

/* --- One message ------------------------------------------------------------------------------ */

struct guest_ioctl {
    enum snp_msg_type type;
    u8 version;
    const void *payload;
    size_t payload_size;
    u8 *answer; /* the answer, padded with zeros */
    size_t answer_size;
    bool extended;
    u32 pages; /* pages for certificates; afterwards the number that they need */
};

static u32 certificate_pages(const struct sev_guest *g)
{
    return (u32)(ALIGN_UP(g->table_size, (size_t)PAGE_SIZE) / PAGE_SIZE);
}

/* Sends the sealed page and takes the answer as the driver does. An extended request with too few
 * pages is sent again as an ordinary one, so that its sequence number is used up. */
static s64 carry(struct sev_guest *g, struct guest_ioctl *r, const u8 sealed[PAGE_SIZE],
                 u8 response[PAGE_SIZE], u64 *exitinfo2)
{
    bool too_small = r->extended && r->pages < certificate_pages(g);
    *exitinfo2 = g->config.carrier.carry(g->config.carrier.context, sealed, response);
    s64 result = *exitinfo2 ? -EIO : 0;
    if (too_small) {
        r->pages = certificate_pages(g);
        *exitinfo2 = GUEST_EXITINFO2(GUEST_VMM_INVALID_LEN, 0);
        result = -EIO;
    }
    return result;
}

static s64 exchange(struct sev_guest *g, struct guest_channel *channel, struct guest_ioctl *r,
                    u64 *exitinfo2)
{
    u8 sealed[PAGE_SIZE], response[PAGE_SIZE] = {0}, payload[SNP_MSG_PAYLOAD_MAX];
    if (channel->seqno + 1 >= GUEST_SEQNO_LIMIT)
        return -EIO;
    guest_message_seal(channel, r->type, r->version, r->payload, r->payload_size, sealed);
    s64 result = carry(g, r, sealed, response, exitinfo2);
    if (*exitinfo2 == GUEST_EXITINFO2(GUEST_VMM_INVALID_LEN, 0)) {
        channel->seqno += 2;
        return result;
    }
    if (result) {
        guest_channel_wipe(channel);
        return result;
    }
    s32 size = guest_message_open(channel, r->type, r->version, response, payload);
    if (size < 0 || (size_t)size > r->answer_size) {
        guest_channel_wipe(channel);
        return -EBADMSG;
    }
    memset(r->answer, 0, r->answer_size);
    memcpy(r->answer, payload, (size_t)size);
    guest_wipe(payload, sizeof payload);
    return 0;
}

/* Sends one message. Between messages the counter lives in the secrets page, also for whoever runs
 * in the guest next. If the key is lost, it is wiped there, too. */
static s64 send_message(struct sev_guest *g, struct guest_ioctl *r, u64 *exitinfo2)
{
    struct snp_secrets_page secrets;
    struct guest_channel channel;
    if (!read_secrets(g, &secrets) || !guest_channel_open(&secrets, g->config.vmpck, &channel))
        return -ENOTTY;
    s64 result = exchange(g, &channel, r, exitinfo2);
    guest_channel_store(&channel, &secrets);
    if (!guest_write(&g->config.memory, g->config.secrets_gpa, GUEST_PRIVATE, &secrets,
                     sizeof secrets))
        result = -EIO;
    guest_wipe(&secrets, sizeof secrets);
    guest_wipe(&channel, sizeof channel);
    return result;
}

s64 sev_guest_ext_report(struct sev_guest *g, u8 msg_version, const struct snp_report_req *request,
                         u8 answer[SNP_REPORT_RESP_SIZE], void *certificates,
                         u32 *certificates_size, u64 *exitinfo2)
{
    struct guest_ioctl r = {.type = SNP_MSG_REPORT_REQ,
                            .version = msg_version,
                            .payload = request,
                            .payload_size = sizeof *request,
                            .answer = answer,
                            .answer_size = SNP_REPORT_RESP_SIZE,
                            .extended = true,
                            .pages = *certificates_size / PAGE_SIZE};
    const struct sev_guest_table *t = &g->config.table;
    g->table_size = t->write ? t->write(t->context, g->table) : 0;
    s64 result = send_message(g, &r, exitinfo2);
    if (*exitinfo2 == GUEST_EXITINFO2(GUEST_VMM_INVALID_LEN, 0))
        *certificates_size = r.pages * PAGE_SIZE;
    if (result || !*certificates_size)
        return result;
    memset(certificates, 0, *certificates_size);
    memcpy(certificates, g->table, g->table_size);
    return 0;
}

/* --- The ioctls ------------------------------------------------------------------------------- */

/* Sends a request whose answer has a fixed size: for a report or a derived key. */
static s64 get_fixed(struct sev_guest *g, struct door_caller *caller,
                     struct snp_guest_request_ioctl *io, enum snp_msg_type type,
                     size_t request_size, size_t answer_size)
{
    u8 request[sizeof(struct snp_report_req)], answer[SNP_REPORT_RESP_SIZE];
    if (!io->req_data || !io->resp_data)
        return -EINVAL;
    if (!door_read(caller, io->req_data, request, request_size))
        return -EFAULT;
    struct guest_ioctl r = {.type = type,
                            .version = io->msg_version,
                            .payload = request,
                            .payload_size = request_size,
                            .answer = answer,
                            .answer_size = answer_size};
    s64 result = send_message(g, &r, &io->exitinfo2);
    if (!result && !door_write(caller, io->resp_data, answer, answer_size))
        result = -EFAULT;
    guest_wipe(answer, sizeof answer);
    return result;
}

static s64 get_report(struct sev_guest *g, struct door_caller *caller,
                      struct snp_guest_request_ioctl *io)
{
    return get_fixed(g, caller, io, SNP_MSG_REPORT_REQ, sizeof(struct snp_report_req),
                     SNP_REPORT_RESP_SIZE);
}

static s64 get_derived_key(struct sev_guest *g, struct door_caller *caller,
                           struct snp_guest_request_ioctl *io)
{
    _Static_assert(SNP_DERIVED_KEY_REQ_SIZE <= sizeof(struct snp_report_req) &&
                       SNP_DERIVED_KEY_RESP_SIZE <= SNP_REPORT_RESP_SIZE,
                   "a key's request and answer fit where a report's do");
    return get_fixed(g, caller, io, SNP_MSG_KEY_REQ, SNP_DERIVED_KEY_REQ_SIZE,
                     SNP_DERIVED_KEY_RESP_SIZE);
}

/* Checks that the buffer has whole pages in the program's half of the address space. */
static s64 check_certificate_buffer(const struct snp_ext_report_req *request)
{
    if (request->certs_len > SNP_CERTS_MAX || request->certs_len % PAGE_SIZE)
        return -EINVAL;
    return range_fits(request->certs_address, request->certs_len, USER_ADDRESS_END) ? 0 : -EFAULT;
}

static s64 get_ext_report(struct sev_guest *g, struct door_caller *caller,
                          struct snp_guest_request_ioctl *io)
{
    struct snp_ext_report_req request;
    u8 answer[SNP_REPORT_RESP_SIZE], certificates[SNP_CERTS_MAX];
    if (!io->req_data || !io->resp_data)
        return -EINVAL;
    if (!door_read(caller, io->req_data, &request, sizeof request))
        return -EFAULT;
    bool wanted = request.certs_len && request.certs_address;
    s64 result = wanted ? check_certificate_buffer(&request) : 0;
    if (result)
        return result;
    u32 size = wanted ? request.certs_len : 0;
    result = sev_guest_ext_report(g, io->msg_version, &request.data, answer, certificates, &size,
                                  &io->exitinfo2);
    if (io->exitinfo2 >> 32 == GUEST_VMM_INVALID_LEN) {
        request.certs_len = size;
        if (!door_write(caller, io->req_data, &request, sizeof request))
            result = -EFAULT;
    }
    if (result)
        return result;
    if (size && !door_write(caller, request.certs_address, certificates, size))
        return -EFAULT;
    return door_write(caller, io->resp_data, answer, sizeof answer) ? 0 : -EFAULT;
}

static s64 sev_guest_ioctl(void *context, struct door_caller *caller, bool writable, u32 request,
                           u64 argument)
{
    struct snp_guest_request_ioctl io;
    s64 result = -ENOTTY;
    (void)writable; /* the driver does not check this */
    if (!door_read(caller, argument, &io, sizeof io))
        return -EFAULT;
    io.exitinfo2 = SNP_GUEST_NO_CALL;
    if (!io.msg_version)
        return -EINVAL;
    switch (request) {
    case SNP_GET_REPORT:
        result = get_report(context, caller, &io);
        break;
    case SNP_GET_DERIVED_KEY:
        result = get_derived_key(context, caller, &io);
        break;
    case SNP_GET_EXT_REPORT:
        result = get_ext_report(context, caller, &io);
        break;
    default:
        break;
    }
    /* After a success the program's own exitinfo2 stays as it was. */
    if (io.exitinfo2 && !door_write(caller, argument, &io, sizeof io))
        return -EFAULT;
    return result;
}

struct door_file sev_guest_file(struct sev_guest *g)
{
    return (struct door_file){.path = "/dev/sev-guest", .ioctl = sev_guest_ioctl, .context = g};
}
