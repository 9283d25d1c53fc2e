/* SPDX-License-Identifier: Apache-2.0 */
/* Parses `--net`: the kind of network, and the published ports; addresses of network cards. */
#include "net/net.h"

#include <stdio.h>
#include <string.h>

#define CARD_FIRST 0x525400123456ull /* QEMU's, too */

void net_card_address(u32 machine, u8 mac[6])
{
    const u64 address = CARD_FIRST + machine;
    for (u32 i = 0; i < 6; i++)
        mac[i] = (u8)(address >> (8 * (5 - i)));
}

/* Takes a decimal number of at most `max`. Returns false if there is none. */
static bool take_number(const char **text, u32 max, u32 *out)
{
    const char *at = *text;
    u64 value = 0;
    while (*at >= '0' && *at <= '9' && value <= max)
        value = 10 * value + (u64)(*at++ - '0');
    const bool good = at != *text && value <= max;
    *text = at;
    *out = (u32)value;
    return good;
}

/* Takes "A.B.C.D:", if that begins the text. */
static bool take_address(const char **text, u8 address[4])
{
    const char *at = *text;
    for (u32 i = 0; i < 4; i++) {
        u32 byte;
        if (!take_number(&at, 255, &byte) || *at++ != (i < 3 ? '.' : ':'))
            return false;
        address[i] = (u8)byte;
    }
    *text = at;
    return true;
}

static bool take_port(const char **text, u16 *out)
{
    u32 port;
    if (!take_number(text, UINT16_MAX, &port) || !port)
        return false;
    *out = (u16)port;
    return true;
}

/* Parses "[ADDRESS:]HOST:GUEST[/udp]". Without an address only this computer can connect. */
static bool parse_publish(const char *text, struct net_publish *out)
{
    *out = (struct net_publish){.address = {127, 0, 0, 1}};
    if (strchr(text, '.') && !take_address(&text, out->address))
        return false;
    if (!take_port(&text, &out->host_port) || *text++ != ':' || !take_port(&text, &out->guest_port))
        return false;
    out->udp = !strcmp(text, "/udp");
    return !*text || out->udp || !strcmp(text, "/tcp");
}

static int parse_word(const char *word, const char *all, struct net_options *out, struct error *e)
{
    static const char publish[] = "publish=";
    if (strncmp(word, publish, sizeof publish - 1))
        return error_set(e, ERROR_USAGE, "net '%.80s': '%.40s' should be publish=HOST:GUEST", all,
                         word);
    if (out->publish_count == NET_PUBLISH_MAX)
        return error_set(e, ERROR_USAGE, "net '%.80s': at most %u ports can be published", all,
                         NET_PUBLISH_MAX);
    struct net_publish *p = &out->publish[out->publish_count++];
    if (!parse_publish(word + sizeof publish - 1, p))
        return error_set(e, ERROR_USAGE,
                         "net '%.80s': '%.40s' should be publish=[ADDRESS:]HOST:GUEST[/udp], with "
                         "an IPv4 address and ports from 1 to 65535",
                         all, word);
    for (u32 i = 0; i + 1 < out->publish_count; i++) {
        const struct net_publish *other = &out->publish[i];
        if (other->udp == p->udp && other->host_port == p->host_port &&
            !memcmp(other->address, p->address, sizeof p->address))
            return error_set(e, ERROR_USAGE, "net '%.80s': port %u is published twice", all,
                             p->host_port);
    }
    return 0;
}

int net_parse(const char *text, struct net_options *out, struct error *e)
{
    *out = (struct net_options){.on = false};
    if (!strcmp(text, "off"))
        return 0;
    const char *rest = text + strcspn(text, ",");
    if (rest - text != 4 || memcmp(text, "user", 4))
        return error_set(
            e, ERROR_USAGE,
            "net '%.80s': expected off, or user[,publish=[ADDRESS:]HOST:GUEST[/udp]]...", text);
    out->on = true;
    while (*rest) {
        char word[64];
        const size_t size = strcspn(++rest, ",");
        snprintf(word, sizeof word, "%.*s", (int)min_u64(size, sizeof word - 1), rest);
        if (parse_word(word, text, out, e))
            return -1;
        rest += size;
    }
    return 0;
}
